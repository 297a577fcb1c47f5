"""The content-aware crop of `ours`: positions of windows, and resizing both ways."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ours import resampling
from adapters.ours.crop import (
    Window,
    crop_image,
    crop_mask,
    default_box,
    linear_interpolation_matrix,
    window_around,
)
from adapters.ours.intensity import EPSILON, Intensity, occupied_box
from segbench.core import Box

AS_STORED = Intensity(mean=0.0, deviation=1.0 - EPSILON)
SHAPE = (10, 20, 31)


def box(low, high):
    return Box(1, low, high, mid_slice=low[0])


def whole(shape):
    return tuple(slice(0, n) for n in shape)


def on_volume(values, window, shape):
    """Values on a patch, resampled to the voxels of a window in two slabs."""
    back = resampling.PatchOnVolume(torch.from_numpy(values), window, whole(shape))
    span = back.region[0]
    middle = (span.start + span.stop) // 2
    halves = [back.slices(slice(span.start, middle)), back.slices(slice(middle, span.stop))]
    return torch.cat(halves).numpy()


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
    assert default_box((9, 30, 31), 7) == Box(7, (3, 10, 10), (6, 20, 20), mid_slice=4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_default_box_of_a_thin_volume_is_not_empty(depth):
    any_box = default_box((depth, 6, 6), 1)
    assert any_box.high[0] > any_box.low[0]
    assert any_box.high[0] <= depth


@settings(max_examples=40, deadline=None)
@given(boxes_within(SHAPE))
def test_at_zoom_one_cropping_and_resampling_back_is_exact(any_box):
    voxels = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    window = window_around(any_box, 48)
    patch = crop_image(voxels, window, 48, intensity=AS_STORED, antialias=True)
    np.testing.assert_array_equal(
        on_volume(patch, window, SHAPE), voxels[window.clipped_to_volume(SHAPE)]
    )
    mask = crop_mask(voxels, window, 48, label=int(voxels[any_box.low]))
    assert mask.sum() == (voxels[window.clipped_to_volume(SHAPE)] == voxels[any_box.low]).sum()


@settings(max_examples=40, deadline=None)
@given(boxes_within(SHAPE), st.sampled_from([6, 12, 18]))
def test_a_constant_inside_the_volume_is_unchanged_after_resampling_back(any_box, patch):
    window = window_around(any_box, patch)
    logits = np.full((patch,) * 3, 2.5, np.float32)
    back = on_volume(logits, window, SHAPE)
    assert back.shape == tuple(s.stop - s.start for s in window.clipped_to_volume(SHAPE))
    np.testing.assert_allclose(back, 2.5, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(boxes_within(SHAPE), st.sampled_from([6, 12, 18]))
def test_the_window_contains_its_box(any_box, patch):
    window = window_around(any_box, patch)
    for low, high, start, size in zip(
        any_box.low, any_box.high, window.low, window.size, strict=True
    ):
        assert start <= low
        assert high <= start + size


@settings(max_examples=40, deadline=None)
@given(boxes_within(SHAPE), st.sampled_from([6, 12, 18]), st.booleans())
def test_the_crop_on_a_device_is_that_of_training(any_box, patch, antialias):
    voxels = np.random.default_rng(0).integers(0, 60_000, SHAPE).astype(np.uint16)
    window, intensity = window_around(any_box, patch), Intensity.of(voxels)
    found = resampling.crop_to_patch(
        resampling.to_device(voxels, torch.device("cpu")),
        window,
        patch,
        region=whole(SHAPE),
        intensity=intensity,
        antialias=antialias,
    )
    expected = crop_image(voxels, window, patch, intensity=intensity, antialias=antialias)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_a_crop_is_zero_outside_its_region():
    voxels = np.full(SHAPE, 3, np.uint8)
    region = (slice(2, 6), slice(4, 9), slice(0, 31))
    patch = resampling.crop_to_patch(
        torch.from_numpy(voxels),
        Window((0, 0, 0), (32, 32, 32)),
        32,
        region=region,
        intensity=AS_STORED,
        antialias=True,
    )
    assert patch.sum() == 3 * 4 * 5 * 31
    assert (patch[region] == 3).all()


@pytest.mark.parametrize("dtype", [">i2", "u2", "u4", "f4", "f8", "?", np.longdouble])
def test_voxels_of_any_dtype_and_layout_can_be_copied_to_the_device(dtype):
    voxels = np.asfortranarray(np.random.default_rng(0).integers(0, 2, (3, 4, 5)).astype(dtype))
    for given_ in (voxels, voxels[::-1], voxels.T):
        given_.flags.writeable = False
        tensor = resampling.to_device(given_, torch.device("cpu"))
        np.testing.assert_array_equal(tensor.double().numpy(), given_.astype(float))


def test_an_enlarged_window_has_the_same_centre():
    assert Window((10, 10, 10), (20, 20, 20)).enlarged(1.5) == Window((5, 5, 5), (30, 30, 30))
    assert Window((0, 0, 0), (48, 48, 48)).enlarged(1.5) == Window((-12, -12, -12), (72, 72, 72))


def test_with_zoom_in_the_window_is_one_and_a_half_boxes():
    assert window_around(box((4, 4, 4), (24, 14, 14)), 48, zoom_in=True).size == (30, 30, 30)
    assert window_around(box((4, 4, 4), (6, 6, 6)), 48, zoom_in=True).size == (12, 12, 12)


@pytest.mark.parametrize("extent", [32, 33, 47, 60, 200])
def test_zoom_in_does_not_change_large_boxes(extent):
    any_box = box((0, 0, 0), (extent, 9, 9))
    assert window_around(any_box, 48, zoom_in=True) == window_around(any_box, 48)


@pytest.mark.parametrize(("size", "patch"), [(37, 24), (24, 24), (20, 24)])
def test_plain_resizing_is_that_of_torch(size, patch):
    volume = np.random.default_rng(1).normal(size=(size,) * 3).astype(np.float32)
    window = Window((0, 0, 0), (size,) * 3)
    found = crop_image(volume, window, patch, intensity=AS_STORED, antialias=False)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(volume)[None, None], size=(patch,) * 3, mode="trilinear"
    )[0, 0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_antialiasing_includes_voxels_that_plain_interpolation_skips():
    volume = np.zeros((64, 64, 64), np.float32)
    volume[::4] = 4.0  # mean 1, but never where a zoom of 4 samples
    window = Window((0, 0, 0), (64, 64, 64))
    plain = crop_image(volume, window, 16, intensity=AS_STORED, antialias=False)
    smooth = crop_image(volume, window, 16, intensity=AS_STORED, antialias=True)
    assert plain.max() == 0
    np.testing.assert_allclose(smooth[2:-2].mean(), 1, atol=0.1)


def test_rows_of_the_matrix_sum_to_one_and_repeat_the_ends():
    weights = linear_interpolation_matrix(np.array([-3.0, 0.25, 9.0]), 4, support=1.0)
    np.testing.assert_allclose(weights, [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 0, 0, 1]])


def test_outside_the_volume_the_patch_is_zero():
    volume = np.full((4, 4, 4), 9, np.uint8)
    patch = crop_image(
        volume, Window((-2, 0, 0), (8, 8, 8)), 8, intensity=AS_STORED, antialias=True
    )
    assert (patch[2:6, :4, :4] == 9).all()
    assert patch.sum() == 9 * 64


def test_masks_are_resampled_by_nearest_neighbour():
    label_map = np.zeros((8, 8, 8), np.uint8)
    label_map[2:6, 2:6, 2:6] = 3
    mask = crop_mask(label_map, Window((0, 0, 0), (8, 8, 8)), 4, label=3)
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
