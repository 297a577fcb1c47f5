"""The content-aware crop of `ours`: where windows lie, and the way there and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ours.crop import (
    Window,
    cut_image,
    cut_mask,
    default_box,
    linear_weights,
    paste_logits,
    window_around,
)
from adapters.ours.intensity import EPSILON, Intensity, occupied_box
from segbench.core import Box

AS_STORED = Intensity(mean=0.0, deviation=1.0 - EPSILON)
SHAPE = (10, 20, 31)


def box(low, high):
    return Box(1, low, high, drawn_at=low[0])


def boxes_within(shape):
    side = [
        st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).map(
            lambda ends: (min(ends), max(ends) + 1)
        )
        for n in shape
    ]
    return st.tuples(*side).map(lambda spans: box(*map(tuple, zip(*spans, strict=True))))


def test_a_small_box_gets_a_window_of_the_patch_centred_on_it():
    assert window_around(box((4, 6, 8), (8, 10, 12)), 48) == Window((-18, -16, -14), (48, 48, 48))


def test_the_longest_side_sets_the_edge_of_the_cube():
    """Eq. 12: zoom = (160 + 64) / 192; Eq. 13: 224 voxels."""
    window = window_around(box((0, 0, 0), (20, 160, 90)), 192)
    assert window == Window((-102, -32, -67), (224, 224, 224))


def test_the_edge_is_that_of_the_printed_equations():
    for patch in (48, 64, 192):
        for extent in range(1, 300):
            zoom = max((extent + patch / 3) / patch, 1)
            edge = window_around(box((0, 0, 0), (extent, 1, 1)), patch).size[0]
            assert edge == pytest.approx(np.ceil(zoom * patch - 1e-9))


def test_the_default_box_is_the_central_third():
    assert default_box((9, 30, 31), 7) == Box(7, (3, 10, 10), (6, 20, 20), drawn_at=4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_default_box_of_a_thin_volume_is_not_empty(depth):
    drawn = default_box((depth, 6, 6), 1)
    assert drawn.high[0] > drawn.low[0]
    assert drawn.high[0] <= depth


@settings(max_examples=40, deadline=None)
@given(boxes_within(SHAPE))
def test_at_zoom_one_cutting_and_pasting_is_exact(drawn):
    voxels = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    window = window_around(drawn, 48)
    patch = cut_image(voxels, window, 48, intensity=AS_STORED, antialias=True)
    np.testing.assert_array_equal(paste_logits(patch, window, SHAPE), voxels[window.inside(SHAPE)])
    mask = cut_mask(voxels, window, 48, label=int(voxels[drawn.low]))
    assert mask.sum() == (voxels[window.inside(SHAPE)] == voxels[drawn.low]).sum()


@settings(max_examples=40, deadline=None)
@given(boxes_within(SHAPE), st.sampled_from([6, 12, 18]))
def test_a_constant_inside_the_volume_comes_back_as_itself(drawn, patch):
    window = window_around(drawn, patch)
    logits = np.full((patch,) * 3, 2.5, np.float32)
    back = paste_logits(logits, window, SHAPE)
    assert back.shape == tuple(s.stop - s.start for s in window.inside(SHAPE))
    np.testing.assert_allclose(back, 2.5, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(boxes_within(SHAPE), st.sampled_from([6, 12, 18]))
def test_the_window_holds_its_box(drawn, patch):
    window = window_around(drawn, patch)
    for low, high, start, size in zip(drawn.low, drawn.high, window.low, window.size, strict=True):
        assert start <= low
        assert high <= start + size


@pytest.mark.parametrize(("size", "patch"), [(37, 24), (24, 24), (20, 24)])
def test_plain_resizing_is_that_of_torch(size, patch):
    volume = np.random.default_rng(1).normal(size=(size,) * 3).astype(np.float32)
    window = Window((0, 0, 0), (size,) * 3)
    mine = cut_image(volume, window, patch, intensity=AS_STORED, antialias=False)
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(volume)[None, None], size=(patch,) * 3, mode="trilinear"
    )[0, 0]
    np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-5)


def test_antialiasing_sees_voxels_that_plain_interpolation_skips():
    volume = np.zeros((64, 64, 64), np.float32)
    volume[::4] = 4.0  # mean 1, but never where a zoom of 4 samples
    window = Window((0, 0, 0), (64, 64, 64))
    plain = cut_image(volume, window, 16, intensity=AS_STORED, antialias=False)
    smooth = cut_image(volume, window, 16, intensity=AS_STORED, antialias=True)
    assert plain.max() == 0
    np.testing.assert_allclose(smooth[2:-2].mean(), 1, atol=0.1)


def test_rows_of_weights_sum_to_one_and_hold_the_ends():
    weights = linear_weights(np.array([-3.0, 0.25, 9.0]), 4, support=1.0)
    np.testing.assert_allclose(weights, [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 0, 0, 1]])


def test_outside_the_volume_the_patch_is_zero():
    volume = np.full((4, 4, 4), 9, np.uint8)
    patch = cut_image(volume, Window((-2, 0, 0), (8, 8, 8)), 8, intensity=AS_STORED, antialias=True)
    assert (patch[2:6, :4, :4] == 9).all()
    assert patch.sum() == 9 * 64


def test_masks_take_the_nearest_voxel():
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:6, 2:6, 2:6] = 3
    mask = cut_mask(labels, Window((0, 0, 0), (8, 8, 8)), 4, label=3)
    expected = np.zeros((4, 4, 4), bool)
    expected[1:3, 1:3, 1:3] = True
    np.testing.assert_array_equal(mask, expected)


def test_the_z_score_is_taken_over_the_box_of_the_non_zero_voxels():
    volume = np.zeros((6, 7, 8), np.uint16)
    volume[1:4, 2:5, 3:7] = np.random.default_rng(2).integers(1, 60_000, (3, 3, 4))
    inside = volume[1:4, 2:5, 3:7].astype(float)
    assert occupied_box(volume) == (slice(1, 4), slice(2, 5), slice(3, 7))
    measured = Intensity.of(volume)
    assert measured.mean == pytest.approx(inside.mean())
    assert measured.deviation == pytest.approx(inside.std())


@pytest.mark.parametrize("value", [0, 7, 1e6])
def test_a_constant_image_scores_zero(value):
    volume = np.full((3, 4, 5), value, np.float32)
    np.testing.assert_allclose(Intensity.of(volume).z_score(volume), 0, atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_finite_number_counts_as_zero(value):
    volume = np.ones((2, 2, 2), np.float32)
    volume[0, 0, 0] = value
    measured = Intensity.of(volume)
    assert measured.mean == pytest.approx(7 / 8)
    assert np.isfinite(measured.z_score(volume)).all()
