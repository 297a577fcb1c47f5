"""The frame `derived`: rows under each policy, and none of what is no longer of the run."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import segbench
from segbench import report
from segbench.report.frames import Results
from segbench.results import Policy
from segbench.runs.derived_json import derived_file
from segbench.runs.job import close_models
from segbench.runs.run_folder import case_file, read_run, write_case_result

COLUMNS = ["method", "case", "label", "step", "metric", "value", "modality", "has_boxes"]
METRICS = ["nsd@2mm", "hd95", "obeyed", "nsd-box@2mm", "volume-error"]


@pytest.fixture
def run(data, tmp_path, scripted):
    """Return a rescored run: step 0 of two cases and step 3 of all have failed."""
    out = tmp_path / "run"
    how = {"in_process": True, "progress": False}
    segbench.evaluate(scripted, data, out=out, option={"fail": "raise", "at": "3"}, **how)
    close_models()
    assert segbench.rescore(out, metric=METRICS, progress=False).refused == ()
    return out


def rows(results, metric, **where):
    found = results.derived[results.derived["metric"] == metric]
    for column, value in where.items():
        found = found[found[column] == value]
    return found


def change_case(run, case, **facts):
    (result,) = (each for each in read_run(run).case_results if each.case == case)
    write_case_result(run, replace(result, **facts))


@pytest.mark.parametrize(
    "policy", [Policy(), Policy("carry_forward"), Policy(time_limit=1e-9)], ids=str
)
def test_a_score_follows_the_policy_as_that_of_the_run_does(run, policy):
    results = segbench.load(run, failures=policy.failures, time_limit=policy.time_limit)
    both = rows(results, "nsd@2mm").merge(results.steps, on=["method", "case", "label", "step"])
    assert len(both) == len(results.steps)
    assert (both["value"] == both["nsd"]).all()
    failed = both[both["failure"].notna()]["value"]
    assert len(failed) == 6
    assert (failed > 0).any() == (policy == Policy("carry_forward"))


def test_with_policy_is_the_same_as_loading_with_it(run):
    carried = segbench.load(run, failures="carry_forward")
    pd.testing.assert_frame_equal(
        segbench.load(run).with_policy(Policy("carry_forward")).derived, carried.derived
    )


def test_a_failed_step_has_no_distance_but_carries_one_forward(run):
    zero, carried = segbench.load(run), segbench.load(run, failures="carry_forward")
    for metric in ("hd95", "volume-error"):
        assert rows(zero, metric, step=3)["value"].isna().all()
        assert len(rows(zero, metric, step=3)) == 6
        for step in (2, 3):
            expected = rows(carried, metric, step=2)["value"].tolist()
            assert rows(carried, metric, step=step)["value"].tolist() == expected


def test_a_click_without_an_answer_was_not_obeyed(run):
    for failures in ("zero", "carry_forward"):
        results = segbench.load(run, failures=failures)
        obeyed = rows(results, "obeyed")
        clicks = results.prompts[results.prompts["kind"] == "click"]
        assert sorted(zip(obeyed["case"], obeyed["label"], obeyed["step"], strict=True)) == sorted(
            zip(clicks["case"], clicks["label"], clicks["step"], strict=True)
        )
        assert set(obeyed[obeyed["step"] == 3]["value"]) == {0.0}
        assert obeyed[obeyed["step"] != 3]["value"].mean() == 1  # it paints what is clicked


def test_facts_of_the_reference_are_at_a_step_of_their_own(run):
    box = rows(segbench.load(run, time_limit=1e-9), "nsd-box@2mm")
    assert box["step"].tolist() == [-1] * 6
    assert set(box["value"]) == {1.0}  # the labels are boxes


def test_cases_that_do_not_count_have_rows_without_a_value(run):
    (result,) = (each for each in read_run(run).case_results if each.case == "CT_Toy_001")
    steps = [
        replace(step, scores=(), failure="no", prediction_sha256=None) for step in result.steps
    ]
    change_case(run, "CT_Toy_001", steps=tuple(steps), status="failed", reason="no")
    carried = segbench.load(run, failures="carry_forward")
    assert rows(carried, "nsd@2mm", case="CT_Toy_001")["value"].isna().all()
    zero = segbench.load(run)
    assert set(rows(zero, "nsd@2mm", case="CT_Toy_001")["value"]) == {0.0}


def test_rows_have_the_documented_columns_and_order(run):
    derived = segbench.load(run).derived
    assert list(derived.columns) == COLUMNS
    by = derived[["case", "step", "label"]].apply(tuple, axis=1).tolist()
    assert by == sorted(by)
    assert set(derived["modality"]) == {"CT", "MR", "PET"}
    assert set(derived[derived["case"] == "MR_Toy_002"]["has_boxes"]) == {False}
    assert not derived.duplicated(["method", "case", "label", "step", "metric"]).any()


def test_a_run_that_was_never_rescored_has_the_columns_and_no_row(data, tmp_path):
    segbench.evaluate("boxfill", data, out=tmp_path / "run", in_process=True, progress=False)
    close_models()
    derived = segbench.load(tmp_path / "run").derived
    assert list(derived.columns) == COLUMNS
    assert len(derived) == 0
    by_hand = Results(*(pd.DataFrame() for _ in range(4))).derived
    pd.testing.assert_frame_equal(by_hand, derived)


def test_rows_of_predictions_that_are_no_longer_those_of_the_run_are_left_out(run):
    (result,) = (each for each in read_run(run).case_results if each.case == "CT_Toy_001")
    steps = [
        replace(step, prediction_sha256="ab" * 32) if step.step == 5 else step
        for step in result.steps
    ]
    change_case(run, "CT_Toy_001", steps=tuple(steps))
    results = segbench.load(run)
    assert 5 not in set(rows(results, "hd95", case="CT_Toy_001")["step"])
    assert 5 in set(rows(results, "hd95", case="PET_Toy_003")["step"])


def test_rows_of_other_data_or_another_definition_are_left_out(run):
    change_case(run, "CT_Toy_001", file_sha256="cd" * 32)
    stored = json.loads(derived_file(run, "PET_Toy_003").read_text())
    stored["metrics"]["hd95"]["definition"] = "version 0"
    derived_file(run, "PET_Toy_003").write_text(json.dumps(stored))
    results = segbench.load(run)
    assert set(results.derived["case"]) == {"MR_Toy_002", "PET_Toy_003"}
    assert set(rows(results, "hd95")["case"]) == {"MR_Toy_002"}


def test_a_case_that_is_run_again_keeps_the_values_of_equal_predictions(run, data, scripted):
    before = segbench.load(run).derived
    case_file(run, "CT_Toy_001").unlink()
    assert "CT_Toy_001" not in set(segbench.load(run).derived["case"])
    how = {"in_process": True, "progress": False}
    segbench.evaluate(scripted, data, out=run, option={"fail": "raise", "at": "3"}, **how)
    close_models()
    pd.testing.assert_frame_equal(segbench.load(run).derived, before)


def test_common_cases_have_their_rows_only(run, data, tmp_path):
    how = {"in_process": True, "progress": False, "case": "CT_*"}
    segbench.evaluate("boxfill", data, out=tmp_path / "other", **how)
    close_models()
    segbench.rescore(tmp_path / "other", metric="hd95", progress=False)
    common = report.common_cases(segbench.load(run, tmp_path / "other")).derived
    assert set(common["case"]) == {"CT_Toy_001"}
    assert set(common["method"]) == {"scripted", "boxfill"}


def test_an_export_has_the_frame_if_there_are_rows(run, data, tmp_path):
    files = segbench.report.write_export(segbench.load(run), tmp_path / "out")
    read = pd.read_csv(tmp_path / "out" / "derived.csv")
    assert tmp_path / "out" / "derived.csv" in files
    np.testing.assert_array_equal(read["value"], segbench.load(run).derived["value"])
