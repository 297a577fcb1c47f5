"""The deepest voxels against scipy's distance transform of everything."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segbench.protocol import depth
from segbench.protocol.depth import deepest_voxels

thorough = settings(max_examples=200, deadline=None, derandomize=True)


def expected_voxels(component):
    """Return the voxels of greatest depth by measuring all."""
    distances = ndimage.distance_transform_edt(np.pad(component, 1))[1:-1, 1:-1, 1:-1]
    squares = np.rint(distances**2)
    return np.argwhere(squares == squares.max())


def cropped(mask):
    return mask[ndimage.find_objects(mask.view(np.uint8))[0]]


@st.composite
def components(draw):
    """Draw masks cropped: smooth or rough, thick or thin."""
    shape = draw(st.tuples(*[st.integers(1, 30)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sigma, share = draw(st.sampled_from([0, 1, 3])), draw(st.sampled_from([0.03, 0.3, 0.7, 1]))
    field = ndimage.gaussian_filter(rng.random(shape), sigma)
    mask = field >= np.quantile(field, 1 - share)
    assume(mask.any())
    return cropped(mask)


@given(components())
@thorough
def test_both_ways_find_all_deepest_voxels_in_lexicographic_order(component):
    expected, padded = expected_voxels(component), np.pad(component, 1)
    assert np.array_equal(deepest_voxels(component), expected)
    assert np.array_equal(depth._deepest_by_distance(padded) - 1, expected)
    eroded = depth._erode(padded, max_lookups=1000)
    assert eroded is None or np.array_equal(eroded - 1, expected)


def test_erosion_gives_up_on_a_component_that_is_deeper_than_it_seems():
    z, y, x = np.ogrid[-20:21, -20:21, -20:21]
    ball = z**2 + y**2 + x**2 <= 400
    thread = np.zeros((41, 41, 400), bool)
    thread[20, 20] = True
    thread[:, :, :41] |= ball
    assert thread.mean() < depth.THIN
    found = deepest_voxels(thread)
    assert np.array_equal(found, expected_voxels(thread))
    assert np.array_equal(found, [[20, 20, 20]])


def test_erosion_gives_up_when_a_length_needs_many_lookups():
    component = np.ones((11, 11, 11), bool)
    padded = np.pad(component, 1)
    assert depth._erode(padded) is None
    found = depth._erode(padded, max_lookups=1000) - 1
    assert np.array_equal(found, expected_voxels(component))


def test_erosion_gives_up_below_its_greatest_depth():
    assert depth._erode(np.pad(np.ones((13, 13, 13), bool), 1), max_lookups=1000) is None


def test_the_spheres_hold_each_offset_once_by_length():
    spheres = depth._spheres()
    squares = [{int(square) for square in (sphere**2).sum(axis=1)} for sphere in spheres]
    assert [len(lengths) for lengths in squares] == [1] * len(spheres)
    assert [min(lengths) for lengths in squares[:6]] == [1, 2, 3, 4, 5, 6]
    assert [len(sphere) for sphere in spheres[:6]] == [6, 12, 8, 6, 24, 24]
    together = np.concatenate(spheres)
    assert len(np.unique(together, axis=0)) == len(together)
    assert (together**2).sum(axis=1).max() == depth.MAX_EROSION**2


def test_thick_components_are_measured_in_their_core_only():
    z, y, x = np.ogrid[-20:21, -20:21, -20:280]
    ball = z**2 + y**2 + x**2 <= 400
    component = ball | ((z**2 + y**2 <= 225) & (x > 0))
    found = deepest_voxels(component)
    assert np.array_equal(found, expected_voxels(component))
    assert np.array_equal(found, [[20, 20, 20]])
    _, around = depth._core(np.pad(component, 1))
    assert np.pad(component, 1)[around].size < component.size / 2


def test_a_padding_of_one_voxel_bounds_nothing_on_its_side():
    # three planes are padded by one: the first blocks hold padding and component, none is empty
    component = np.zeros((3, 60, 60), bool)
    component[:, :14, :14] = component[:, -1, -1] = True
    found = deepest_voxels(component, max_fine_voxels=500)
    assert len(found) == 144
    padded = np.pad(component, [(1, 2), (15, 15), (15, 15)])
    blocks = padded.reshape(3, 2, 45, 2, 45, 2).any(axis=(1, 3, 5))
    squares = np.rint(ndimage.distance_transform_edt(blocks) ** 2)
    deep = squares.repeat(2, 0).repeat(2, 1).repeat(2, 2)[1:4, 15:75, 15:75] * component
    assert np.array_equal(found, np.argwhere(deep == deep.max()))


@pytest.mark.parametrize("limit", [depth.MAX_FINE_VOXELS, 500])
def test_the_memory_order_of_a_component_plays_no_part(limit):
    component = cropped(np.random.default_rng(0).random((9, 17, 23)) < 0.1)
    found = deepest_voxels(np.asfortranarray(component), max_fine_voxels=limit)
    assert np.array_equal(found, deepest_voxels(component, max_fine_voxels=limit))
