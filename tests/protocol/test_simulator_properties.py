"""The simulated user against the protocol written down a second time, step by step."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segbench.core import Click
from segbench.protocol.depth import MAX_FINE_VOXELS
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.simulator import next_click, next_clicks

# the first outputs of MT19937 seeded with 42
WORDS = (1608637542, 3421126067, 4083286876, 787846414, 3143890026, 3348747335, 2571218620)
LABELS = (1, 3, 300)

thorough = settings(max_examples=200, deadline=None, derandomize=True)
limits = st.sampled_from([0, 300, 1500, MAX_FINE_VOXELS])
orders = st.tuples(st.sampled_from("CF"), st.sampled_from("CF"))


@st.composite
def label_maps(draw):
    """Draw a previous label map and a reference: boxes, salt, or all of one value."""
    shape = draw(st.tuples(*[st.integers(1, 15)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    salt = draw(st.sampled_from([0, 0.02, 0.3]))
    pair = []
    for _ in range(2):
        volume = np.zeros(shape, np.uint16)
        for _ in range(draw(st.integers(0, 4))):
            corners = np.sort([rng.integers(0, size + 1, 2) for size in shape])
            volume[tuple(slice(*sides) for sides in corners)] = rng.choice((0, *LABELS))
        salted = rng.random(shape) < salt
        volume[salted] = rng.choice((0, *LABELS), salted.sum())
        pair.append(volume)
    return tuple(pair)


def clicks(previous, reference, limit=MAX_FINE_VOXELS):
    pairs = PreparedReference(reference, LABELS).compare(previous)
    return next_clicks(pairs, max_fine_voxels=limit)


@given(label_maps(), orders, limits)
@thorough
def test_clicks_are_those_of_the_protocol(pair, order, limit):
    previous, reference = (np.asarray(x, order=o) for x, o in zip(pair, order, strict=True))
    expected = [
        click
        for label in LABELS
        if (click := protocol_click(previous == label, reference == label, label, limit))
    ]
    found = clicks(previous, reference, limit)
    assert found == tuple(expected)
    assert all(type(i) is int for click in found for i in click.voxel)


@given(label_maps(), orders)
@thorough
def test_one_label_asked_alone_gets_the_same_click(pair, order):
    previous, reference = (np.asarray(x, order=o) for x, o in zip(pair, order, strict=True))
    together = clicks(previous, reference)
    alone = [next_click(previous == label, reference == label, label=label) for label in LABELS]
    assert together == tuple(click for click in alone if click is not None)


@given(label_maps())
@thorough
def test_a_click_lies_in_the_error_and_names_its_kind(pair):
    previous, reference = pair
    for click in clicks(previous, reference):
        assert (reference[click.voxel] == click.label) != (previous[click.voxel] == click.label)
        assert click.positive == (reference[click.voxel] == click.label)


@given(label_maps())
@thorough
def test_fortran_order_picks_the_component_that_reversed_axes_pick(pair):
    previous, reference = (volume == LABELS[0] for volume in pair)
    fortran = next_click(np.asfortranarray(previous), np.asfortranarray(reference), label=1)
    turned = next_click(previous.T.copy(), reference.T.copy(), label=1)
    assert (fortran is None) == (turned is None)
    if fortran is not None:
        components = numbered(previous ^ reference)
        assert components[fortran.voxel] == components[turned.voxel[::-1]]


def protocol_click(prediction, reference, label, limit):
    """Place the click as the protocol says, in the plainest way."""
    error = np.logical_xor(reference, prediction)
    if not error.any():
        return None
    fortran = all(
        mask.flags.f_contiguous and not mask.flags.c_contiguous for mask in (prediction, reference)
    )
    components = numbered(error.T).T if fortran else numbered(error)
    counts = [np.sum(components == number) for number in range(1, components.max() + 1)]
    depth = protocol_depth(components == 1 + np.argmax(counts), limit)
    candidates = np.argwhere(depth == depth.max())
    at = tuple(int(i) for i in candidates[protocol_choice(len(candidates))])
    return Click(label, at, positive=bool(reference[at]))


def numbered(error):
    components, _ = ndimage.label(error, np.ones((3, 3, 3)))
    return components


def protocol_depth(component, limit):
    """Return squared distances inside the component, rounded to whole numbers."""
    at = np.argwhere(component)
    box = tuple(slice(low, high + 1) for low, high in zip(at.min(0), at.max(0), strict=True))
    crop = component[box]
    padding = [max(int(0.25 * size), 1) for size in crop.shape]
    padded = np.pad(crop, [(pad, pad) for pad in padding])
    if padded.size > limit:
        even = np.pad(padded, [(0, size % 2) for size in padded.shape])
        z, y, x = (size // 2 for size in even.shape)
        blocks = even.reshape(z, 2, y, 2, x, 2).max(axis=(1, 3, 5))
        # without a single empty block depth has no meaning; true sizes never come to that
        assume(not blocks.all())
        distances = np.kron(ndimage.distance_transform_edt(blocks), np.ones((2, 2, 2)))
    else:
        distances = ndimage.distance_transform_edt(padded)
    inner = tuple(slice(pad, pad + size) for pad, size in zip(padding, crop.shape, strict=True))
    depth = np.zeros(component.shape)
    depth[box] = np.rint(distances[inner] ** 2) * crop
    return depth


def protocol_choice(n):
    if n == 1:
        return 0
    below = 2 ** (n - 1).bit_length() - 1
    return next(word & below for word in WORDS if word & below <= n - 1)
