"""Packed masks against the same operations on whole masks."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segbench.protocol.packed_mask import PackedMask, pack_label, pack_mask

thorough = settings(max_examples=200, deadline=None, derandomize=True)


@st.composite
def masks(draw, n=1):
    """Draw masks of one shape, rows of up to three words, possibly empty or full."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 140)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return [rng.random(shape) < draw(st.sampled_from([0, 0.02, 0.5, 1])) for _ in range(n)]


def whole(packed, shape):
    """Return a packed whole volume as a mask of its shape."""
    z, y, x = shape
    return packed.unpacked()[1 : z + 1, 1 : y + 1, 1 : x + 1]


@given(masks())
@thorough
def test_what_is_packed_comes_out_again_with_an_empty_voxel_around(drawn):
    (mask,) = drawn
    packed = pack_mask(mask)
    assert np.array_equal(whole(packed, mask.shape), mask)
    assert packed.unpacked().sum() == packed.count == mask.sum()
    assert np.array_equal(packed.positions, np.flatnonzero(packed.unpacked()))


@given(masks(2))
@thorough
def test_masks_of_one_region_combine_voxel_by_voxel(drawn):
    one, other = drawn
    packed, others = pack_mask(one), pack_mask(other)
    assert np.array_equal(whole(packed & others, one.shape), one & other)
    assert np.array_equal(whole(packed ^ others, one.shape), one ^ other)
    assert np.array_equal(
        packed.contains(others.positions), packed.unpacked().ravel()[others.positions]
    )


@given(masks())
@thorough
def test_a_trimmed_mask_means_the_same_voxels(drawn):
    (mask,) = drawn
    assume(mask.any())
    trimmed = pack_mask(mask).trimmed()
    assert np.array_equal(np.argwhere(trimmed.unpacked()) + trimmed.low, np.argwhere(mask))
    depth, height, width = trimmed.shape
    z, y, x = (np.ptp(np.flatnonzero(mask.any(axis=axes))) + 1 for axes in ((1, 2), (0, 2), (0, 1)))
    assert (depth, height) == (z, y)
    assert x <= width <= x + 2 * 64


@given(masks())
@thorough
def test_a_surface_is_where_eight_voxels_are_not_alike(drawn):
    (mask,) = drawn
    packed = pack_mask(mask)
    around = np.pad(mask, 1).astype(int)
    codes = sum(
        2 ** (4 * z + 2 * y + x)
        * around[
            tuple(slice(i, i + size + 1) for i, size in zip((z, y, x), mask.shape, strict=True))
        ]
        for z, y, x in np.ndindex(2, 2, 2)
    )
    surface = packed.surface().corners
    expected = np.zeros(surface.shape, int)
    expected[tuple(slice(size + 1) for size in mask.shape)] = codes
    assert np.array_equal(surface.unpacked(), (expected != 0) & (expected != 255))
    assert np.array_equal(
        packed.neighbour_codes(surface.positions), expected.ravel()[surface.positions]
    )


@given(masks(), st.tuples(*[st.integers(0, 3)] * 2), st.integers(0, 2**32 - 1))
@thorough
def test_dilation_unites_all_offsets_of_the_structuring_element(drawn, sizes, seed):
    packed = pack_mask(drawn[0])
    offsets = np.random.default_rng(seed).integers(-1, 70, np.add(sizes, 1))
    depth, height, width = packed.shape
    ball = np.zeros((2 * sizes[0] + 1, 2 * sizes[1] + 1, 2 * 70 + 1), bool)
    for z, y, x in np.argwhere(ball | True) - (*sizes, 70):
        ball[z + sizes[0], y + sizes[1], x + 70] = abs(x) <= offsets[abs(z), abs(y)]
    padded = np.pad(packed.unpacked(), [(sizes[0],) * 2, (sizes[1],) * 2, (70,) * 2])
    grown = np.zeros_like(padded)
    for voxel in np.argwhere(padded):
        window = tuple(
            slice(at - half, at + half + 1) for at, half in zip(voxel, (*sizes, 70), strict=True)
        )
        grown[window] |= ball
    inner = tuple(
        slice(half, half + size)
        for half, size in zip((*sizes, 70), (depth, height, width), strict=True)
    )
    assert np.array_equal(packed.dilate(offsets).unpacked(), grown[inner])


@given(masks())
@thorough
def test_a_dilation_by_one_voxel_along_each_axis_is_that_of_scipy(drawn):
    (mask,) = drawn
    cross = np.array([[1, 0], [0, -1]])
    found = whole(pack_mask(mask).dilate(cross), mask.shape)
    assert np.array_equal(found, ndimage.binary_dilation(mask))


def test_a_region_holds_one_label_of_its_part_of_the_volume():
    labels = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6) % 3
    packed = pack_label(labels, 2, (slice(1, 3), slice(0, 4), slice(2, 6)))
    inside = labels[1:3, 0:4, 2:6] == 2
    assert np.array_equal(whole(packed, inside.shape), inside)
    assert np.array_equal(
        np.argwhere(packed.unpacked()) + packed.low, np.argwhere(inside) + (1, 0, 2)
    )
    assert packed.contains_voxel((1, 1, 4)) == (labels[1, 1, 4] == 2)
    assert sum(
        packed.contains_voxel(tuple(voxel))
        for voxel in np.ndindex(3, 4, 6)
        if voxel[0] and voxel[2] > 1
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_label_too_large_for_the_label_map_is_not_in_it(dtype):
    everything = slice(0, 3), slice(0, 4), slice(0, 5)
    assert pack_label(np.full((3, 4, 5), 44, dtype), 300, everything).count == 0
    assert pack_label(np.full((3, 4, 5), 44, dtype), 44, everything).count == 60


def test_packed_masks_keep_their_place():
    packed = PackedMask(np.zeros((3, 3, 1), np.uint64), (4, 5, 6))
    assert (
        (packed ^ packed).low == (packed & packed).low == packed.surface().corners.low == (4, 5, 6)
    )


@given(masks())
@thorough
def test_the_bits_of_the_bounding_box_are_the_mask_cropped_to_it(drawn):
    (mask,) = drawn
    assume(mask.any())
    low, sides, rows = pack_mask(mask).bounding_box_bits()
    at = np.argwhere(mask)
    assert low == tuple(at.min(axis=0))
    assert sides == tuple(np.ptp(at, axis=0) + 1)
    box = mask[tuple(slice(a, a + n) for a, n in zip(low, sides, strict=True))]
    assert np.array_equal(rows, np.packbits(box, axis=-1, bitorder="little"))
