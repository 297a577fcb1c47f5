"""Segmentations that highdicom writes: voxel for voxel on the image, or refused with the mm."""

import copy

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentationTypeValues
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless, RLELossless, generate_uid

from segbench.data.convert.dicom import read_labels, read_series
from segbench.data.convert.dicom_seg import clean_name
from segbench.errors import CaseError
from tests.data.convert.dicom_writer import AXIAL, OBLIQUE, write_enhanced, write_series

SHAPE = (7, 5, 6)
NAMES = ("liver", "tumour", "vessel")


def segments(seed=3):
    """Return masks (column, row, slice, segment) that do not overlap, with slices without any."""
    labels = np.random.RandomState(seed).randint(0, 4, SHAPE)
    labels[:, :, 2] = 0
    labels[..., 4][labels[..., 4] == 2] = 0
    return np.stack([labels == number for number in (1, 2, 3)], axis=-1)


def label_map(masks):
    return (masks * np.arange(1, masks.shape[-1] + 1)).max(-1)


def description(number, name):
    return highdicom.seg.SegmentDescription(
        number,
        name,
        codes.SCT.Organ,
        codes.SCT.Liver,
        highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )


def segmentation(
    files, masks, *, kind="BINARY", syntax=ExplicitVRLittleEndian, names=NAMES, **more
):
    """Return a SEG of masks (column, row, slice, segment), or of a label map without segments."""
    sources = [pydicom.dcmread(file) for file in files]
    pixels = masks.transpose(2, 1, 0, *range(3, masks.ndim))
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=SegmentationTypeValues(kind),
        segment_descriptions=[description(i, name) for i, name in enumerate(names, 1)],
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="m",
        manufacturer_model_name="m",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=syntax,
        **more,
    )


@pytest.fixture(params=[AXIAL, OBLIQUE], ids=["axial", "oblique"])
def series(request, tmp_path):
    """Return files, folder and volume of a series."""
    files = write_series(tmp_path / "ct", np.zeros(SHAPE), orientation=request.param)
    return files, tmp_path / "ct", read_series(tmp_path / "ct")


def read(tmp_path, seg, series, **options):
    """Return what is read of a SEG, or of several in a folder."""
    folder = tmp_path / "seg"
    folder.mkdir(exist_ok=True)
    for number, each in enumerate(seg if isinstance(seg, list) else [seg]):
        each.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return read_labels(folder, series[2], **options)


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("omit", [True, False])
def test_segments_with_gaps_are_read_voxel_for_voxel(tmp_path, series, kind, omit):
    masks = segments()
    pixels = label_map(masks).astype(np.uint8) if kind == "LABELMAP" else masks.astype(np.uint8)
    seg = segmentation(series[0], pixels, kind=kind, omit_empty_frames=omit)
    found = read(tmp_path, seg, series)
    np.testing.assert_array_equal(found.volume.voxels, label_map(masks))
    assert found.names == dict(enumerate(NAMES, 1))
    assert found.volume.voxels.dtype == np.uint8
    np.testing.assert_array_equal(found.volume.affine, series[2].affine)


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_segments_are_decoded(tmp_path, series, kind, syntax):
    masks = segments()
    pixels = masks.astype(float) if kind == "FRACTIONAL" else label_map(masks).astype(np.uint8)
    found = read(tmp_path, segmentation(series[0], pixels, kind=kind, syntax=syntax), series)
    np.testing.assert_array_equal(found.volume.voxels, label_map(masks))


def test_a_fractional_voxel_counts_from_half(tmp_path, series):
    share = np.zeros((*SHAPE, 1))
    share[1, 1, 1], share[2, 1, 1], share[3, 1, 1] = 0.49, 0.51, 1
    seg = segmentation(series[0], share, kind="FRACTIONAL", names=["x"], max_fractional_value=200)
    found = read(tmp_path, seg, series)
    assert np.argwhere(found.volume.voxels).tolist() == [[2, 1, 1], [3, 1, 1]]
    assert "half of the maximum" in found.rule


