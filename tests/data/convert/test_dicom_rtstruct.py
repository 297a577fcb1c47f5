"""Structure sets: the stated rule voxel for voxel, or refused with the mm."""

import numpy as np
import pytest

from segbench.data.convert.dicom import read_labels, read_series
from segbench.errors import CaseError
from tests.data.convert.dicom_writer import (
    AXIAL,
    OBLIQUE,
    affine_of,
    write_series,
    write_structures,
)

SHAPE = (12, 10, 6)


@pytest.fixture(params=["axial", "oblique", "tilted"])
def grid(request):
    return {
        "axial": {"orientation": AXIAL},
        "oblique": {"orientation": OBLIQUE},
        "tilted": {"orientation": AXIAL, "tilt": 0.8},
    }[request.param]


@pytest.fixture
def folder(tmp_path, grid):
    write_series(tmp_path / "ct", np.zeros(SHAPE), **grid)
    return tmp_path / "ct"


def in_mm(corners, slice_, grid):
    """Return corners (column, row) on a slice as points in LPS."""
    corners = np.asarray(corners, float)
    index = np.column_stack([corners, np.full(len(corners), slice_), np.ones(len(corners))])
    return (index @ affine_of(**grid).T)[:, :3] * [-1, -1, 1]


def square(low, high):
    """Return the corners of the square around the voxels low..high."""
    a, b = low - 0.5, high + 0.5
    return [(a, a), (b, a), (b, b), (a, b)]


def box(low, high, slice_):
    """Return the voxels low..high on a slice."""
    labels = np.zeros(SHAPE, int)
    labels[low : high + 1, low : high + 1, slice_] = 1
    return labels


def read(tmp_path, rois, folder, **options):
    file = write_structures(tmp_path / "rt.dcm", rois, **options)
    return read_labels(file, read_series(folder))


def test_squares_become_their_voxels(tmp_path, folder, grid):
    rois = [
        ("liver", [in_mm(square(2, 5), 1, grid), in_mm(square(3, 6), 3, grid)]),
        ("node", [in_mm(square(7, 8), 3, grid)]),
    ]
    found = read(tmp_path, rois, folder)
    expected = box(2, 5, 1) + box(3, 6, 3) + 2 * box(7, 8, 3)
    np.testing.assert_array_equal(found.volume.voxels, expected)  # slice 2 stays empty
    assert found.names == {1: "liver", 2: "node"}
    assert "its centre is inside" in found.rule
    assert found.volume.notes == ()


def test_a_polygon_inside_another_is_a_hole_and_one_in_the_hole_an_island(tmp_path, folder, grid):
    rois = [("ring", [in_mm(square(a, b), 2, grid) for a, b in ((1, 8), (2, 7), (4, 5))])]
    found = read(tmp_path, rois, folder)
    expected = box(1, 8, 2) - box(2, 7, 2) + box(4, 5, 2)
    np.testing.assert_array_equal(found.volume.voxels, expected)


def test_a_keyhole_is_a_hole(tmp_path, folder, grid):
    outer, inner = square(1, 8), square(3, 5)
    keyhole = [*outer, outer[0], *inner[:1], *inner[:0:-1], inner[0]]
    found = read(tmp_path, [("ring", [in_mm(keyhole, 2, grid)])], folder)
    np.testing.assert_array_equal(found.volume.voxels, box(1, 8, 2) - box(3, 5, 2))


def test_a_contour_that_is_stored_twice_counts_once(tmp_path, folder, grid):
    found = read(tmp_path, [("x", [in_mm(square(2, 5), 1, grid)] * 2)], folder)
    np.testing.assert_array_equal(found.volume.voxels, box(2, 5, 1))


def test_a_contour_may_leave_the_image_in_plane(tmp_path, folder, grid):
    found = read(tmp_path, [("body", [in_mm(square(-3, 40), 1, grid)])], folder)
    assert (found.volume.voxels == np.array([0, 1, 0, 0, 0, 0])).all()


@pytest.mark.parametrize(
    ("slice_", "finding"),
    [
        (1.5, "1.550 mm off"),
        (1.2, "0.620 mm off"),
        (6, "3.1 mm beyond its last slice"),
        (-2, "6.2 mm"),
    ],
)
def test_contours_off_the_slices_are_refused(tmp_path, folder, grid, slice_, finding):
    with pytest.raises(CaseError, match=f"contours of 'x' .*{finding}"):
        read(tmp_path, [("x", [in_mm(square(2, 5), slice_, grid)])], folder)


def test_contours_close_to_a_slice_are_on_it(tmp_path, folder, grid):
    found = read(tmp_path, [("x", [in_mm(square(2, 5), 1.08, grid)])], folder)
    np.testing.assert_array_equal(found.volume.voxels, box(2, 5, 1))


def test_contours_across_slices_are_refused(tmp_path, folder, grid):
    points = in_mm(square(2, 5), 1, grid)
    points[2:] = in_mm(square(2, 5), 3, grid)[2:]
    with pytest.raises(CaseError, match="on the slices of the image, found one 3.1"):
        read(tmp_path, [("x", [points])], folder)


