"""The stress scenes are what they say: sizes, boxes, the same again for the same seed."""

import numpy as np
import pytest

from segbench.core import Box, Case, Click, Image, StepScore
from segbench.results import CaseResult, StepResult
from tests.bench.changed_objects import enlarged, faded, shrunk
from tests.bench.harmful_clicks import click_effects, harmful_share
from tests.bench.stress_drawings import FAINT, TINY
from tests.bench.stress_scenes import LARGE_SIDE, TINY_SIZE, generated


def real_case(shape=(30, 60, 64)):
    """Return a noisy scan with a bright block of 8 x 20 x 50 voxels."""
    rng = np.random.default_rng(0)
    reference = np.zeros(shape, np.uint8)
    reference[4:12, 5:25, 6:56] = 1
    voxels = (100 + 80 * reference + rng.normal(0, 5, shape)).astype(np.uint8)
    box = Box(1, (4, 5, 6), (12, 25, 56), 8)
    return Case("CT_Toy_001", Image(voxels, (3.0, 1.0, 1.0)), reference, (box,), (1,), "CT")


def longest_side(case):
    return max(np.ptp(np.argwhere(case.reference), axis=0) + 1)


def assert_in_box_on_its_slice(case):
    (box,) = case.boxes
    _, y, x = np.nonzero(case.reference[box.mid_slice : box.mid_slice + 1])
    assert box.low[1] <= y.min() <= y.max() < box.high[1]
    assert box.low[2] <= x.min() <= x.max() < box.high[2]
    z = np.flatnonzero(case.reference.any(axis=(1, 2)))
    assert (box.low[0], box.high[0]) == (z[0], z[-1] + 1)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("form", TINY)
def test_a_generated_tiny_object_has_30_to_100_voxels(form, seed):
    case = generated(form, seed)
    assert TINY_SIZE[0] <= np.count_nonzero(case.reference) <= TINY_SIZE[1]
    assert longest_side(case) <= 12
    assert_in_box_on_its_slice(case)


def test_a_generated_large_object_is_150_to_250_voxels_across():
    case = generated("largelung", 1)
    assert LARGE_SIDE[0] <= longest_side(case) <= LARGE_SIDE[1]
    assert max(case.image.voxels.shape) <= 300
    assert_in_box_on_its_slice(case)


@pytest.mark.parametrize("form", FAINT)
def test_a_faint_object_differs_by_less_than_its_noise(form):
    case = generated(form, 0)
    inside = case.image.voxels[case.reference > 0].astype(float)
    outside = case.image.voxels[case.reference == 0].astype(float)
    assert abs(inside.mean() - outside.mean()) < 2 * outside.std()
    assert_in_box_on_its_slice(case)


def test_a_scene_depends_on_its_seed_only():
    first, same, other = (generated("tinylesion", seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.image.voxels, same.image.voxels)
    np.testing.assert_array_equal(first.reference, same.reference)
    assert first.boxes == same.boxes
    assert (first.reference != other.reference).any()


def test_an_enlarged_object_keeps_its_size_in_mm():
    case = enlarged(real_case(), 1, 175, np.random.default_rng(0))
    assert abs(longest_side(case) - 175) <= 3
    assert case.image.voxels.shape == case.reference.shape
    assert case.image.spacing == pytest.approx((3 / 3.5, 1 / 3.5, 1 / 3.5))
    assert case.image.voxels[case.reference > 0].mean() > 170
    assert_in_box_on_its_slice(case)


def test_an_object_is_not_enlarged_by_more_than_its_voxels_allow():
    assert enlarged(real_case(), 1, 250, np.random.default_rng(0)) is None


def test_a_shrunk_object_has_the_size_asked_for_and_most_of_its_contrast():
    case = shrunk(real_case(), 1, 60, np.random.default_rng(0))
    assert np.count_nonzero(case.reference) == 60
    assert not (case.reference & real_case().reference).any()
    assert case.image.voxels[case.reference > 0].mean() > 130
    assert case.image.voxels.shape == real_case().image.voxels.shape
    assert_in_box_on_its_slice(case)


def test_an_object_without_room_elsewhere_is_not_shrunk():
    assert shrunk(real_case((13, 26, 57)), 1, 100, np.random.default_rng(0)) is None


def test_a_faded_object_keeps_less_than_half_of_its_contrast():
    case = real_case()
    mask = case.reference > 0
    voxels = faded(case, 1, np.random.default_rng(0)).image.voxels.astype(float)
    assert 20 < voxels[mask].mean() - voxels[~mask].mean() < 40


def test_a_click_hurts_if_the_dice_of_its_label_falls_by_more_than_a_hundredth():
    box, voxel = Box(1, (0, 0, 0), (2, 2, 2), 1), (1, 1, 1)
    clicks = [Click(1, voxel, positive) for positive in (True, False, False)]
    dsc = (0.8, 0.7, 0.695, 0.9)
    steps = tuple(StepResult(s, (StepScore(s, 1, d, 0.0),)) for s, d in enumerate(dsc))
    rounds = ((box,), *((click,) for click in clicks))
    effects = list(click_effects([CaseResult("CT_Toy_001", "ok", rounds=rounds, steps=steps)]))
    assert [effect.hurts for effect in effects] == [True, False, False]
    assert harmful_share(effects) == pytest.approx(1 / 3)


def test_a_first_click_without_a_box_has_no_score_to_lower():
    steps = (StepResult(1, (StepScore(1, 1, 0.5, 0.0),)),)
    rounds = ((), (Click(1, (1, 1, 1), True),))
    assert not list(click_effects([CaseResult("CT_Toy_001", "ok", rounds=rounds, steps=steps)]))