def test_of_overlapping_segments_the_later_is_kept_and_noted(tmp_path, series):
    masks = np.zeros((*SHAPE, 2), bool)
    masks[1:5, 1:4, 1:4, 0] = masks[3:6, 2:5, 2:5, 1] = True
    found = read(tmp_path, segmentation(series[0], masks, names=NAMES[:2]), series)
    np.testing.assert_array_equal(found.volume.voxels, label_map(masks))
    assert found.volume.notes == (
        "'tumour' (2) covers 8 voxels of 'liver' (1): the later one is kept",
    )


def covered():
    masks = np.zeros((*SHAPE, 2), bool)
    masks[2:4, 2:4, 2:4, 0] = masks[..., 1] = True
    return masks


def test_segments_that_become_one_label_lose_nothing_to_each_other(tmp_path, series):
    masks = np.concatenate([covered(), np.zeros((*SHAPE, 1), bool)], axis=-1)
    masks[0, 0, 0] = True, True, True
    seg = segmentation(series[0], masks, names=["tumour", "body", "vessel"])
    with pytest.raises(CaseError, match=r"'tumour' \(1\), found none"):
        read(tmp_path, seg, series)
    found = read(tmp_path, seg, series, merged=[["tumour", "body"], ["vessel"]])
    np.testing.assert_array_equal(found.volume.voxels > 0, masks.any(axis=-1))
    assert found.volume.notes == (
        "'vessel' (3) covers 1 voxel of 'body' (2): the later one is kept",
    )
    by_number = read(tmp_path, seg, series, merged=[["1", "2"]])
    assert by_number.volume.notes == found.volume.notes
    assert read(tmp_path, seg, series, merged=[["all"]]).volume.notes == ()


def test_labels_that_are_merged_and_covered_together_are_not_lost_silently(tmp_path, series):
    masks = np.concatenate([covered(), np.ones((*SHAPE, 1), bool)], axis=-1)
    seg = segmentation(series[0], masks, names=["tumour", "body", "couch"])
    with pytest.raises(CaseError, match=r"'tumour' \(1\), found none: 'couch' \(3\) is later"):
        read(tmp_path, seg, series, merged=[["tumour", "body"]])


def test_a_segment_without_a_voxel_is_noted(tmp_path, series):
    masks = np.zeros((*SHAPE, 2), bool)
    masks[1:5, 1:4, 1:4, 1] = True
    found = read(tmp_path, segmentation(series[0], masks, names=NAMES[:2]), series)
    assert found.volume.notes == ("no voxel of 'liver' (1)",)


def test_a_segment_that_a_later_one_covers_is_not_lost_silently(tmp_path, series):
    seg = segmentation(series[0], covered(), names=["tumour", "body"])
    with pytest.raises(
        CaseError, match=r"some voxels of 'tumour' \(1\), found none: 'body' \(2\) is later"
    ):
        read(tmp_path, seg, series)
    found = read(tmp_path, seg, series, only=["tumour"])
    np.testing.assert_array_equal(found.volume.voxels, covered()[..., 0])
    assert found.names == {1: "tumour"}
    by_number = read(tmp_path, seg, series, only=["1", "7"])
    np.testing.assert_array_equal(by_number.volume.voxels, covered()[..., 0])
    with pytest.raises(CaseError, match=r"its segments \(body, tumour\), found 'lung'"):
        read(tmp_path, seg, series, only=["lung"])


def test_several_files_are_numbered_on(tmp_path, series):
    masks = segments()
    segs = [
        segmentation(series[0], masks[..., :2], names=NAMES[:2]),
        segmentation(series[0], masks[..., 2:], names=NAMES[2:]),
    ]
    found = read(tmp_path, segs, series)
    np.testing.assert_array_equal(found.volume.voxels, label_map(masks))
    assert found.names == dict(enumerate(NAMES, 1))


