"""How models use clicks: every number computed by hand, on small runs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import segbench
from segbench.core import Click, StepScore
from segbench.report import (
    Resampling,
    click_effects,
    clicks_to_reach,
    gain_per_click,
    mean_intervals,
    report_tables,
    step_seconds,
    tolerance_saturation,
)
from segbench.report.insight import saturation_metrics
from segbench.report.tables.insight import clicks_table, gain_table, noc_table
from segbench.report.tables.options import TableOptions
from segbench.report.tables.render import to_markdown
from segbench.report.tables.saturation import saturation_table
from segbench.results import CaseResult, Policy, StepResult
from tests.report.derived_frames import with_derived

FEW = Resampling(draws=200)
NEVER = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
RISES = (0.70, 0.82, 0.81, 0.86, 0.84, 0.91)  # .8 after 1 click, .85 after 3, .9 after 5
STAYS = (0.80,) * 6


def case(name, *labels, boxes=True, failed=(), seconds=1.0, clicks=range(1, 6), **facts):
    """Return a case; ``labels`` are DSC by step, NSD is half of it, all labels get the clicks."""
    numbers = range(0 if boxes else 1, 6)
    steps = [_step(step, labels, failed=step in failed) for step in numbers]
    rounds = [
        tuple(Click(label, (0, 0, 0), True) for label in range(1, len(labels) + 1))
        if step in clicks
        else ()
        for step in range(6)
    ]
    return CaseResult(
        name,
        "failed" if failed else "ok",
        reason="it broke" if failed else None,
        modality=name.split("_")[0],
        labels=tuple(range(1, len(labels) + 1)),
        has_boxes=boxes,
        rounds=tuple(rounds),
        steps=tuple(steps),
        seconds=dict.fromkeys(numbers, seconds),
        **facts,
    )


def _step(step, labels, *, failed):
    if failed:
        return StepResult(step, (), "it broke")
    numbered = enumerate(labels, start=1)
    scores = (StepScore(step, label, dsc[step], dsc[step] / 2) for label, dsc in numbered)
    return StepResult(step, tuple(scores), prediction_sha256="ab" * 32)


def row(frame, **keys):
    """Return the only row with these keys; ``has_boxes=None`` is all cases."""
    for name, value in keys.items():
        own = frame[name].isna() if value is None else (frame[name] == value).fillna(False)
        frame = frame[own]
    assert len(frame) == 1, f"{keys}: {len(frame)} rows"
    return frame.iloc[0]


@pytest.fixture
def results(run):
    """Three small runs: one that rises, one that fails once, one that is perfect at the box."""
    rising = [case("CT_1", RISES), case("CT_2", STAYS, NEVER), case("MR_1", NEVER, boxes=False)]
    failing = [
        case("CT_1", (0.5, 0.6, 0.7, 0.8, 0.9, 0.9), failed=[3]),
        case("CT_2", NEVER, NEVER),
        case("MR_1", (0, 0.0, 0.5, 0.8, 0.9, 0.9), boxes=False),
    ]
    perfect = [
        case("CT_1", (1.0,) * 6, clicks=()),
        case("CT_2", (1.0,) * 6, (0.9,) * 6),
        case("MR_1", (0, *(1.0,) * 5), boxes=False, clicks=[1]),
    ]
    runs = {"rising": rising, "failing": failing, "perfect": perfect}
    return segbench.load(*(run(name, cases) for name, cases in runs.items()))


# ---- clicks to reach a DSC -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "noc", "reached"),
    [(0.8, (1 + 2.5) / 2, 0.75), (0.85, (3 + 5) / 2, 0.5), (0.9, (5 + 5) / 2, 0.5)],
)
def test_noc_counts_clicks_until_the_dsc_is_reached_and_all_if_it_never_is(
    results, threshold, noc, reached
):
    frame = clicks_to_reach(results, FEW)
    found = row(frame, modality="CT", has_boxes=True, method="rising", threshold=threshold)
    assert (found["n"], found["noc"], found["reached"]) == (2, noc, reached)


def test_a_label_that_is_reached_at_the_box_needs_no_click_and_without_a_box_one(results):
    frame = clicks_to_reach(results, FEW, thresholds=[0.95])
    ct = row(frame, modality="CT", method="perfect")
    assert (ct["noc"], ct["reached"]) == ((0 + 2.5) / 2, 0.75)
    mr = row(frame, modality="MR", method="perfect", has_boxes=False)
    assert (mr["noc"], mr["reached"]) == (1, 1)


def test_a_failed_step_reaches_nothing(results):
    found = row(clicks_to_reach(results, FEW), modality="CT", method="failing", threshold=0.8)
    assert found["noc"] == (4 + 5) / 2  # the third click failed


def test_all_cases_are_with_boxes_without_them_and_both(results):
    frame = clicks_to_reach(results, FEW)
    overall = {"modality": "Overall", "method": "rising", "threshold": 0.8}
    nocs = [row(frame, has_boxes=box, **overall)["noc"] for box in (True, False, None)]
    assert nocs == pytest.approx([1.75, 5, (1 + 2.5 + 5) / 3])
    order = frame[["modality", "method"]].drop_duplicates().to_numpy().tolist()
    methods = ["rising", "failing", "perfect"]
    assert order == [[name, method] for name in ("CT", "MR", "Overall") for method in methods]


def test_methods_with_and_without_boxes_are_not_joined(run):
    given = run("given", [case("CT_1", STAYS)])
    withheld = run("withheld", [case("CT_1", STAYS, boxes=False)])
    frame = clicks_to_reach(segbench.load(given, withheld), FEW)
    assert not frame["has_boxes"].isna().any()


# ---- gain per click --------------------------------------------------------------------------


def test_the_gain_is_the_mean_change_from_the_step_before_the_click(results):
    frame = gain_per_click(results, FEW)
    own = frame[(frame["modality"] == "CT") & (frame["method"] == "rising")]
    # the case with two labels has 0.45, 0.5, 0.55, ...
    gains = [(change + 0.05) / 2 for change in (0.12, -0.01, 0.05, -0.02, 0.07)]
    assert own["dsc"].tolist() == pytest.approx(gains)
    assert own["nsd"].tolist() == pytest.approx([gain / 2 for gain in gains])
    assert own["n"].tolist() == [2] * 5


def test_the_first_click_without_a_box_has_no_gain(results):
    frame = gain_per_click(results, FEW)
    own = frame[(frame["modality"] == "MR") & (frame["method"] == "rising")]
    assert own["step"].tolist() == [2, 3, 4, 5]
    assert own["dsc"].tolist() == pytest.approx([0.1] * 4)
    joined = frame[frame["has_boxes"].isna() & (frame["method"] == "rising")]
    assert joined["step"].tolist() == [2, 3, 4, 5]
    assert joined["n"].tolist() == [3] * 4


def test_the_interval_of_a_gain_is_by_patients(run):
    rng = np.random.default_rng(0)
    curves = [tuple(rng.random(6)) for _ in range(12)]
    for patients in (range(12), [i // 4 for i in range(12)]):
        cases = [
            case(f"CT_{i:02}", curve, patient=f"p{patient}")
            for i, (curve, patient) in enumerate(zip(curves, patients, strict=True))
        ]
        results = segbench.load(run(f"by {len(set(patients))}", cases))
        gains = results.cases.assign(gain=[curve[4] - curve[3] for curve in curves])
        expected = mean_intervals(gains, measures=["gain"], resampling=FEW).iloc[0]
        found = row(gain_per_click(results, FEW), modality="CT", step=4)
        assert [found["dsc"], found["dsc_low"], found["dsc_high"]] == pytest.approx(
            expected[["mean", "low", "high"]].tolist()
        )


# ---- worse and obeyed ------------------------------------------------------------------------


def test_a_click_that_lowers_the_dsc_made_its_label_worse(results):
    found = row(click_effects(results, FEW), modality="CT", method="rising")
    # of five clicks two lower the DSC, by 0.01 and 0.02; the ten of the other case none
    assert (found["n"], found["n_clicks"]) == (2, 15)
    assert found["worse"] == pytest.approx((2 / 5 + 0) / 2)
    assert found["much_worse"] == pytest.approx((1 / 5 + 0) / 2)


def test_a_failed_step_counts_as_worse_only_if_it_scores_0(results):
    for policy, worse in ((Policy(), (1 / 5 + 0) / 2), (Policy("carry_forward"), 0)):
        frame = click_effects(results.with_policy(policy), FEW)
        found = row(frame, modality="CT", method="failing")
        assert found["much_worse"] == worse


def test_only_clicks_with_a_dsc_before_them_can_be_worse(results):
    frame = click_effects(results, FEW)
    assert row(frame, modality="MR", method="rising")["n_clicks"] == 4
    perfect = frame[frame["method"] == "perfect"]
    assert row(perfect, modality="CT")["n"] == 1  # the other case has no click
    assert "MR" not in perfect["modality"].tolist()  # its only click is the first one


def test_the_share_of_clicks_obeyed_is_that_of_the_rescored_ones(results):
    answers = {("CT_1", 1): (1, 1, 0, 1, 1), ("CT_2", 1): (1,) * 5, ("CT_2", 2): (0,) * 5}
    answers |= {("MR_1", 1): (0, 1, 1, 1, 1)}
    values = {
        ("rising", name, label, click, "obeyed"): answer
        for (name, label), of_label in answers.items()
        for click, answer in enumerate(of_label, start=1)
    }
    frame = click_effects(with_derived(results, values), FEW)
    ct = row(frame, modality="CT", method="rising")
    assert (ct["n_known"], ct["n_clicks_known"]) == (2, 15)
    assert ct["obeyed"] == pytest.approx((4 / 5 + 5 / 10) / 2)
    mr = row(frame, modality="MR", method="rising")  # the first click counts, too
    assert (mr["n_clicks"], mr["n_clicks_known"], mr["obeyed"]) == (4, 5, pytest.approx(0.8))
    failing = frame[frame["method"] == "failing"]
    assert failing["n_known"].tolist() == [0] * len(failing)
    assert failing["obeyed"].isna().all()


def test_what_is_not_known_is_named_with_the_command_that_computes_it(results):
    command = "`segbench rescore RUN... --data DIR --metric obeyed` computes it."
    assert f"Obeyed is not known for any method; {command}" in clicks_table(results).notes
    some = with_derived(results, {("rising", "CT_1", 1, 1, "obeyed"): 1.0})
    note = f"Obeyed is not known for failing, perfect; {command}"
    assert note in clicks_table(some).notes
    assert saturation_table(results) is None
    assert (
        "Where NSD says nothing is not known; `segbench rescore RUN... --data DIR --metric "
        "nsd-eroded@2mm --metric nsd-box@2mm` computes it."
    ) in gain_table(results).notes


# ---- seconds ---------------------------------------------------------------------------------


def test_seconds_are_percentiles_over_cases(run):
    cases = [case(f"CT_{i}", STAYS, NEVER, seconds=float(i)) for i in (1, 2, 3)]
    cases.append(case("CT_4", STAYS, boxes=False, seconds=9.0))
    frame = step_seconds(segbench.load(run("a", cases)))
    found = row(frame, modality="CT", has_boxes=True, step=0)
    assert (found["n"], found["p50"], found["p95"]) == (3, 2.0, pytest.approx(2.9))
    assert row(frame, has_boxes=None, step=0)["n"] == 3
    joined = row(frame, has_boxes=None, step=1)
    assert (joined["n"], joined["p50"], joined["p95"]) == (4, 2.5, pytest.approx(3 + 0.85 * 6))


# ---- saturation ------------------------------------------------------------------------------


@pytest.fixture
def saturated(results):
    eroded = {("CT_1", 1): 0.98, ("CT_2", 1): 0.98, ("CT_2", 2): 0.90, ("MR_1", 1): 0.5}
    box = {("CT_1", 1): 0.5, ("CT_2", 1): 0.97, ("CT_2", 2): 0.99, ("MR_1", 1): 0.99}
    names = saturation_metrics(results)
    return with_derived(
        results,
        {
            (method, *key, -1, metric): value
            for method in ("rising", "perfect")
            for metric, values in ((names["eroded"], eroded), (names["box"], box))
            for key, value in values.items()
        },
    )


def test_wrong_masks_near_1_mark_a_row(saturated):
    frame = tolerance_saturation(saturated)
    assert frame["modality"].tolist() == ["CT", "MR", "Overall"]
    ct, mr, overall = frame.to_dict("records")
    assert (ct["n"], overall["n"]) == (2, 3)  # each case once, not once for each method
    assert ct["eroded"] == pytest.approx((0.98 + 0.94) / 2)
    assert ct["box"] == pytest.approx((0.5 + 0.98) / 2)
    assert (ct["eroded_near_1"], ct["box_near_1"]) == ((1 + 0.5) / 2, (0 + 1) / 2)
    assert (ct["eroded_saturated"], ct["box_saturated"]) == (True, False)
    assert (mr["eroded_saturated"], mr["box_saturated"]) == (False, True)
    marks = [line[-1].text for line in saturation_table(saturated).rows]
    assert marks == ["one voxel", "the shape", "–"]
    assert not any("is not known" in note for note in gain_table(saturated).notes)


def test_the_threshold_of_saturation_may_be_chosen(saturated):
    frame = tolerance_saturation(saturated, threshold=0.99)
    assert not frame["eroded_saturated"].any()
    assert frame["box_near_1"].tolist() == pytest.approx([0.25, 1, (0 + 0.5 + 1) / 3])


# ---- a model that is asked -------------------------------------------------------------------


def shares_of_a_bar(image, interactions):
    """Return a part of the bar of 10 voxels: 2, 8, 6 and then all of it."""
    part = np.zeros(image.voxels.shape, np.uint8)
    part[1, 1, 1 : 1 + (2, 8, 6, 10, 10, 10)[interactions.step]] = 1
    return part


def test_the_numbers_of_a_model_are_those_of_its_answers(tmp_path):
    bar = np.zeros((3, 3, 12), np.uint8)
    bar[1, 1, 1:11] = 1
    box = segbench.Box(1, (1, 1, 1), (2, 2, 11), 1)
    cases = [segbench.case_from_arrays("CT_bar", bar, bar, (1.0, 1.0, 1.0), boxes=[box])]
    done = segbench.evaluate(shares_of_a_bar, cases, out=tmp_path / "run", progress=False)
    results = done.frames()
    dsc = [2 * part / (part + 10) for part in (2, 8, 6, 10, 10, 10)]  # 0.33, 0.89, 0.75, 1
    effects = row(click_effects(results, FEW), modality="CT")
    assert (effects["n_clicks"], effects["worse"]) == (3, 1 / 3)  # perfect after the third
    gains = gain_per_click(results, FEW)
    assert gains[gains["modality"] == "CT"]["dsc"].tolist() == pytest.approx(np.diff(dsc))
    nocs = clicks_to_reach(results, FEW)
    assert nocs[nocs["modality"] == "CT"]["noc"].tolist() == [1, 1, 3]


# ---- tables ----------------------------------------------------------------------------------


def test_tables_have_the_numbers_of_the_frames_and_intervals_on_demand(results):
    plain = noc_table(results, options=TableOptions(resampling=FEW))
    line = next(line for line in plain.rows if line[2].value == "rising")
    assert [cell.text for cell in line] == [
        *("CT", "Yes", "rising", "2"),
        *("1.75", "4.00", "5.00", "0.750", "0.500", "0.500"),
    ]
    full = noc_table(results, options=TableOptions(intervals=True, resampling=FEW))
    assert full.rows[0][4].text == "1.75 [1.00, 2.50]"
    gain = gain_table(results, options=TableOptions(resampling=FEW))
    assert gain.rows[0][5].interval is not None
    assert "In brackets: 95 % interval of the mean" in "\n".join(gain.notes)
    without_box = next(line for line in gain.rows if line[2].value == "No")
    assert without_box[5].text == "–"
    assert "| Overall | Any | rising | 3 |" in to_markdown(plain)


def test_runs_without_a_scored_case_have_no_tables_of_clicks(run):
    results = segbench.load(run("a", [], planned=2), run("b", [], planned=2))
    names = {table.name for table in report_tables(results)}
    assert not names & {"noc", "gain", "clicks", "seconds", "saturation", "sensitivity"}
    for frame in (clicks_to_reach(results), gain_per_click(results), click_effects(results)):
        assert frame.empty
    assert step_seconds(results).empty
    assert tolerance_saturation(results).empty


def test_the_order_of_the_rows_changes_nothing(results):
    shuffled = replace(
        results,
        **{
            name: getattr(results, name).sample(frac=1, random_state=1)
            for name in ("cases", "prompts")
        },
    )
    for function in (clicks_to_reach, gain_per_click, click_effects):
        pd.testing.assert_frame_equal(function(results, FEW), function(shuffled, FEW))
