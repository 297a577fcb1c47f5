"""The network's answer on the random walker's grid, and the walk that refines it."""

import numpy as np
import pytest
import torch

from adapters._coarse_grid import coarse_grid, upsample
from adapters._random_walk import Hint, make_hint
from adapters._walk_settings import SMOOTHNESS
from adapters.ours.crop import Window
from adapters.ours.merging import LabelLogits
from adapters.ours.refinement import (
    MAX_NETWORK_ODDS,
    click_hints,
    foreground_extent,
    network_odds,
    refine,
    smoothness_for,
)
from adapters.ours.resampling import PatchOnVolume, blocks_on_volume
from segbench.core import Box, Click, Image, Interactions

SHAPE = (14, 30, 34)
WHOLE = tuple(slice(0, n) for n in SHAPE)
BOX = Box(1, (4, 8, 9), (11, 23, 26), 7)
PATCH = 16


def patch_on_volume(window: Window, seed: int = 0) -> PatchOnVolume:
    values = np.random.default_rng(seed).normal(0, 3, (PATCH,) * 3).astype(np.float32)
    return PatchOnVolume(torch.from_numpy(values), window, WHOLE)


def ball_logits(centre, radius) -> PatchOnVolume:
    """Return logits that are positive in a ball; the window is 32 voxels wide."""
    window = Window((-9, -1, 1), (32, 32, 32))
    grid = np.indices((PATCH,) * 3).transpose(1, 2, 3, 0) * 2 + 0.5 + window.low
    logits = 2 * (radius - np.sqrt(((grid - centre) ** 2).sum(-1)))
    return PatchOnVolume(torch.from_numpy(logits.astype(np.float32)), window, WHOLE)


def image(centre=(7, 15, 17), radius=6.0, contrast=80) -> Image:
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
    inside = np.sqrt(((grid - np.array(centre)) ** 2).sum(-1)) < radius
    noise = np.random.default_rng(1).normal(0, 8, SHAPE)
    return Image((90 + contrast * inside + noise).clip(0, 255).astype(np.uint8), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "window", [Window((-1, 4, 5), (16, 16, 16)), Window((-9, -20, -5), (48, 48, 48))]
)
@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 3, 4)])
def test_block_means_are_those_of_the_voxels(window, factors):
    patch, outside = patch_on_volume(window), -5.0
    volume = np.full([n + 12 for n in SHAPE], outside, np.float32)
    volume[patch.region] = patch.slices(patch.region[0]).numpy()
    corner, shape = (1, 2, 3), (6, 5, 7)
    cut = tuple(slice(at, at + n * f) for at, n, f in zip(corner, shape, factors, strict=True))
    found = patch.block_means(cut, factors, shape, outside)
    blocks = volume[cut].reshape([x for n, f in zip(shape, factors, strict=True) for x in (n, f)])
    np.testing.assert_allclose(found, blocks.mean(axis=(1, 3, 5)), atol=1e-4)


def test_blocks_on_a_volume_are_interpolated_as_by_the_random_walker():
    grid = coarse_grid(image(), (slice(1, 12), slice(3, 29), slice(0, 31)), 400)
    values = np.random.default_rng(2).random(grid.values.shape, np.float32)
    blocks = blocks_on_volume(torch.from_numpy(values), grid.roi, grid.factors)
    np.testing.assert_allclose(blocks.slices(grid.roi[0]), upsample(values, grid), atol=1e-5)
    part = slice(4, 9)
    np.testing.assert_array_equal(blocks.slices(part), blocks.slices(grid.roi[0])[3:8])


def test_the_networks_odds_are_limited_and_negative_outside_its_window():
    logits = PatchOnVolume(torch.full((8, 8, 8), 50.0), Window((0, 0, 0), (8, 8, 8)), WHOLE)
    odds = network_odds(logits, coarse_grid(image(), WHOLE))
    assert (odds[:8, :8, :8] == MAX_NETWORK_ODDS).all()
    assert odds[8:].max() == odds[:, :, 8:].max() == -MAX_NETWORK_ODDS


def test_the_box_of_the_foreground_covers_every_positive_voxel():
    logits = ball_logits((7, 15, 17), 6)
    positive = np.argwhere(logits.slices(logits.region[0]).numpy() > 0)
    box = logits.foreground_box()
    assert box is not None
    for found, axis, span in zip(box, positive.T, logits.region, strict=True):
        assert found.start <= axis.min() + span.start
        assert axis.max() + span.start < found.stop
        assert found.stop - found.start <= axis.max() - axis.min() + 5  # a patch voxel at each end
    assert ball_logits((7, 15, 17), -1).foreground_box() is None
    beyond = PatchOnVolume(torch.ones((4, 4, 4)), Window((50, 0, 0), (4, 4, 4)), WHOLE)
    assert beyond.foreground_box() is None


def refined(logits, box, *hints, of=None):
    """Return the refined mask in the volume."""
    found = refine(LabelLogits(1, logits), of or image(), box, hints)
    mask = np.zeros(SHAPE, bool)
    if found is not None:
        mask[found.region] = found.probability.slices(found.region[0]).numpy() > 0.5
    return mask


