"""A run compared with a baseline: signs, checks and text."""

import math

import pytest

import segbench
from segbench.errors import RunError
from segbench.report import check_losses, compare_runs, comparison_text
from segbench.report.compare import LossCheck
from segbench.report.pairs import compare_pairs
from segbench.report.resampling import Resampling
from tests.report.small_runs import case

FEW = Resampling(draws=200)


def flat(score):
    return (score,) * 6


def cases(*finals, **facts):
    """Return cases CT_0, CT_1, ... of one constant DSC."""
    return [case(f"CT_{i}", flat(final), **facts) for i, final in enumerate(finals)]


@pytest.fixture
def results(run):
    return segbench.load(
        run("old", [*cases(0.5, 0.6, 0.7), case("MR_1", flat(0.4), boxes=False)]),
        run("new", [*cases(0.6, 0.6, 0.4), case("MR_1", flat(0.5), boxes=False)]),
    )


def test_differences_are_those_of_the_run_to_the_baseline(results):
    comparison = compare_runs(results, resampling=FEW)
    rows = comparison.measures.set_index("measure")
    assert (comparison.baseline, comparison.method) == ("old", "new")
    assert rows["difference"]["dsc_final"] == pytest.approx(-0.1 / 4)
    assert rows["mean_b"]["dsc_final"] == pytest.approx(0.55)  # the baseline
    assert rows.loc["dsc_final", ["wins", "ties", "losses"]].tolist() == [2, 1, 1]


def test_the_numbers_are_those_of_the_pairs_with_the_sign_turned(results):
    pairs = compare_pairs(results.cases, resampling=FEW)  # old - new
    measures = compare_runs(results, resampling=FEW).measures
    assert measures["difference"].tolist() == (-pairs["difference"]).tolist()
    assert measures["p_holm"].tolist() == pairs["p_holm"].tolist()
    assert measures["low"].tolist() == pytest.approx((-pairs["high"]).tolist())


def test_means_by_modality_and_box(results):
    rows = compare_runs(results, resampling=FEW).by_box
    assert rows["modality"].tolist() == ["CT", "MR", "All cases"]
    assert rows["has_boxes"].tolist()[:2] == [True, False]
    assert rows["n"].tolist() == [3, 1, 4]
    assert rows["dsc_final"].tolist() == pytest.approx([-0.2 / 3, 0.1, -0.025])


def test_labels_are_sorted_from_the_largest_gain_to_the_largest_loss(results):
    labels = compare_runs(results, resampling=FEW, label_measure="nsd_auc").by_label
    assert labels["case"].tolist() == ["CT_0", "MR_1", "CT_1", "CT_2"]
    assert labels["difference"].tolist() == pytest.approx([0.2, 0.2, 0, -0.6])
    assert labels.iloc[-1][["baseline", "run"]].tolist() == pytest.approx([1.4, 0.8])


def test_only_common_cases_count_and_the_others_are_named(run):
    results = segbench.load(run("old", cases(0.5, 0.5, 0.5)), run("new", cases(0.6, 0.6)))
    comparison = compare_runs(results, resampling=FEW)
    assert comparison.measures["n_cases"].tolist() == [2] * 4
    assert any("new lacks 1 case (CT_2)" in note for note in comparison.notes)
    text = comparison_text(comparison, check_losses(comparison, {"dsc_final": 0.1}))
    assert text.endswith("\n1 case is not in these means: scored in one run only.\n")


def test_other_boxes_are_noted(run):
    results = segbench.load(run("old", cases(0.5)), run("new", cases(0.5, boxes=False)))
    comparison = compare_runs(results, resampling=FEW)
    assert any("not have the same boxes in 1 case" in note for note in comparison.notes)


def test_runs_that_cannot_be_compared_are_refused(run):
    old, other = run("old", cases(0.5)), run("other", [case("PET_1")])
    oracle = run("oracle", cases(1.0), sees_reference=True)
    with pytest.raises(RunError, match="old and other: expected a case that both have scored"):
        compare_runs(segbench.load(old, other))
    with pytest.raises(RunError, match="do not see the reference, found oracle"):
        compare_runs(segbench.load(oracle, old))
    with pytest.raises(RunError, match="expected two runs, found 1"):
        compare_runs(segbench.load(old))


@pytest.mark.parametrize(
    ("difference", "low", "high", "failed", "agrees"),
    [
        (-0.03, -0.04, -0.02, True, True),
        (-0.03, -0.04, -0.005, True, False),
        (-0.005, -0.009, 0.0, False, True),
        (-0.005, -0.02, 0.01, False, False),
        (0.70 - 0.71, -0.02, 0.01, False, False),  # -0.01, but for rounding
        (-0.03, math.nan, math.nan, True, None),
    ],
)
def test_a_check_fails_by_the_mean_and_says_what_the_interval_says(
    difference, low, high, failed, agrees
):
    check = LossCheck("dsc_final", 0.01, difference, low, high)
    assert check.failed == failed
    assert check.interval_agrees is agrees


def test_a_check_has_the_numbers_of_its_measure(results):
    comparison = compare_runs(results, resampling=FEW)
    (check,) = check_losses(comparison, {"nsd_final": 0.01})
    assert check.difference == pytest.approx(-0.0125)
    assert check.failed


def test_the_text_says_which_run_is_the_baseline_and_fits_a_terminal(results):
    comparison = compare_runs(results, equivalence_margin={"dsc_final": 0.5}, resampling=FEW)
    text = comparison_text(comparison, check_losses(comparison, {"dsc_final": 0}))
    assert text.startswith("A  old  (baseline)\nB  new\n")
    assert "4 common cases of 4 patients" in text
    assert "below 0." in text
    assert "-0" not in text.replace("-0.", "")
    assert max(map(len, text.splitlines())) <= 100
    gains, losses = text.split("Largest gains")[1].split("Largest losses")
    assert "CT_0" in gains
    assert "CT_2" in losses.split("Notes")[0]
    assert "CT_2" not in gains
    rows = text.split("Equivalence")[1].split("\n\n")[1].splitlines()[2:]
    assert [row.split()[:2] for row in rows] == [["DSC", "Final"]]


def test_long_names_fit_a_terminal(run):
    name = "CT_" + "x" * 90
    long = {"dataset": "d" * 60, "patient": "p"}
    folders = (
        run(method, [case(name, flat(dsc), **long)], folder=method[0])
        for method, dsc in (("a" * 60, 0.5), ("b" * 60, 0.6))
    )
    text = comparison_text(compare_runs(segbench.load(*folders), resampling=FEW))
    lines = text.split("Notes")[0].splitlines()
    assert max(map(len, lines)) <= 100


def test_equal_runs_have_no_movers(run):
    results = segbench.load(run("old", cases(0.5, 0.6)), run("new", cases(0.5, 0.6)))
    text = comparison_text(compare_runs(results, resampling=FEW))
    assert "of 2 labels: gains 0, losses 0, equal 2" in text
    assert text.count("\n\nnone\n") == 2
