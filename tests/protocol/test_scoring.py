"""From label maps to scores."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.core import Settings, StepScore, mean_scores
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import NsdSettings, dice, surface_dice
from segbench.protocol.scoring import evaluated_labels, score, score_pairs

SPACING = (2.0, 0.5, 1.0)


def label_map(drawing):
    """Read rows of digits as a label map of one slice."""
    return np.array([[[int(c) for c in row] for row in drawing.split()]], np.uint8)


def score_once(prediction, reference, spacing, settings=Settings()):
    return score(prediction, reference, spacing, settings=settings)


@st.composite
def label_maps(draw, n=3):
    """Draw a reference that has all three labels, and ``n`` predictions of several dtypes."""
    shape = draw(st.tuples(*[st.integers(2, 8)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reference = rng.choice([0, 0, 1, 5, 44], shape).astype(np.uint16)
    reference.flat[:4] = 0, 1, 5, 44
    predictions = []
    for _ in range(n):
        changed = rng.random(shape) < draw(st.sampled_from([0, 0.3, 1]))
        other = np.where(changed, rng.choice([0, 1, 5, 9], shape), reference)
        dtype = draw(st.sampled_from([np.uint8, np.uint16, np.int64]))
        predictions.append(np.asarray(other.astype(dtype), order=draw(st.sampled_from("CF"))))
    return reference, predictions


def test_the_smallest_value_of_a_reference_is_its_background():
    assert evaluated_labels(label_map("0110 0770")) == (1, 7)
    assert evaluated_labels(label_map("2211 2271")) == (2, 7)
    assert evaluated_labels(label_map("000 000")) == ()
    assert evaluated_labels(label_map("111 111")) == ()
    assert evaluated_labels(np.array([[[0, 65535]]], np.uint16)) == (65535,)


def test_each_label_is_scored_by_itself():
    reference, prediction = label_map("0113 0113"), label_map("0113 0110")
    first, second = score_once(prediction, reference, (1.0, 1.0, 1.0))
    assert first == StepScore(0, 1, 1.0, 1.0)
    assert (second.label, second.dsc) == (3, 2 * 1 / (1 + 2))
    assert 0 < second.nsd <= 1


def test_a_label_that_is_not_predicted_scores_0():
    reference, prediction = label_map("0113 0113"), label_map("0110 0110")
    assert score_once(prediction, reference, SPACING)[1] == StepScore(0, 3, 0.0, 0.0)


def test_predicted_labels_that_the_case_lacks_only_count_as_wrong_voxels():
    reference = label_map("0110 0110")
    unknown = score_once(label_map("9110 0199"), reference, SPACING)
    assert unknown == score_once(label_map("0110 0100"), reference, SPACING)


def test_nsd_counts_only_above_the_gate():
    # one voxel of nine: DSC is 2 * 1 / (1 + 9), and exactly 0.2 is not above 0.2
    reference, prediction = label_map("1111 1111 1000"), label_map("1000 0000 0000")
    (score,) = score_once(prediction, reference, SPACING)
    assert (score.dsc, score.nsd) == (0.2, 0.0)
    open_gate = Settings(nsd_gate=0.199)
    assert score_once(prediction, reference, SPACING, settings=open_gate)[0].nsd > 0


def test_the_gate_is_one_for_all_labels():
    reference, prediction = label_map("1122 1122"), label_map("1100 1100")
    scores = score_once(np.pad(prediction, 1), np.pad(reference, 1), SPACING)
    assert [(score.dsc, score.nsd) for score in scores] == [(1.0, 1.0), (0.0, 0.0)]
    shut = Settings(nsd_gate=0.5)
    gated = score_once(np.pad(prediction, 1), np.pad(reference, 1), SPACING, settings=shut)
    assert [score.nsd for score in gated] == [0.0, 0.0]


def test_the_tolerance_is_that_of_the_settings():
    reference, prediction = label_map("0111111110"), label_map("0111000000")
    strict, loose = (
        score_once(prediction, reference, (1, 1, 1), settings=Settings(nsd_tolerance_mm=mm))[0].nsd
        for mm in (1.0, 5.0)
    )
    assert strict < loose == 1


def test_a_reference_without_labels_has_no_scores():
    reference = label_map("111 111")
    scores = score_once(reference, reference, SPACING)
    assert scores == ()
    assert math.isnan(mean_scores(scores)[0])
    assert mean_scores(scores)[1] == 0


def test_labels_above_255_are_not_taken_for_smaller_ones():
    reference = np.zeros((2, 3, 4), np.uint16)
    reference[0, 0, :2], reference[1, 2, 2:] = 300, 44
    scores = score_once(np.where(reference, 44, 0).astype(np.uint8), reference, SPACING)
    assert [(score.label, score.dsc) for score in scores] == [(44, 2 * 2 / 6), (300, 0.0)]


@given(label_maps(), st.booleans())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_scores_of_mask_pairs_are_those_of_whole_masks(maps, exact_sum):
    reference, predictions = maps
    labels = evaluated_labels(reference)
    prepared = PreparedReference(reference, labels)
    rules = NsdSettings.of(SPACING, exact_sum=exact_sum)
    for step, prediction in enumerate(predictions):
        masks = [(prediction == label, reference == label) for label in labels]
        dsc = [dice(*pair) for pair in masks]
        gate_is_open = np.mean(dsc) > 0.2
        how = {"spacing": SPACING, "tolerance_mm": 2.0, "exact_sum": exact_sum}
        nsd = [surface_dice(*pair, **how) if gate_is_open else 0.0 for pair in masks]
        rows = zip(labels, dsc, nsd, strict=True)
        found = score_pairs(prepared.compare(prediction), step, rules)
        assert found == tuple(StepScore(step, *row) for row in rows)


@given(label_maps())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_scores_do_not_depend_on_earlier_comparisons(maps):
    reference, predictions = maps
    labels = evaluated_labels(reference)
    kept, nsd = PreparedReference(reference, labels), NsdSettings.of(SPACING)
    for step, prediction in reversed(list(enumerate(predictions))):
        fresh = PreparedReference(reference, labels)
        found = score_pairs(kept.compare(prediction), step, nsd)
        assert found == score_pairs(fresh.compare(prediction), step, nsd)


def test_surfaces_of_the_reference_are_computed_once_while_their_regions_stay():
    reference = np.zeros((10, 20, 31), np.uint8)
    reference[2:6, 3:9, 4:14], reference[4:9, 11:17, 15:28] = 1, 5
    prepared, nsd = PreparedReference(reference, (1, 5)), NsdSettings.of(SPACING)

    def surfaces_after_scoring(prediction):
        expected = prepared.compare(prediction).expected
        score_pairs(prepared.compare(prediction), 0, nsd)
        return {label: vars(mask)["kept_surface"] for label, mask in expected.items()}

    first = surfaces_after_scoring(reference)
    again = surfaces_after_scoring(reference)
    outside = reference.copy()
    outside[9, 19, 0] = 1
    moved = surfaces_after_scoring(outside)
    assert again[1] is first[1]
    assert moved[1] is not first[1]
    assert moved[5] is again[5] is first[5]
