"""Every two methods compared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segbench.errors import RunError
from segbench.report.pairs import PAIR_COLUMNS, compare_pairs
from segbench.report.resampling import Resampling
from tests.report.score_frames import cases_frame, random_scores

FEW = Resampling(draws=500)


def one_row(frame, **options):
    options = {"measures": ["dsc_auc"], "resampling": FEW} | options
    (row,) = compare_pairs(frame, **options).to_dict("records")
    return row


def test_a_pair_by_hand():
    row = one_row(cases_frame({"a": [0.5, 0.6, 0.9], "b": [0.4, 0.6, 1.2]}, patients="xyz"))
    assert (row["method_a"], row["method_b"], row["n_cases"], row["n_patients"]) == ("a", "b", 3, 3)
    assert row["difference"] == pytest.approx(-0.2 / 3)
    assert row["mean_a"] - row["mean_b"] == pytest.approx(row["difference"])
    assert (row["wins"], row["ties"], row["losses"]) == (1, 1, 1)
    assert row["effect"] == pytest.approx(-1 / 3)
    assert (row["p"], row["p_min"], row["exact"]) == (1.0, 0.5, True)
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["equivalent"] is None
    assert np.isnan(row["margin"])


@pytest.mark.parametrize(("margin", "expected"), [(0, (2, 0, 1)), (0.1, (1, 1, 1)), (9, (0, 3, 0))])
def test_a_difference_within_the_margin_is_a_tie(margin, expected):
    frame = cases_frame({"a": [0.5, 0.7, 0.1], "b": [0.4, 0.5, 0.4]})
    row = one_row(frame, tie_margin=margin)
    assert (row["wins"], row["ties"], row["losses"]) == expected


def test_the_same_scores_under_two_names_differ_in_nothing():
    scores = np.random.default_rng(0).uniform(size=30).tolist()
    row = one_row(cases_frame({"a": scores, "b": scores}))
    assert (row["difference"], row["low"], row["high"], row["effect"]) == (0, 0, 0, 0)
    assert (row["p"], row["false_claim"], row["ties"]) == (1, 0.5, 30)


def test_pairs_use_the_cases_that_both_have():
    frame = cases_frame({"a": [0.1] * 6, "b": [0.2] * 5 + [None], "c": [None] * 2 + [0.3] * 4})
    pairs = compare_pairs(frame, measures=["dsc_auc"], resampling=FEW)
    assert list(zip(pairs["method_a"], pairs["method_b"], strict=True)) == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    assert pairs["n_cases"].tolist() == [5, 4, 3]
    assert pairs["n_left_out"].tolist() == [1, 2, 3]


def test_rows_are_sorted_by_measure_and_method_and_are_one_family():
    scores = random_scores(np.random.default_rng(1), n_cases=8, n_methods=3)
    scores["m1"][3] = None
    pairs = compare_pairs(cases_frame(scores), measures=["nsd_auc", "dsc_auc"], resampling=FEW)
    assert pairs["measure"].tolist() == ["nsd_auc"] * 3 + ["dsc_auc"] * 3
    assert pairs["method_a"].tolist() == ["m0", "m0", "m1"] * 2
    assert tuple(pairs.columns) == PAIR_COLUMNS
    assert (pairs["n_family"] == 6).all()
    assert (pairs["p_holm"] >= pairs["p"]).all()
    assert pairs["p_holm"].min() == pytest.approx(min(1, 6 * pairs["p"].min()))


def test_a_pair_is_the_same_with_and_without_a_third_method():
    scores = random_scores(np.random.default_rng(2), n_cases=20, n_methods=3, step=0.02)
    three = compare_pairs(cases_frame(scores), measures=["dsc_auc"], resampling=FEW).iloc[0]
    two = one_row(cases_frame({name: scores[name] for name in ("m0", "m1")}))
    for column in ("difference", "low", "high", "p", "effect", "false_claim"):
        assert three[column] == pytest.approx(two[column])


def test_methods_that_see_the_reference_are_in_no_pair():
    frame = cases_frame({"a": [0.1, 0.2], "b": [0.2, 0.2], "o": [1, 1]}, unranked=["o"])
    assert one_row(frame)["method_b"] == "b"


@pytest.mark.parametrize("scores", [{"a": [0.1]}, {"a": [0.1, None], "b": [None, 0.1]}])
def test_no_pair_without_common_cases(scores):
    pairs = compare_pairs(cases_frame(scores), resampling=FEW)
    assert pairs.empty
    assert tuple(pairs.columns) == PAIR_COLUMNS


def test_one_patient_gives_no_interval_and_no_claim():
    row = one_row(cases_frame({"a": [0.1, 0.2], "b": [0.3, 0.5]}, patients="xx"))
    assert np.isnan([row["low"], row["high"], row["false_claim"]]).all()
    assert row["p"] == row["p_min"] == 1
    assert (
        one_row(cases_frame({"a": [0.1], "b": [0.3]}), equivalence_margin=1)["equivalent"] is None
    )


def test_equivalence_needs_an_interval_inside_the_margin():
    scores = random_scores(np.random.default_rng(3), n_cases=60, n_methods=2)
    row = one_row(cases_frame(scores), equivalence_margin=0.05)
    inside = max(abs(row["margin_low"]), abs(row["margin_high"]))
    assert row["equivalent"] is True
    assert row["low"] < row["margin_low"] < row["margin_high"] < row["high"]
    assert one_row(cases_frame(scores), equivalence_margin=0.99 * inside)["equivalent"] is False


def test_equivalence_agrees_with_two_one_sided_t_tests():
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    scores = random_scores(np.random.default_rng(4), n_cases=100, n_methods=2)
    a, b = (np.array(scores[name])[:, 0] for name in ("m0", "m1"))
    row = one_row(cases_frame(scores), resampling=Resampling())
    edge = max(abs(row["margin_low"]), abs(row["margin_high"]))
    p_value, _, _ = weightstats.ttost_paired(a, b, -edge, edge)
    assert p_value == pytest.approx(0.05, abs=0.01)


def test_margins_may_differ_by_measure():
    frame = cases_frame(random_scores(np.random.default_rng(5), n_cases=30, n_methods=2))
    pairs = compare_pairs(frame, equivalence_margin={"dsc_auc": 4}, resampling=FEW)
    by_measure = pairs.set_index("measure")["equivalent"]
    assert by_measure["dsc_auc"] is True
    assert by_measure["nsd_auc"] is None


@pytest.mark.parametrize(
    ("margin", "message"),
    [(-1, "0 or more, found -1"), ({"dice": 1}, "expected measures of dsc_auc, found dice")],
)
def test_margins_are_checked(margin, message):
    frame = cases_frame({"a": [0.1], "b": [0.2]})
    with pytest.raises(RunError, match=message):
        compare_pairs(frame, measures=["dsc_auc"], tie_margin=margin)
    with pytest.raises(RunError, match=message):
        compare_pairs(frame, measures=["dsc_auc"], equivalence_margin=margin)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 16))
def test_swapping_two_methods_changes_signs_only(seed, n_cases):
    rng = np.random.default_rng(seed)
    scores = random_scores(rng, n_cases=n_cases, n_methods=2)
    patients = [f"{number}" for number in rng.integers(n_cases, size=n_cases)]
    options = {"patients": patients, "modality": ["CT", "MR"] * n_cases}
    row = one_row(cases_frame(scores, **options))
    swapped = one_row(cases_frame(dict(reversed(scores.items())), **options))
    assert swapped["difference"] == pytest.approx(-row["difference"])
    assert swapped["low"] == pytest.approx(-row["high"], nan_ok=True)
    assert swapped["effect"] == pytest.approx(-row["effect"])
    assert (swapped["wins"], swapped["losses"]) == (row["losses"], row["wins"])
    for column in ("p", "p_min", "false_claim"):
        assert swapped[column] == pytest.approx(row[column], nan_ok=True)