def test_a_segment_may_be_drawn_on_an_enhanced_image(tmp_path):
    file = write_enhanced(tmp_path / "image.dcm", np.zeros(SHAPE), order=[3, 1, 0, 2, 5, 4])
    image, masks = read_series(file), segments()
    seg = segmentation([file], masks[:, :, [3, 1, 0, 2, 5, 4]])
    found = read(tmp_path, seg, ([file], file, image))
    np.testing.assert_array_equal(found.volume.voxels, label_map(masks))


def turned(seg, columns):
    """Store the frames as seen from the other side: columns, or rows and columns reversed."""
    pixels = seg.pixel_array[:, :, ::-1] if columns else seg.pixel_array[:, ::-1, ::-1]
    axes = np.array(
        seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    ).reshape(2, 3)
    for group in seg.PerFrameFunctionalGroupsSequence:
        place = copy.deepcopy(group.PlanePositionSequence[0])  # highdicom shares it among segments
        group.PlanePositionSequence = [place]
        shift = axes[0] * 0.7 * (SHAPE[0] - 1) + (0 if columns else axes[1] * 1.3 * (SHAPE[1] - 1))
        place.ImagePositionPatient = [
            f"{x:.10g}" for x in np.array(place.ImagePositionPatient) + shift
        ]
    axes = axes * [[-1], [1 if columns else -1]]
    item = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    item.ImageOrientationPatient = axes.ravel().tolist()
    seg.PixelData = np.packbits(pixels.ravel(), bitorder="little").tobytes() + b"\0"
    seg.PixelData = seg.PixelData[: len(seg.PixelData) // 2 * 2]


@pytest.mark.parametrize("columns", [True, False])
def test_frames_may_be_flipped_against_the_image(tmp_path, series, columns):
    masks = segments()
    seg = segmentation(series[0], masks)
    turned(seg, columns)
    found = read(tmp_path, seg, series)
    np.testing.assert_array_equal(found.volume.voxels, label_map(masks))


def test_frames_may_cover_a_part_of_the_image(tmp_path):
    write_series(tmp_path / "ct", np.zeros(SHAPE))
    image = read_series(tmp_path / "ct")
    masks, origin = segments(), (-20.5 + 2 * 0.7, 11.25 + 1.3, -100 + 3.1)
    part = masks[2:6, 1:4, 1:5]
    files = write_series(tmp_path / "part", part[..., 0], origin=origin)
    found = read(tmp_path, segmentation(files, part), (files, tmp_path / "ct", image))
    expected = np.zeros(SHAPE, int)
    expected[2:6, 1:4, 1:5] = label_map(part)
    np.testing.assert_array_equal(found.volume.voxels, expected)


@pytest.mark.parametrize(
    ("grid", "finding"),
    [
        ({"origin": (-20.3, 11.25, -100)}, "found one up to 0.200 mm off them"),
        ({"origin": (-20.5, 11.25, -101)}, "found one up to 1.000 mm off them"),
        ({"spacing": (0.75, 1.3, 3.1)}, "found one up to 0.300 mm off them"),
        ({"spacing": (1.4, 1.3, 3.1)}, "found one up to 4.200 mm off them"),
        ({"orientation": OBLIQUE}, "mm off them"),
        ({"origin": (-20.5, 11.25, -103.1)}, "outside, up to 3.1 mm"),
    ],
)
def test_another_grid_is_refused_with_the_difference(tmp_path, grid, finding):
    write_series(tmp_path / "ct", np.zeros(SHAPE))
    files = write_series(tmp_path / "other", np.zeros(SHAPE), **grid)
    seg = segmentation(files, np.ones((*SHAPE, 1), bool), names=["x"])
    with pytest.raises(CaseError, match=finding):
        read(tmp_path, seg, (files, tmp_path / "ct", read_series(tmp_path / "ct")))


def test_positions_rounded_in_the_file_are_on_the_grid(tmp_path):
    write_series(tmp_path / "ct", np.zeros(SHAPE))
    files = write_series(tmp_path / "other", np.zeros(SHAPE), origin=(-20.49, 11.26, -100.1))
    seg = segmentation(files, segments())
    found = read(tmp_path, seg, (files, tmp_path / "ct", read_series(tmp_path / "ct")))
    np.testing.assert_array_equal(found.volume.voxels, label_map(segments()))


def test_labels_in_another_frame_of_reference_are_refused(tmp_path, series):
    seg = segmentation(series[0], segments())
    seg.FrameOfReferenceUID = "1.2.3.4"
    with pytest.raises(CaseError, match="they belong to other images"):
        read(tmp_path, seg, series)


def test_names_come_from_the_label_or_the_code(tmp_path, series):
    seg = segmentation(series[0], segments())
    seg.SegmentSequence[0].SegmentLabel = "  two   words "
    del seg.SegmentSequence[1].SegmentLabel
    del seg.SegmentSequence[2].SegmentLabel
    del seg.SegmentSequence[2].SegmentedPropertyTypeCodeSequence
    names = read(tmp_path, seg, series).names
    assert names == {1: "two words", 2: "Liver", 3: "segment 3"}


def test_a_name_is_one_line_of_printable_characters():
    assert clean_name("a\r\n\tb\x1b[31m" + 80 * "x", "") == "a b [31m" + 56 * "x"
    assert clean_name(" \0 ", "segment 2") == clean_name(None, "segment 2") == "segment 2"


def drop_groups(seg):
    del seg.PerFrameFunctionalGroupsSequence


def drop_kind(seg):
    del seg.SegmentationType


def unknown_segment(seg):
    item = seg.PerFrameFunctionalGroupsSequence[2].SegmentIdentificationSequence[0]
    item.ReferencedSegmentNumber = 9


def same_twice(seg):
    seg.SegmentSequence[1].SegmentNumber = 1


def nothing(seg):
    seg.SegmentSequence = []


def fewer_bytes(seg):
    seg.PixelData = seg.PixelData[:-4]


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (drop_groups, "a position of each of 14 frames, found 0"),
        (drop_kind, "expected a binary, fractional or label map"),
        (unknown_segment, "frame 2: expected a segment that is described, found 9"),
        (same_twice, "each segment once, found 1 twice"),
        (nothing, "found none with content"),
        (fewer_bytes, "bytes of pixels, found"),
    ],
)
def test_a_broken_segmentation_is_refused(tmp_path, series, change, finding):
    seg = segmentation(series[0], segments())
    change(seg)
    with pytest.raises(CaseError, match=finding):
        read(tmp_path, seg, series)


def test_an_image_is_no_segmentation(tmp_path, series):
    with pytest.raises(CaseError, match="expected DICOM SEG or RTSTRUCT, found CT Image Storage"):
        read_labels(series[1], series[2])


def test_a_segmentation_next_to_its_images_is_no_second_series(tmp_path, series):
    seg = segmentation(series[0], segments())
    seg.save_as(series[1] / "seg.dcm", enforce_file_format=True)
    image = read_series(series[1])
    found = read_labels(series[1], image)
    np.testing.assert_array_equal(found.volume.voxels, label_map(segments()))


def test_more_than_255_segments_take_two_bytes(tmp_path, series):
    numbers = np.zeros(SHAPE, np.uint16)
    numbers[1, 2, 3], numbers[2, 2, 3] = 300, 7
    names = [f"cell {number}" for number in range(1, 301)]
    seg = segmentation(series[0], numbers, kind="LABELMAP", names=names)
    found = read(tmp_path, seg, series)
    np.testing.assert_array_equal(found.volume.voxels, numbers)
    assert found.volume.voxels.dtype == np.uint16
    assert isinstance(seg, Dataset)
