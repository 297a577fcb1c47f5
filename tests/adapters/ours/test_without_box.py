"""The window of `ours` without a box, and when it is enlarged."""

import numpy as np
import pytest
import torch

from adapters.ours.crop import Window, crop_mask
from adapters.ours.without_box import (
    PreviousBoxes,
    estimate_box,
    touches_border,
    transfer_prediction,
)
from segbench.core import Click

SHAPE = (40, 50, 60)


def click(*at):
    return Click(1, at, True)


def test_the_first_click_is_a_box_of_one_voxel():
    box = estimate_box([click(3, 4, 5)], None)
    assert (box.low, box.high) == ((3, 4, 5), (4, 5, 6))


def test_the_box_contains_all_clicks_and_the_previous_segmentation():
    previous_box = (slice(8, 12), slice(1, 6), slice(2, 9))
    box = estimate_box([click(3, 20, 5), click(9, 4, 5)], previous_box)
    assert (box.low, box.high) == ((3, 1, 2), (12, 21, 9))


def test_a_positive_click_outside_the_segmentation_extends_the_box_on_both_sides():
    """An object of radius 20, a segmentation of radius 10: the user clicks at radius 15."""
    previous_box = (slice(40, 61), slice(40, 61), slice(40, 61))
    box = estimate_box([click(50, 50, 50), click(50, 50, 65)], previous_box)
    assert (box.low, box.high) == ((40, 40, 30), (61, 61, 71))
    box = estimate_box([click(50, 50, 50), click(35, 50, 50)], previous_box)
    assert (box.low, box.high) == ((30, 40, 40), (71, 61, 61))


def test_only_the_last_click_extends_the_box_and_only_a_positive_one():
    previous_box = (slice(40, 61), slice(40, 61), slice(40, 61))
    for last in (click(50, 50, 50), Click(1, (50, 50, 65), False)):
        box = estimate_box([click(50, 50, 65), last], previous_box)
        assert (box.low, box.high) == ((40, 40, 40), (61, 61, 66))


def test_the_box_of_a_previous_label_is_found_and_none_of_an_absent_one():
    label_map = np.zeros((5, 6, 7), np.uint8)
    label_map[1:3, 2, 4:6] = 3
    previous_boxes = PreviousBoxes(label_map)
    assert previous_boxes.of(3) == (slice(1, 3), slice(2, 3), slice(4, 6))
    assert previous_boxes.of(1) is None
    assert previous_boxes.of(300) is None


def face_of(axis, index, patch=12):
    mask = torch.zeros((patch,) * 3, dtype=torch.bool)
    mask.select(axis, index)[4:8, 4:8] = True
    return mask


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("index", [0, -1])
def test_a_prediction_on_a_face_inside_the_volume_touches_the_border(axis, index):
    inside = Window((5, 5, 5), (12, 12, 12))
    assert touches_border(face_of(axis, index), inside, SHAPE)
    assert not touches_border(face_of(axis, 1 if index == 0 else -2), inside, SHAPE)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("index", [0, -1])
def test_a_face_at_or_beyond_the_border_of_the_volume_does_not_count(axis, index):
    low, size = [5, 5, 5], [12, 12, 12]
    low[axis] = 0 if index == 0 else SHAPE[axis] - 12
    window = Window(tuple(low), tuple(size))
    assert not touches_border(face_of(axis, index), window, SHAPE)
    assert not touches_border(face_of(axis, index), Window((-1, -1, -1), (70, 70, 70)), SHAPE)


def test_a_few_voxels_on_a_face_do_not_count_as_touching():
    mask = torch.zeros((48,) * 3, dtype=torch.bool)
    mask[0, 3, 3:7] = True  # 4 of 2304
    assert not touches_border(mask, Window((5, 5, 5), (48, 48, 48)), (200, 200, 200))
    mask[0, 3, 3:8] = True
    assert touches_border(mask, Window((5, 5, 5), (48, 48, 48)), (200, 200, 200))


def test_the_prediction_is_transferred_to_the_wider_window():
    """Inside the narrow window its prediction counts, outside the previous segmentation."""
    narrow, wider = Window((10, 10, 10), (8, 8, 8)), Window((6, 6, 6), (16, 16, 16))
    previous = np.zeros(SHAPE, np.uint8)
    previous[6:14, 6:14, 6:14] = 1
    prediction = np.zeros((8, 8, 8), bool)
    prediction[4:, 4:, 4:] = True
    expected = previous == 1
    expected[10:18, 10:18, 10:18] = False
    expected[14:18, 14:18, 14:18] = True
    merged = transfer_prediction(crop_mask(previous, wider, 8, label=1), prediction, narrow, wider)
    np.testing.assert_array_equal(merged, crop_mask(expected.astype(np.uint8), wider, 8, label=1))