def point(dataset):
    dataset.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = "POINT"


def test_what_has_no_closed_contour_is_left_out_and_noted(tmp_path, folder, grid):
    rois = [(name, [in_mm(square(2, 5), 1, grid)]) for name in ("isocentre", "liver")]
    found = read(tmp_path, [*rois, ("empty", [])], folder, change=point)
    np.testing.assert_array_equal(found.volume.voxels, 2 * box(2, 5, 1))
    assert found.names == {2: "liver"}
    assert found.volume.notes == (
        "'isocentre': 1 of its contours are no closed polygons: left out",
        "'isocentre' has no closed contour: left out",
        "'empty' has no closed contour: left out",
    )


def short(dataset):
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2", "3", "4", "5", "6"]


def broken(dataset):
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = ["1"] * 10


def unnamed(dataset):
    dataset.ROIContourSequence[0].ReferencedROINumber = 7


def empty(dataset):
    del dataset.ROIContourSequence


def without_data(dataset):
    del dataset.ROIContourSequence[0].ContourSequence[0].ContourData


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (short, "three or more points of a contour of 'x', found 6"),
        (broken, "three or more points of a contour of 'x', found 10"),
        (without_data, "three or more points of a contour of 'x', found 0"),
        (unnamed, "expected a structure of each contour"),
        (empty, "found none with content"),
    ],
)
def test_a_broken_structure_set_is_refused(tmp_path, folder, grid, change, finding):
    with pytest.raises(CaseError, match=finding):
        read(tmp_path, [("x", [in_mm(square(2, 5), 1, grid)])], folder, change=change)


def test_a_structure_set_of_other_images_is_refused(tmp_path, folder, grid):
    rois = [("x", [in_mm(square(2, 5), 1, grid)])]
    with pytest.raises(CaseError, match="they belong to other images"):
        read(tmp_path, rois, folder, uid="1.2.3.4")


def test_one_of_two_structure_sets_is_to_be_named(tmp_path, folder, grid):
    rois = [("x", [in_mm(square(2, 5), 1, grid)])]
    (tmp_path / "rt").mkdir()
    for name in ("a.dcm", "b.dcm"):
        write_structures(tmp_path / "rt" / name, rois)
    with pytest.raises(CaseError, match="found 0 SEG and 2 RTSTRUCT; name one: .*a.dcm, .*b.dcm"):
        read_labels(tmp_path / "rt", read_series(folder))


def test_of_overlapping_structures_the_later_is_kept(tmp_path, folder, grid):
    rois = [(f"{low}", [in_mm(square(low, low + 3), 1, grid)]) for low in (2, 4)]
    found = read(tmp_path, rois, folder)
    np.testing.assert_array_equal(found.volume.voxels, np.maximum(box(2, 5, 1), 2 * box(4, 7, 1)))
    assert found.volume.notes[0] == "'4' (2) covers 4 voxels of '2' (1): the later one is kept"


def test_a_structure_without_a_voxel_is_noted(tmp_path, folder, grid):
    tiny = np.array(square(6, 6)) * 0.4 + (6.4 * 0.6, 6.4 * 0.6)  # around no centre of a voxel
    rois = [("liver", [in_mm(square(2, 5), 1, grid)]), ("tiny", [in_mm(tiny, 1, grid)])]
    found = read(tmp_path, rois, folder)
    np.testing.assert_array_equal(found.volume.voxels, box(2, 5, 1))
    assert found.volume.notes == ("no voxel of 'tiny' (2)",)


@pytest.mark.parametrize("change", [short, broken, without_data])
def test_a_broken_contour_concerns_its_structure_only(tmp_path, folder, grid, change):
    rois = [(name, [in_mm(square(2, 5), 1, grid)]) for name in ("bad", "ok")]
    file = write_structures(tmp_path / "rt.dcm", rois, change=change)
    found = read_labels(file, read_series(folder), only=["ok"])
    np.testing.assert_array_equal(found.volume.voxels, 2 * box(2, 5, 1))
    with pytest.raises(CaseError, match="a contour of 'bad', found .* chooses other structures"):
        read_labels(file, read_series(folder), only=["bad"])


def test_contours_of_no_structure_do_not_concern_those_that_are_chosen(tmp_path, folder, grid):
    rois = [(name, [in_mm(square(2, 5), 1, grid)]) for name in ("stray", "ok")]
    file = write_structures(tmp_path / "rt.dcm", rois, change=unnamed)
    found = read_labels(file, read_series(folder), only=["ok"])
    np.testing.assert_array_equal(found.volume.voxels, 2 * box(2, 5, 1))
    assert found.volume.notes == ()


def test_what_is_left_out_of_other_structures_is_not_noted(tmp_path, folder, grid):
    rois = [(name, [in_mm(square(2, 5), 1, grid)]) for name in ("isocentre", "liver")]
    file = write_structures(tmp_path / "rt.dcm", rois, change=point)
    assert read_labels(file, read_series(folder), only=["liver"]).volume.notes == ()
