"""The run folder: facts in, the same facts out; whole files only; the official table."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.core import AdapterInfo, Box, Click, Settings, StepScore
from segbench.errors import RunError
from segbench.results import CaseResult, Policy, StepResult
from segbench.runs import metrics_csv, run_folder
from segbench.runs.json_files import to_json
from segbench.runs.manifest_json import Manifest
from tests.manifests import manifest

MANIFEST = manifest()


def case(name="CT_a", dsc=0.1 + 0.2, status="ok", **changes):
    steps = tuple(
        StepResult(step, (StepScore(step, 2, dsc, dsc / 3),), None, "ab" * 32, (9,))
        for step in range(6)
    )
    facts = {
        "modality": "CT",
        "shape": (4, 5, 6),
        "spacing": (3.0, 1.0, 1.0),
        "labels": (2,),
        "has_boxes": True,
        "rounds": ((Box(2, (0, 0, 0), (1, 1, 1), 0),), *(((Click(2, (1, 2, 3), True),),) * 5)),
        "steps": steps,
        "file_sha256": "cd" * 32,
        "seconds": {step: 0.1 * step for step in range(6)},
        "cost": {"peak_mb": 12.5},
    }
    return CaseResult(name, status, **(facts | changes))


def test_a_case_comes_back_as_it_was(tmp_path):
    run_folder.write_manifest(tmp_path, MANIFEST)
    run_folder.write_case_result(tmp_path, case())
    run = run_folder.read_run(tmp_path)
    assert run.case_results == (case(),)
    assert (run.method, run.adapter, run.settings) == ("toy", AdapterInfo("toy"), Settings())


@given(st.floats(0, 1))
def test_floats_survive_exactly(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("run")
    run_folder.write_manifest(folder, MANIFEST)
    run_folder.write_case_result(folder, case(dsc=value))
    assert run_folder.read_run(folder).case_results[0].steps[0].scores[0].dsc == value


def test_equal_results_make_equal_bytes_but_for_the_cost(tmp_path):
    texts = []
    for number in range(2):
        folder = tmp_path / str(number)
        run_folder.write_manifest(folder, MANIFEST)
        run_folder.write_case_result(folder, case(seconds={0: number + 0.5}))
        facts = json.loads(run_folder.case_file(folder, "CT_a").read_text())
        assert list(facts)[-1] == "cost"
        texts.append(json.dumps({key: facts[key] for key in facts if key != "cost"}))
    assert texts[0] == texts[1]


def test_a_half_written_case_is_no_case(tmp_path):
    run_folder.write_manifest(tmp_path, MANIFEST)
    (tmp_path / "cases" / ".CT_a.json.123.partial").write_text("{")
    (tmp_path / "cases" / ".CT_a.lock").write_text("{}")
    assert run_folder.read_run(tmp_path).case_results == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON, found"),
        ('{"schema": 99}', "expected schema 2, found 99"),
        ('{"schema": 2}', "case: expected a value, found none"),
        ("[]", "expected schema 2, found None"),
        ("[" * 100_000, "expected JSON, found"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    run_folder.write_manifest(tmp_path, MANIFEST)
    run_folder.case_file(tmp_path, "CT_a").write_text(text)
    with pytest.raises(RunError, match=f"CT_a.json: {message}"):
        run_folder.read_run(tmp_path)


def test_what_is_no_run_folder_is_named(tmp_path):
    with pytest.raises(RunError, match=r"expected a run folder, found no run\.json"):
        run_folder.read_run(tmp_path)


# ---- metrics.csv -----------------------------------------------------------------------------

OFFICIAL = (
    "CaseName,TotalRunningTime,RunningTime_1,RunningTime_2,RunningTime_3,RunningTime_4,"
    "RunningTime_5,RunningTime_6,DSC_AUC,NSD_AUC,DSC_Final,NSD_Final,DSC_1,DSC_2,DSC_3,DSC_4,"
    "DSC_5,DSC_6,NSD_1,NSD_2,NSD_3,NSD_4,NSD_5,NSD_6,num_class,runtime_upperbound"
)


def rows(text):
    lines = text.splitlines()
    names = lines[0].split(",")
    return [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]


def test_the_columns_are_the_official_ones_in_the_official_order():
    assert metrics_csv.table([], Policy(), Settings()) == OFFICIAL + "\n"


def test_floats_are_exact_and_rows_are_in_name_order():
    table = rows(metrics_csv.table([case("MR_b"), case("CT_a")], Policy(), Settings()))
    assert [row["CaseName"] for row in table] == ["CT_a.npz", "MR_b.npz"]
    assert table[0]["DSC_1"] == "0.30000000000000004"
    assert table[0]["DSC_AUC"] == repr(4 * (0.1 + 0.2))
    assert (table[0]["num_class"], table[0]["runtime_upperbound"]) == ("1", "90")


def test_nan_is_blank_as_pandas_writes_it():
    without_labels = case(labels=(), steps=tuple(StepResult(step, ()) for step in range(6)))
    table = metrics_csv.table([without_labels], Policy(), Settings())
    (row,) = rows(table)
    assert (row["DSC_1"], row["DSC_AUC"], row["DSC_Final"], row["NSD_1"]) == ("", "", "", "0.0")
    frame = pd.read_csv(io.StringIO(table))
    assert frame["DSC_Final"].isna().all()
    assert frame.to_csv(index=False) == table


def test_invalid_cases_have_no_row_and_silent_ones_follow_the_policy():
    silent = tuple(StepResult(step, (), "crashed") for step in range(6))
    cases = [
        CaseResult("CT_x", "invalid", "no spacing"),
        case("CT_y", status="failed", steps=silent),
    ]
    assert len(rows(metrics_csv.table(cases, Policy("carry_forward"), Settings()))) == 0
    (row,) = rows(metrics_csv.table(cases, Policy("zero"), Settings()))
    assert (row["CaseName"], row["DSC_Final"]) == ("CT_y.npz", "0.0")


def test_every_prompt_has_its_kind(tmp_path):
    run_folder.write_manifest(tmp_path, MANIFEST)
    run_folder.write_case_result(tmp_path, case())
    facts = json.loads((tmp_path / "cases" / "CT_a.json").read_text())
    assert facts["schema"] == 2
    assert [[prompt["kind"] for prompt in prompts] for prompts in facts["rounds"]] == [
        ["box"],
        *([["click"]] * 5),
    ]
    assert facts["rounds"][0][0]["mid_slice"] == 0
    assert facts["rounds"][1][0]["voxel"] == [1, 2, 3]


def test_a_folder_of_schema_1_is_refused_with_the_reason(tmp_path):
    run_folder.write_manifest(tmp_path, MANIFEST)
    text = (tmp_path / "run.json").read_text()
    (tmp_path / "run.json").write_text(text.replace('"schema": 2', '"schema": 1'))
    with pytest.raises(RunError, match="expected schema 2, found 1, an early format whose prompts"):
        run_folder.read_run(tmp_path)


@pytest.mark.parametrize("kind", [None, "lasso"])
def test_a_prompt_of_unknown_kind_is_refused(tmp_path, kind):
    run_folder.write_manifest(tmp_path, MANIFEST)
    run_folder.write_case_result(tmp_path, case())
    file = tmp_path / "cases" / "CT_a.json"
    facts = json.loads(file.read_text())
    facts["rounds"][1][0]["kind"] = kind
    file.write_text(json.dumps(facts))
    with pytest.raises(RunError, match="rounds.1.0: expected 'box', 'click', found"):
        run_folder.read_run(tmp_path)


def changed(facts, place, value):
    """Set one value of a file; ``KeyError`` as the value removes it."""
    *places, last = place
    for each in places:
        facts = facts[each]
    if value is KeyError:
        del facts[last]
    else:
        facts[last] = value


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["labels"], KeyError, "labels: expected a value, found none"),
        (["surprise"], 1, "surprise: unknown keyword argument, found '1'"),
        (["steps", 0, "surprise"], 1, "steps.0.surprise: unknown keyword argument"),
        (["cost", "surprise"], 1, "cost.surprise: Extra inputs are not permitted"),
        (["labels", 0], "2", "labels.0: expected 2, found '2'"),
        (["labels", 0], True, "labels.0: expected 1, found True"),
        (["labels", 0], 65536, "labels.0: expected less than or equal to 65535, found '65536'"),
        (["has_boxes"], 1, "has_boxes: expected True, found 1"),
        (["status"], "fine", "status: expected 'ok', 'failed' or 'invalid', found 'fine'"),
        (["spacing", 1], 0, "spacing.1: expected greater than 0, found '0'"),
        (["spacing", 1], float("nan"), "spacing.1: expected a finite number, found 'nan'"),
        (["steps", 0, "scores", 0, "dsc"], 1.5, "dsc: expected less than or equal to 1, found"),
        (["rounds", 1, 0, "voxel", 2], -1, "rounds.1.0.click.voxel.2: expected greater than"),
        (["file_sha256"], "abc", "file_sha256: expected match pattern"),
        (["cost", "seconds", "0"], "soon", "cost.seconds.0: expected a valid number"),
        (["cost", "seconds", "-1"], 0.5, "cost.seconds.-1.[key]: expected match pattern"),
        (["cost", "seconds", "+1"], 0.1, "cost.seconds.+1.[key]: expected match pattern"),
        (["case"], "", "case: expected at least 1 character, found ''"),
        (
            ["reason"],
            "step 2: crashed",
            "reason: expected null if status is 'ok', else text; found",
        ),
        (["status"], "failed", "else text; found None for status 'failed'"),
        (["steps", 2, "failure"], "crashed", "steps.2: expected either scores and prediction_sha"),
        (["steps", 2, "scores"], [], "or failure; found 0 scores, 'abab"),
        (["steps", 2, "prediction_sha256"], None, "found 1 scores, None and None"),
    ],
)
def test_a_value_that_is_not_expected_is_refused_with_its_place(tmp_path, place, value, message):
    run_folder.write_manifest(tmp_path, MANIFEST)
    run_folder.write_case_result(tmp_path, case())
    file = run_folder.case_file(tmp_path, "CT_a")
    facts = json.loads(file.read_text())
    changed(facts, place, value)
    file.write_text(json.dumps(facts))
    with pytest.raises(RunError) as refusal:
        run_folder.read_run(tmp_path)
    assert f"{file}: " in str(refusal.value)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["settings", "seed"], KeyError, "settings.seed: expected a value, found none"),
        (["adapter", "version"], 1, "adapter.version: expected a valid string, found '1'"),
        (["calls"], [], "calls: expected at least 1 item"),
        (["calls", 0, "policy", "time_limit"], -1, "time_limit: expected seconds above 0"),
        (["protocol", "version"], 1.5, "protocol.version: expected a valid integer"),
    ],
)
def test_a_manifest_is_checked_in_the_same_way(tmp_path, place, value, message):
    run_folder.write_manifest(tmp_path, MANIFEST)
    file = tmp_path / "run.json"
    facts = json.loads(file.read_text())
    changed(facts, place, value)
    file.write_text(json.dumps(facts))
    with pytest.raises(RunError) as refusal:
        run_folder.read_run(tmp_path)
    assert f"{file}: " in str(refusal.value)
    assert message in str(refusal.value)


def test_nothing_is_written_that_would_be_refused(tmp_path):
    run_folder.write_manifest(tmp_path, MANIFEST)
    with pytest.raises(RunError, match=r"CT_a\.json: steps\.0\.scores\.0\.dsc: expected a finite"):
        run_folder.write_case_result(tmp_path, case(dsc=float("nan")))
    with pytest.raises(RunError, match=r"run\.json: data\.cases: expected greater than"):
        run_folder.write_manifest(tmp_path, manifest(n_cases=0))
    assert not run_folder.case_file(tmp_path, "CT_a").exists()


def test_text_that_is_no_valid_unicode_comes_back(tmp_path):
    name = b"CT_\xe9".decode(errors="surrogateescape")
    run_folder.write_manifest(tmp_path, replace(MANIFEST, model=name))
    run_folder.write_case_result(tmp_path, case(name))
    run = run_folder.read_run(tmp_path)
    assert (run.manifest.model, run.case_results[0].case) == (name, name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_clicks": 0}, "expected a version and n_clicks of at least 1, found 1 and 0"),
        ({"nsd_tolerance_mm": -1.0}, "expected no negative tolerance, .* found -1.0"),
        ({"seconds_per_label": -5.0}, "expected no negative tolerance, .* found -5.0"),
    ],
)
def test_settings_that_no_protocol_has_are_refused(change, message):
    with pytest.raises(RunError, match=rf"run\.json: settings: {message}"):
        to_json(asdict(manifest(settings=Settings(**change))), Manifest, Path("run.json"))