def dice(one, other) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def truth():
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
    return np.sqrt(((grid - (7, 15, 17)) ** 2).sum(-1)) < 6


@pytest.mark.parametrize("box", [BOX, None])
def test_edges_of_the_image_improve_the_networks_answer(box):
    displaced = ball_logits((7, 17, 15), 6)  # the network is wrong by two voxels along y and x
    alone = np.zeros(SHAPE, bool)
    alone[displaced.region] = displaced.slices(displaced.region[0]).numpy() > 0
    assert dice(refined(displaced, box), truth()) > dice(alone, truth()) + 0.05


def test_clicks_are_obeyed_in_their_sphere():
    logits = ball_logits((7, 15, 17), 6)
    wrong, missing = Hint((7, 15, 17), False, 3.0), Hint((7, 25, 30), True, 3.0)
    mask = refined(logits, BOX, wrong, missing)
    assert not mask[6:9, 14:17, 16:19].any()
    assert mask[7, 25, 30]
    assert refined(logits, BOX)[7, 15, 17]


def test_a_label_that_nothing_points_at_is_left_out():
    nothing = ball_logits((7, 15, 17), -1)
    assert refine(LabelLogits(1, nothing), image(), None, ()) is None
    negative = Hint((7, 15, 17), False, 2.0)
    assert refine(LabelLogits(1, nothing), image(), None, (negative,)) is None
    assert refine(LabelLogits(1, nothing), image(), None, (Hint((7, 15, 17), True, 2.0),))


def test_a_click_is_believed_up_to_the_border_of_the_previous_segmentation():
    """An earlier click that was obeyed is in the object now, one that was not still outside."""
    segmentation = np.zeros((30, 30, 30), np.uint8)
    segmentation[5:25, 5:25, :12] = 4
    obeyed, ignored = Click(4, (15, 15, 5), True), Click(4, (15, 15, 15), True)
    removed, wrong = Click(4, (15, 15, 13), False), Click(4, (15, 15, 8), False)
    rounds = ((), (obeyed,), (ignored,), (removed,), (wrong,))
    hints = click_hints(Interactions(rounds, segmentation), {4: Box(4, (0, 0, 0), (60, 60, 60), 9)})
    assert [label for label, _ in hints] == [4] * 4
    assert [hint.distance for _, hint in hints] == [7, 4, 2, 4]
    assert [hint.positive for _, hint in hints] == [True, True, False, False]
    assert hints[1][1] == make_hint(ignored, segmentation)


def test_the_extent_of_an_answer_is_that_of_its_voxels():
    grid = coarse_grid(image(), (slice(2, 12), slice(4, 30), slice(0, 30)), 1000)
    probability = np.zeros(grid.values.shape, np.float32)
    probability[1:3, 2, 1:4] = 0.6
    fz, fy, fx = grid.factors
    expected = ((2 + fz, 2 + 3 * fz), (4 + 2 * fy, 4 + 3 * fy), (fx, 4 * fx))
    assert foreground_extent(grid, probability) == tuple(slice(*span) for span in expected)


@pytest.mark.parametrize("radius", [2.5, 5.0])
def test_an_object_without_contrast_is_not_smoothed_away(radius):
    flat = Image(np.full(SHAPE, 7, np.uint8), (1.0, 1.0, 1.0))
    low, high = (tuple(int(at + sign * radius + 0.5) for at in (7, 15, 17)) for sign in (-1, 1))
    box = Box(1, low, high, 7)
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
    ball = np.sqrt(((grid - (7, 15, 17)) ** 2).sum(-1)) < radius
    assert dice(refined(ball_logits((7, 15, 17), radius), box, of=flat), ball) > 0.4


def test_the_smoothness_is_that_of_the_random_walker_for_objects_of_usual_size():
    grid = coarse_grid(image(), WHOLE)
    whole = Box(1, (0, 0, 0), SHAPE, 7)
    assert smoothness_for(grid, whole) == smoothness_for(grid, None) == SMOOTHNESS
    assert smoothness_for(grid, Box(1, (0, 0, 0), (6, 6, 6), 3)) == pytest.approx(1.42, abs=0.01)


def test_where_the_last_block_is_outside_the_volume_its_last_voxels_are_repeated():
    window = Window((0, 0, 0), (SHAPE[0], SHAPE[0], SHAPE[0]))
    patch = PatchOnVolume(torch.full((8, 8, 8), 5.0), window, WHOLE)
    roi = (WHOLE[0], slice(0, 12), slice(0, 12))
    assert torch.allclose(patch.block_means(roi, (4, 4, 4), (4, 3, 3), -8.0), torch.tensor(5.0))


def test_a_click_far_from_the_segmentation_is_believed_near_itself_only():
    """The second ball is clicked; the first must not be joined with it."""
    segmentation = np.zeros((40, 40, 80), np.uint8)
    segmentation[15:25, 15:25, 10:20] = 1
    far = Click(1, (20, 20, 40), True)
    ((_, hint),) = click_hints(Interactions(((), (far,)), segmentation), {})
    assert hint.distance == pytest.approx(4)
    small = {1: Box(1, (10, 10, 10), (16, 16, 16), 13)}
    ((_, hint),) = click_hints(Interactions(((), (far,)), segmentation), small)
    assert hint.distance < 2
