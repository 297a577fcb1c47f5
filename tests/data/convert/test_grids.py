"""Label maps on other grids than their image."""

import numpy as np
import pytest

from segbench.data.convert.grids import CaseGrid, place, warnings_of
from segbench.errors import CaseError
from tests.data.convert.sources import ROTATION, affine_of

SHAPE = (6, 7, 8)  # x, y, z
IMAGE = CaseGrid(affine_of("LPS", (1.0, 1.0, 2.0)), SHAPE)
MAP = np.arange(6 * 7 * 8, dtype=np.uint16).reshape(8, 7, 6) % 5


def moved(mm, shape=SHAPE):
    affine = IMAGE.affine.copy()
    affine[0, 3] += mm
    return CaseGrid(affine, shape)


def put(own, label_map=MAP, *, resample=False):
    return place(label_map, own, IMAGE, resample=resample, name="seg.nii")


def test_an_equal_grid_changes_nothing():
    placed = put(moved(0.004))  # rounding
    assert placed.label_map is MAP
    assert placed.how == ""


def test_another_grid_is_refused_with_the_difference_in_mm():
    with pytest.raises(CaseError, match=r"seg\.nii: .*corners up to 3 mm apart; --resample-labels"):
        put(moved(3.0 - 6.0))
    finer = CaseGrid(affine_of("LPS", (0.5, 1.0, 2.0)), (12, 7, 8))
    with pytest.raises(CaseError, match=r"12 x 7 x 8 voxels .* spacing 0\.5 x 1 x 2 mm"):
        put(finer, np.zeros((8, 7, 12), np.uint8))


def test_a_part_of_the_image_is_filled_up():
    part = MAP[2:5, 1:4, 2:6]
    affine = IMAGE.affine @ [[1, 0, 0, 2], [0, 1, 0, 1], [0, 0, 1, 2], [0, 0, 0, 1]]
    placed = put(CaseGrid(affine, part.shape[::-1]), part)
    expected = np.zeros_like(MAP)
    expected[2:5, 1:4, 2:6] = part
    assert np.array_equal(placed.label_map, expected)
    assert "filled up" in placed.how
    assert not placed.is_resampled


def test_half_a_voxel_is_no_part_of_the_image():
    with pytest.raises(CaseError, match="corners up to"):
        put(moved(0.5, (5, 7, 8)), MAP[:, :, :5])


def test_the_nearest_label_is_taken_by_wish():
    placed = put(moved(-0.3), resample=True)  # x grows to the left: 0.3 voxels further
    assert np.array_equal(placed.label_map, MAP)
    assert placed.is_resampled
    finer = CaseGrid(affine_of("LPS", (0.5, 1.0, 2.0)), (12, 7, 8))
    doubled = np.repeat(MAP, 2, axis=2)
    assert np.array_equal(put(finer, doubled, resample=True).label_map, MAP)


def test_what_is_outside_of_the_labels_is_background():
    placed = put(moved(-2.0), resample=True)
    expected = np.zeros_like(MAP)
    expected[:, :, 2:] = MAP[:, :, :-2]
    assert np.array_equal(placed.label_map, expected)


def test_oblique_and_sheared_grids_are_kept_with_a_warning():
    assert warnings_of(affine_of("RAS")) == []
    assert "oblique, 40 degrees" in warnings_of(affine_of("RAS", rotation=ROTATION))[0]
    sheared = affine_of("RAS")
    sheared[0, 1] = 0.1
    assert "sheared" in warnings_of(sheared)[0]
