"""segbench against the reference implementation: clicks and DSC equal, NSD within 1e-12."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from segbench.core import Settings
from segbench.protocol.depth import MAX_FINE_VOXELS
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import score_pairs
from segbench.protocol.simulator import next_clicks
from tests.bench import reference as plain
from tests.bench.replay import Stopwatch, replay
from tests.bench.volumes import VOLUMES

SPACINGS = [(1, 1, 1), (2.5, 0.8, 0.8), (0.5, 2, 1), tuple(np.float32([0.8, 0.7, 3])), (0.3,) * 3]
ALWAYS = Settings(nsd_gate=-1)  # so that NSD is compared whatever the DSC
quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@st.composite
def cases(draw, longest):
    """Draw a reference, two predictions and a spacing.

    Blocks of up to six labels, some at the borders, some volumes full; with salt, with a label
    that the case lacks, empty or perfect.
    """
    shape = draw(st.tuples(*[st.integers(1, longest)] * 3))
    n_labels = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    values = np.sort(rng.choice(np.arange(1, 250 if dtype == np.uint8 else 999), n_labels, False))
    reference = blocks(rng, shape, values, draw(st.integers(1, 8)), dtype)
    labels = tuple(int(value) for value in values if (reference == value).any())
    assume(labels)
    predictions = [
        distorted(rng, reference, values, draw(st.sampled_from(["empty", "same", "near", "far"])))
        for _ in range(2)
    ]
    orders = draw(st.tuples(*[st.sampled_from("CF")] * 3))
    arrays = [
        np.asarray(array, order=o)
        for array, o in zip((reference, *predictions), orders, strict=True)
    ]
    return arrays[0], arrays[1:], labels, draw(st.sampled_from(SPACINGS))


def blocks(rng, shape, values, n, dtype):
    volume = np.zeros(shape, dtype)
    if rng.random() < 0.05:
        volume[:] = values[0]
    for _ in range(n):
        corners = np.sort([rng.integers(0, size + 1, 2) for size in shape])
        volume[tuple(slice(*sides) for sides in corners)] = rng.choice([0, *values])
    return volume


def distorted(rng, reference, values, how):
    if how == "empty":
        return np.zeros_like(reference)
    volume = reference.copy()
    if how != "same":
        volume = np.roll(volume, rng.integers(-2, 3, 3), (0, 1, 2))
        salted = rng.random(volume.shape) < rng.choice([0, 0.01, 0.2])
        volume[salted] = rng.choice([0, *values, values[-1] + 1], salted.sum())
    if how == "far":
        other = blocks(rng, volume.shape, values, 4, volume.dtype)
        volume = np.where(rng.random(volume.shape) < 0.9, other, volume)
    return volume


def assert_equal(case, limit):
    reference, predictions, labels, spacing = case
    prepared, nsd = PreparedReference(reference, labels), NsdSettings.of(spacing, ALWAYS)
    for step, prediction in enumerate(predictions):
        pairs = prepared.compare(prediction)
        scores = score_pairs(pairs, step, nsd)
        assert [score.dsc for score in scores] == plain.dsc(prediction, reference, labels)
        agreements = plain.nsd(prediction, reference, labels, spacing)
        for score, agreement in zip(scores, agreements, strict=True):
            assert abs(score.nsd - agreement) <= 1e-12
        found = next_clicks(pairs, max_fine_voxels=limit)
        assert found == plain.clicks(prediction, reference, labels, max_fine_voxels=limit)


# below 600 voxels a component may fill all blocks, and depth has no meaning
limits = st.sampled_from([MAX_FINE_VOXELS, MAX_FINE_VOXELS, 600, 5000])


@given(cases(12), limits)
@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=quiet)
def test_small_cases_are_those_of_the_reference(case, limit):
    assert_equal(case, limit)


@pytest.mark.slow
@given(cases(40), limits)
@settings(max_examples=2000, deadline=None, derandomize=True, suppress_health_check=quiet)
def test_many_cases_are_those_of_the_reference(case, limit):
    assert_equal(case, limit)


@pytest.mark.slow
@pytest.mark.parametrize("name", VOLUMES)
def test_a_realistic_case_is_that_of_the_reference(name):
    volume = VOLUMES[name]()
    replays = (
        replay(volume, implementation, Stopwatch(), boxes=True)
        for implementation in ("segbench", "plain")
    )
    for (clicks, dsc, nsd), expected in zip(*replays, strict=True):
        assert (clicks, dsc) == expected[:2]
        np.testing.assert_allclose(nsd, expected[2], rtol=0, atol=1e-12)
