"""The prompt channels of `ours`, against values computed by hand."""

import numpy as np
import pytest
import torch

from adapters.ours.crop import Window
from adapters.ours.prompts import (
    BOX,
    CHANNELS,
    IMAGE,
    NEGATIVE,
    POSITIVE,
    PREVIOUS,
    ball_radius,
    draw_box,
    draw_clicks,
)
from adapters.ours.training.interactive_batch import ball_masks, box_masks, start_batch
from segbench.core import Box, Click


def empty(patch=12):
    return np.zeros((CHANNELS, *(patch,) * 3), np.float32)


def test_channels_are_in_the_order_of_the_weights():
    assert (IMAGE, PREVIOUS, BOX, POSITIVE, NEGATIVE) == (0, 1, 2, 4, 5)
    image, previous = torch.full((1, 4, 4, 4), 0.5), torch.zeros(1, 4, 4, 4, dtype=torch.bool)
    previous[:, 1] = True
    batch = start_batch(image, previous, [None])
    batch.add_clicks(previous)
    channels = batch.inputs[0].numpy()
    assert channels.shape == (8, 4, 4, 4)
    assert channels.dtype == np.float32
    np.testing.assert_array_equal(channels[0], image[0])
    np.testing.assert_array_equal(channels[1], previous[0])
    assert not channels[[2, 3, 5, 6, 7]].any()


def test_training_marks_boxes_and_clicks_as_inference_does():
    channels, window = empty(), Window((0, 0, 0), (12, 12, 12))
    draw_box(channels, Box(1, (2, 3, 4), (5, 6, 9), 3), window)
    draw_clicks(channels, [Click(1, (1, 6, 7), True)], window, radius=ball_radius(12))
    boxes = box_masks(torch.tensor([[2, 3, 4]]), torch.tensor([[5, 6, 9]]), 12)
    np.testing.assert_array_equal(boxes[0], channels[BOX] > 0)
    balls = ball_masks(torch.tensor([[1, 6, 7]]), 12)
    np.testing.assert_array_equal(balls[0], channels[POSITIVE] > 0)


def test_the_whole_box_is_filled_including_the_last_plane():
    channels = empty()
    draw_box(channels, Box(1, (2, 3, 4), (5, 6, 9), 3), Window((0, 0, 0), (12, 12, 12)))
    expected = np.zeros((12, 12, 12))
    expected[2:5, 3:6, 4:9] = 1
    np.testing.assert_array_equal(channels[BOX], expected)
    assert not np.delete(channels, BOX, axis=0).any()


def test_a_box_on_one_slice_is_drawn_at_any_zoom():
    for start in range(20, 40):
        channels = empty()
        box = Box(1, (start, 10, 10), (start + 1, 50, 50), start)
        draw_box(channels, box, Window((0, 0, 0), (60, 60, 60)))
        assert channels[BOX].any(axis=(1, 2)).sum() == 1
        assert channels[BOX, start // 5].sum() == 64


def test_a_box_is_clipped_to_the_window():
    channels = empty()
    draw_box(channels, Box(1, (0, 0, 0), (40, 40, 40), 20), Window((30, -4, 0), (12, 12, 12)))
    expected = np.zeros((12, 12, 12))
    expected[:10, 4:, :] = 1
    np.testing.assert_array_equal(channels[BOX], expected)


def test_clicks_are_balls_in_the_channel_of_their_sign():
    channels = empty()
    clicks = [Click(1, (15, 16, 17), True), Click(1, (14, 14, 14), False)]
    draw_clicks(channels, clicks, Window((10, 10, 10), (12, 12, 12)), radius=1.0)
    assert channels[POSITIVE].sum() == 7
    assert channels[POSITIVE, 5, 6, 7] == 1
    assert channels[POSITIVE, 4, 6, 7] == 1
    assert channels[NEGATIVE].sum() == 7
    assert channels[NEGATIVE, 4, 4, 4] == 1


def test_a_ball_of_radius_four_has_257_voxels():
    channels = empty(24)
    draw_clicks(channels, [Click(1, (12, 12, 12), True)], Window((0, 0, 0), (24,) * 3), radius=4.0)
    assert channels[POSITIVE].sum() == 257


def test_a_click_is_drawn_at_the_zoomed_position_of_its_voxel():
    """Voxel 25 of 48 spans 6.25 to 6.5 of a patch of 12: its centre is 6.375 - 0.5."""
    channels = empty()
    draw_clicks(channels, [Click(1, (25, 25, 25), True)], Window((0, 0, 0), (48,) * 3), radius=0.5)
    np.testing.assert_array_equal(np.argwhere(channels[POSITIVE]), [[6, 6, 6]])


@pytest.mark.parametrize("at", [(0, 0, 0), (90, 5, 5), (15, 15, 90)])
def test_a_click_outside_the_window_draws_nothing(at):
    channels = empty()
    draw_clicks(channels, [Click(1, at, True)], Window((10, 10, 10), (12, 12, 12)), radius=2.0)
    assert not channels.any()


def test_the_click_radius_is_four_at_192_and_never_below_two():
    assert [ball_radius(patch) for patch in (192, 144, 96, 48)] == [4.0, 3.0, 2.0, 2.0]
