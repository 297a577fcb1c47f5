"""Painted prompts, checked by hand."""

import numpy as np

from segbench.core import Box, Click, Interactions
from segbench.models.prompt_painting import ball_mask, paint_prompts


def interactions_of(*rounds, shape=(10, 20, 31)):
    return Interactions(rounds, np.zeros(shape, np.uint8))


def whole(size):
    return np.ones(size, bool)


def test_a_ball_of_radius_four_has_257_voxels():
    _, mask = ball_mask((31, 31, 31), (15, 15, 15), 4.0)
    assert mask.shape == (9, 9, 9)
    assert mask.sum() == 257


def test_a_ball_at_the_border_is_cropped():
    roi, mask = ball_mask((31, 31, 31), (0, 15, 30), 4.0)
    assert mask.shape == (5, 9, 5)
    assert (roi[0].start, roi[2].stop) == (0, 31)


def test_later_prompts_paint_over_earlier_ones():
    boxes = (Box(1, (0, 0, 0), (5, 5, 5), 2), Box(2, (3, 3, 3), (8, 8, 8), 5))
    segmentation = paint_prompts(interactions_of(boxes), whole)
    assert segmentation[4, 4, 4] == 2
    assert segmentation[2, 2, 2] == 1
    segmentation = paint_prompts(interactions_of(boxes, (Click(1, (5, 5, 5), True),)), whole)
    assert segmentation[5, 5, 5] == 1


def test_a_negative_click_erases_its_own_label_only():
    boxes = (Box(1, (0, 0, 0), (5, 20, 31), 2), Box(2, (5, 0, 0), (10, 20, 31), 7))
    segmentation = paint_prompts(interactions_of(boxes, (Click(1, (4, 10, 15), False),)), whole)
    assert segmentation[4, 10, 15] == 0
    assert (segmentation[5:] == 2).all()


def test_without_a_box_only_balls_are_painted():
    segmentation = paint_prompts(interactions_of((), (Click(3, (5, 10, 15), True),)), whole)
    assert (segmentation == 3).sum() == 257


def test_a_box_that_exceeds_the_volume_is_cropped():
    segmentation = paint_prompts(interactions_of((Box(1, (8, 18, 29), (20, 30, 40), 9),)), whole)
    assert segmentation.sum() == 2 * 2 * 2


def test_labels_above_255_need_a_wider_dtype():
    assert paint_prompts(interactions_of((Box(300, (0, 0, 0), (2, 2, 2), 0),)), whole).max() == 300
