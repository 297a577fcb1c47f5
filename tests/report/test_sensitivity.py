"""Whether the order of the methods holds under other choices, on small runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import segbench
from segbench.report import Resampling, rank_runs, sensitivity
from segbench.report.choices import cases_with_nsd
from segbench.report.frames import MEASURES
from segbench.report.method_order import kendall_tau, order_methods, same_order
from segbench.report.tables.render import to_csv, to_html, to_markdown, to_text
from segbench.report.tables.sensitivity import sensitivity_table
from segbench.results import Policy
from tests.report.derived_frames import with_derived
from tests.report.score_frames import cases_frame, random_scores
from tests.report.small_runs import case

FEW = Resampling(draws=300)
N = 8
DEFAULT = "By default (tolerance 2 mm, gate 0.2, a failed step scores 0, no time limit)"


def cases(dsc, **facts):
    """Eight cases of two datasets, the even ones with a box, each of a patient of its own."""
    return [
        case(
            f"CT_{i}",
            (dsc + 0.01 * i,) * 6,
            boxes=i % 2 == 0,
            dataset="even" if i % 2 == 0 else "odd",
            **facts,
        )
        for i in range(N)
    ]


@pytest.fixture
def results(run):
    """In every case a is better than b, and b than c; no step fails."""
    scores = {"c": 0.5, "a": 0.7, "b": 0.6}
    return segbench.load(*(run(name, cases(dsc)) for name, dsc in scores.items()))


def rows(results):
    return sensitivity(results, FEW).set_index("choice")


def nsd_of(results, metric, values):
    """Return results with a metric that has one value for each method."""
    steps = results.steps[["method", "case", "label", "step"]].itertuples(index=False)
    return with_derived(results, {(*key, metric): values[key[0]] for key in steps})


# ---- an order --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_order_is_that_of_the_ranking(seed):
    rng = np.random.default_rng(seed)
    frame = cases_frame(random_scores(rng, n_cases=20, n_methods=4, step=0.02))
    order = order_methods(frame, resampling=FEW)
    ranking = segbench.report.rank_methods(frame, resampling=FEW)
    table = ranking.table[
        (ranking.table["rule"] == "rank_then_aggregate") & (ranking.table["average"] == "micro")
    ]
    assert order.ranks == dict(zip(table["method"], table["rank"], strict=True))
    first, second = list(order.ranks)[:2]
    pairs = ranking.pairs
    forward = pairs[(pairs["method_a"] == first) & (pairs["method_b"] == second)]
    backward = pairs[(pairs["method_a"] == second) & (pairs["method_b"] == first)]
    if len(forward):
        expected = forward[["difference", "low", "high"]].iloc[0].tolist()
    else:
        expected = (-backward[["difference", "high", "low"]]).iloc[0].tolist()
    assert [order.difference, order.low, order.high] == pytest.approx(expected)
    assert order.told_apart == (order.low > 0)


def test_equal_methods_share_a_rank_in_the_text():
    order = order_methods(cases_frame({"a": [0.5] * 7, "b": [0.5] * 7, "c": [0.4] * 7}))
    assert order.text == "a = b > c"
    assert order.leaders == ("a", "b")
    assert (order.difference, order.told_apart) == (0, False)


def test_too_few_patients_say_nothing():
    order = order_methods(cases_frame({"a": [0.5] * 5, "b": [0.4] * 5}))
    assert order.told_apart is None
    assert np.isnan([order.low, order.high]).all()


def test_no_order_without_two_ranked_methods_and_a_common_case():
    assert order_methods(cases_frame({"a": [0.5]})) is None
    assert order_methods(cases_frame({"a": [0.5], "b": [0.6]}, unranked=["b"])) is None
    assert order_methods(cases_frame({"a": [0.5, None], "b": [None, 0.6]})) is None


def test_kendalls_tau_counts_pairs_in_the_same_order():
    orders = [
        order_methods(cases_frame({name: [0.4 - 0.1 * i] * 3 for i, name in enumerate(names)}))
        for names in ("abcd", "bacd", "dcba", "bd")
    ]
    taus = [kendall_tau(orders[0], order) for order in orders]
    assert taus == pytest.approx([1, (5 - 1) / 6, -1, 1])  # the last over b and d alone
    assert [same_order(orders[0], order) for order in orders] == [True, False, False, True]


# ---- the choices -----------------------------------------------------------------------------


def test_the_first_row_is_the_ranking_of_the_report(results):
    found = rows(results).loc["Default"]
    ranking = rank_runs(results, resampling=FEW)
    assert found["order"] == "a > b > c"
    assert (found["n_cases"], found["n_patients"], found["tau"]) == (N, N, 1)
    pair = ranking.pairs.set_index(["method_a", "method_b"]).loc["a", "b"]
    numbers = ["difference", "low", "high"]
    assert found[numbers].tolist() == pair[numbers].tolist() == [1, 1, 1]
    assert found["sentence"] == f"{DEFAULT}, a leads; a can be told from b."


def test_another_tolerance_replaces_nsd_and_may_turn_the_order(results):
    # by DSC the order stays, by NSD it is reversed: all mean ranks are 2
    turned = rows(nsd_of(results, "nsd@1mm", {"a": 0.1, "b": 0.2, "c": 0.3}))
    assert turned.loc["Tolerance 1 mm", "order"] == "c = a = b"
    assert turned.loc["Tolerance 1 mm", "leader"] == "c and a and b"
    assert turned.loc["Tolerance 1 mm", "sentence"] == (
        "With a tolerance of 1 mm, c and a and b lead instead of a; c cannot be told from a."
    )
    assert pd.isna(turned.loc["Tolerance 1 mm", "tau"])
    kept = rows(nsd_of(results, "nsd@1mm", {"a": 0.3, "b": 0.2, "c": 0.1}))
    assert kept.loc["Tolerance 1 mm", "order"] == "a > b > c"
    kept = rows(nsd_of(results, "nsd-ungated@2mm", {"a": 0.9, "b": 0.6, "c": 0.8}))
    assert kept.loc["No gate", "order"] == "a > c = b"
    assert kept.loc["No gate", "sentence"] == (
        "Without the gate of 0.2, a still leads, and the order below changes; a can be told from c."
    )


def test_a_metric_equal_to_nsd_gives_the_very_same_scores(results):
    steps = results.steps
    same = with_derived(
        results,
        {
            (*key[:4], "again"): key[4]
            for key in steps[["method", "case", "label", "step", "nsd"]].itertuples(index=False)
        },
    )
    found = cases_with_nsd(same, "again")
    for measure in MEASURES:
        assert found[measure].tolist() == results.cases[measure].tolist()


def test_a_case_that_is_not_rescored_is_left_out(results):
    full = nsd_of(results, "nsd@3mm", {"a": 0.3, "b": 0.2, "c": 0.1})
    kept = ~((full.derived["method"] == "b") & (full.derived["case"] == "CT_3"))
    found = rows(replace(full, derived=full.derived[kept])).loc["Tolerance 3 mm"]
    assert found["n_cases"] == N - 1
    assert found["sentence"] == (
        "With a tolerance of 3 mm (7 of 8 cases), the order is the same; a can be told from b."
    )


def test_what_is_not_rescored_is_named_with_the_command(results):
    some = nsd_of(results, "nsd@1mm", {"a": 0.3, "b": 0.2, "c": 0.1})
    some = replace(some, derived=some.derived[some.derived["method"] == "b"])
    found = rows(some)
    assert found.loc["Tolerance 1 mm", "metric"] == "nsd@1mm"
    assert found.loc["Tolerance 1 mm", "sentence"] == (
        "With a tolerance of 1 mm: nsd@1mm is missing for c, a; `segbench rescore RUN... "
        "--data DIR --metric nsd@1mm` computes it."
    )
    assert "missing for every method" in found.loc["Tolerance 3 mm", "sentence"]
    assert found["metric"].dropna().tolist() == ["nsd@1mm", "nsd@3mm", "nsd-ungated@2mm"]
    assert pd.isna(found.loc["Tolerance 1 mm", "told_apart"])
    assert (
        "`segbench rescore RUN... --data DIR --metric nsd@1mm --metric nsd@3mm --metric "
        "nsd-ungated@2mm` computes all that is missing."
    ) in sensitivity_table(some, resampling=FEW).notes


def test_without_a_failure_nothing_is_left_out(results):
    found = rows(results)
    assert found.loc["Failures left out", "sentence"] == "No step has failed: nothing changes."
    assert found.loc["Time limit", "sentence"] == (
        "No case takes more than 90 s per label: nothing changes."
    )


def test_a_case_that_failed_for_any_method_is_left_out_for_all(run):
    good = [case(f"CT_{i}", (0.6,) * 6) for i in range(N)]
    fails = [case(f"CT_{i}", (0.7,) * 6, failed=range(6) if i < 5 else ()) for i in range(N)]
    found = rows(segbench.load(run("good", good), run("fails", fails)))
    assert found.loc["Default", "leader"] == "good"
    assert found.loc["Failures left out", ["leader", "n_cases", "tau"]].tolist() == ["fails", 3, -1]
    assert found.loc["Failures left out", "sentence"] == (
        "Without the cases in which a step of any method failed (3 of 8 cases), fails leads "
        "instead of good; 3 patients are too few to tell the first two apart."
    )


@pytest.mark.parametrize(("limit", "other"), [(None, "Time limit"), (90.0, "No time limit")])
def test_the_time_limit_is_the_one_that_the_report_has_not(run, limit, other):
    quick = [case(f"CT_{i}", (0.6,) * 6) for i in range(N)]
    slow = [case(f"CT_{i}", (0.7,) * 6, seconds=16.0 if i < 6 else 1.0) for i in range(N)]
    runs = run("quick", quick), run("slow", slow)
    found = rows(segbench.load(*runs, time_limit=limit))
    leaders = {None: ("slow", "quick"), 90.0: ("quick", "slow")}[limit]
    assert (found.loc["Default", "leader"], found.loc[other, "leader"]) == leaders
    expected = rows(segbench.load(*runs, time_limit=None if limit else 90.0)).loc["Default"]
    numbers = ["difference", "low", "high"]
    assert found.loc[other, numbers].tolist() == expected[numbers].tolist()


def test_raw_scores_need_run_folders(run):
    folders = [run(name, cases(dsc)) for name, dsc in (("a", 0.7), ("b", 0.6))]
    results = replace(segbench.load(*folders, time_limit=90.0), runs={})
    assert rows(results).loc["No time limit", "sentence"] == (
        "Without the time limit: the results have no run folders to read raw scores from."
    )


def test_cases_with_and_without_boxes_are_ranked_apart(run):
    # a is better with boxes, b without them
    a = [case(f"CT_{i}", (0.8 if i < 6 else 0.5,) * 6, boxes=i < 6) for i in range(N)]
    b = [case(f"CT_{i}", (0.6,) * 6, boxes=i < 6) for i in range(N)]
    found = rows(segbench.load(run("a", a), run("b", b)))
    assert found.loc["Only with boxes", ["leader", "n_cases"]].tolist() == ["a", 6]
    assert found.loc["Only without boxes", ["leader", "n_cases"]].tolist() == ["b", 2]


def test_a_run_without_boxes_is_not_among_the_methods_with_boxes(run):
    folders = [
        run(name, [case(f"CT_{i}", (dsc,) * 6, boxes=name != "none") for i in range(N)])
        for name, dsc in (("none", 0.9), ("a", 0.8), ("b", 0.7))
    ]
    found = rows(segbench.load(*folders))
    assert found.loc["Only with boxes", "sentence"] == (
        "On cases with boxes alone, which none lacks, the order of the others is the same; a can "
        "be told from b."
    )
    assert found.loc["Only with boxes", "tau"] == 1
    assert found.loc["Only without boxes", "sentence"] == (
        "On cases without boxes alone: fewer than two methods have such a case in common."
    )


def test_equal_boxes_and_unknown_datasets_are_said(run):
    folders = [run(name, [case("CT_1", (dsc,) * 6)]) for name, dsc in (("a", 0.7), ("b", 0.6))]
    sentences = rows(segbench.load(*folders))["sentence"]
    assert sentences["Only with boxes"] == "Every case has boxes: nothing changes."
    assert sentences["Only without boxes"] == (
        "On cases without boxes alone: every case has boxes."
    )
    assert sentences["Without a dataset"] == "Leaving out a dataset: no dataset is stated."


def test_without_any_box_only_cases_without_boxes_are_known(run):
    folders = [
        run(name, [case("CT_1", (dsc,) * 6, boxes=False)]) for name, dsc in (("a", 0.7), ("b", 0.6))
    ]
    found = rows(segbench.load(*folders))
    assert found.loc["Only with boxes", "sentence"] == (
        "On cases with boxes alone: no case has boxes."
    )
    assert pd.isna(found.loc["Only with boxes", "leader"])
    assert found.loc["Only without boxes", "sentence"] == "No case has boxes: nothing changes."
    assert found.loc["Only without boxes", "leader"] == "a"


def test_each_dataset_is_left_out(results):
    found = rows(results)
    assert found.loc["Without even", ["n_cases", "order"]].tolist() == [4, "a > b > c"]
    assert found.loc["Without odd", "sentence"] == (
        "Without the dataset odd (4 of 8 cases), the order is the same; 4 patients are too few to "
        "tell the first two apart."
    )


# ---- the table -------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_choice_in_all_forms(results):
    table, frame = sensitivity_table(results, resampling=FEW), sensitivity(results, FEW)
    assert [line[0].value for line in table.rows] == frame["choice"].tolist()
    assert [line[-1].value for line in table.rows] == frame["sentence"].tolist()
    assert table.rows[0][5].text == "1.00 [1.00, 1.00]"
    for render in (to_csv, to_html, to_markdown, to_text):
        assert "Failures left out" in render(table)


def test_one_run_has_no_sensitivity(run):
    results = segbench.load(run("a", cases(0.5)))
    assert sensitivity(results, FEW).empty
    assert sensitivity_table(results, resampling=FEW) is None


def test_the_policy_is_named_in_the_default(results):
    found = rows(results.with_policy(Policy("carry_forward", 30.0)))
    assert found.loc["Default", "sentence"].startswith(
        "By default (tolerance 2 mm, gate 0.2, a failed step keeps the score, time limit 30 s per "
        "label), a leads"
    )
