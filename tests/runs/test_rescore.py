"""Further metrics of run folders: computed once, kept, and never of other files than the run's."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import segbench
from segbench.core import Image
from segbench.data.challenge_npz import ChallengeFile, write_arrays, write_case, write_prediction
from segbench.errors import RunError
from segbench.further_metrics.metric import parse_metric
from segbench.further_metrics.prepared_case import PreparedCase
from segbench.runs import rescore_case
from segbench.runs.case_locks import case_lock
from segbench.runs.derived_json import derived_file
from segbench.runs.job import close_models
from segbench.runs.rescore import rescore_runs
from segbench.runs.run_folder import read_run

ROOT = Path(__file__).parents[2]
CASES = ["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"]
METRICS = ("nsd@1mm", "nsd@2mm", "hd95", "obeyed", "nsd-box@2mm")
OWN = """
from pathlib import Path
CALLS = Path(__file__).with_suffix(".calls")

def share(prediction, reference, spacing):
    n_calls = len(CALLS.read_text()) if CALLS.exists() else 0
    CALLS.write_text("x" * (n_calls + 1))
    {then}
    return prediction.mean()
"""


@pytest.fixture
def run(data, tmp_path):
    segbench.evaluate("ellipsoid", data, out=tmp_path / "run", in_process=True, progress=False)
    close_models()
    return tmp_path / "run"


@pytest.fixture
def own(tmp_path):
    """Return a function that writes a metric of one's own and returns its file."""

    def write(then="pass"):
        file = tmp_path / "own.py"
        file.write_text(OWN.format(then=then))
        return file

    return write


def rescore(*runs, metric=METRICS, **how):
    return segbench.rescore(*runs, metric=metric, progress=False, **how)


def calls(file):
    return len(file.with_suffix(".calls").read_text())


def facts(run, case):
    return json.loads(derived_file(run, case).read_text())


def change(run, case, key, value):
    stored = facts(run, case)
    stored[key] = value
    derived_file(run, case).write_text(json.dumps(stored))


def test_nsd_at_the_tolerance_of_the_challenge_is_the_nsd_of_the_run(run):
    rescore(run)
    results = segbench.load(run)
    both = results.derived[results.derived["metric"] == "nsd@2mm"].merge(
        results.steps, on=["method", "case", "label", "step"]
    )
    assert len(both) == len(results.steps) == 2 * (6 + 5 + 6)
    assert (both["value"] == both["nsd"]).all()
    assert both["value"].nunique() > 5


def test_values_are_those_of_stored_prediction_and_reference(run, data):
    rescore(run, metric=["hd95", "nsd-eroded@1mm"])
    found = segbench.load(run).derived.set_index(["case", "label", "step", "metric"])["value"]
    with ChallengeFile(data / "CT_Toy_001.npz") as file:
        case = PreparedCase(file.read("gts"), (1, 3), (3.0, 1.0, 1.0))
    with ChallengeFile(run / "predictions" / "CT_Toy_001.npz") as file:
        last = file.read("segs")
    hd95 = case.compare(last).values(parse_metric("hd95"))
    assert [found["CT_Toy_001", label, 5, "hd95"] for label in (1, 3)] == list(hd95)
    eroded = case.reference_values(parse_metric("nsd-eroded@1mm"))
    assert [found["CT_Toy_001", label, -1, "nsd-eroded@1mm"] for label in (1, 3)] == list(eroded)


def test_a_second_call_computes_nothing_and_needs_no_data(run, data):
    first = rescore(run)
    data.rename(data.with_name("away"))
    second = rescore(run)
    assert (first.refused, second.refused) == ((), ())
    # three metrics of 17 steps, obeyed of at most 15, one fact of 3 references, by 2 labels
    assert 2 * (3 * 15 + 3) < first.n_computed <= 2 * (3 * 17 + 15 + 3)
    assert second.n_computed == 0
    assert (second.n_runs, second.n_cases) == (1, 3)


def test_another_metric_is_added_to_those_that_are_there(run):
    rescore(run, metric="nsd@1mm")
    before = facts(run, "CT_Toy_001")["metrics"]
    done = rescore(run, metric=["nsd@3mm", "nsd@1mm"])
    after = facts(run, "CT_Toy_001")["metrics"]
    assert set(after) == {"nsd@1mm", "nsd@3mm"}
    assert after["nsd@1mm"] == before["nsd@1mm"]
    values = after["nsd@3mm"]["values"]
    assert done.n_computed == 2 * sum(
        len(facts(run, case)["metrics"]["nsd@3mm"]["values"]) for case in CASES
    )
    assert len(values) <= 6


def test_several_processes_compute_the_same(run):
    assert rescore(run, jobs=2).refused == ()
    texts = [derived_file(run, case).read_text() for case in CASES]
    for case in CASES:
        derived_file(run, case).unlink()
    rescore(run)
    assert [derived_file(run, case).read_text() for case in CASES] == texts


def test_a_reference_is_read_once_for_all_runs(run, data, tmp_path, monkeypatch):
    segbench.evaluate(*("boxfill", data), out=tmp_path / "other", in_process=True, progress=False)
    close_models()
    read = []
    real = rescore_case.read_reference_and_spacing
    monkeypatch.setattr(
        rescore_case,
        "read_reference_and_spacing",
        lambda file: (read.append(file.name), real(file))[1],
    )
    done = rescore(run, tmp_path / "other")
    assert (done.n_runs, done.n_cases, done.refused) == (2, 3, ())
    assert read == CASES


# ---- interrupted ------------------------------------------------------------------------------


def test_an_interrupt_loses_nothing(run, own):
    file = own("if n_calls == 7: raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        rescore(run, metric=["nsd@1mm", f"{file}:share"])
    kept = facts(run, "CT_Toy_001")["metrics"]
    # three steps of two labels are done; of the fourth, nsd came first
    assert len(kept["nsd@1mm"]["values"]) == len(kept["share"]["values"]) + 1
    n_kept = 2 * len(kept["share"]["values"])
    assert n_kept == 6
    done = rescore(run, metric=["nsd@1mm", f"{file}:share"])
    assert done.refused == ()
    n_values = sum(len(facts(run, case)["metrics"]["share"]["values"]) for case in CASES)
    assert calls(file) == 2 + 2 * n_values  # the interrupted step has been asked again


def test_a_killed_process_leaves_whole_files_and_no_lock(run, own):
    file = own("import os, signal; n_calls == 16 and os.kill(os.getpid(), signal.SIGKILL)")
    command = [sys.executable, "-m", "segbench", "rescore", str(run), "--metric", f"{file}:share"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run(command, env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert len(facts(run, "CT_Toy_001")["metrics"]["share"]["values"]) >= 5
    partial = derived_file(run, "MR_Toy_002").with_name(f".MR_Toy_002.json.{'0' * 32}.partial")
    partial.write_text("{")  # as a kill in the middle of writing leaves it
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (run / "derived").iterdir()) == [
        f"{case}.json" for case in CASES
    ]


def test_a_process_that_dies_is_named_and_the_other_cases_are_done(data, tmp_path, make_case):
    case = make_case("MR_Toy_002", with_boxes=False)
    write_case(data / "MR_Toy_002.npz", replace(case, image=Image(case.image.voxels, (2, 1, 1))))
    segbench.evaluate("boxfill", data, out=tmp_path / "run", in_process=True, progress=False)
    close_models()
    file = tmp_path / "deadly.py"
    file.write_text(
        "import os\ndef share(prediction, reference, spacing):\n"
        "    return 1.0 if spacing[0] == 3 else os._exit(3)\n"
    )
    done = rescore(tmp_path / "run", metric=f"{file}:share", jobs=2)
    assert done.refused == (
        "MR_Toy_002: expected an answer of the process that rescores it, found that it was ended",
    )
    assert set(segbench.load(tmp_path / "run").derived["case"]) == {"CT_Toy_001", "PET_Toy_003"}


# ---- files that are not those of the run ------------------------------------------------------


def test_another_data_file_is_refused_by_name_and_the_others_are_rescored(run, data, make_case):
    write_case(data / "CT_Toy_001.npz", make_case("CT_Toy_001", seed=5))
    done = rescore(run)
    (refused,) = done.refused
    assert f"{run}: expected the data of case CT_Toy_001, found another file" in refused
    assert not derived_file(run, "CT_Toy_001").exists()
    assert derived_file(run, "MR_Toy_002").exists()


def test_a_missing_case_and_missing_data_are_refused_by_name(run, data):
    (data / "MR_Toy_002.npz").unlink()
    (refused,) = rescore(run).refused
    assert "expected the data of case MR_Toy_002, found no such case" in refused
    data.rename(data.with_name("away"))
    with pytest.raises(RunError, match="expected its data in .*val, found nothing there"):
        rescore(run)
    done = rescore(run, data=data.with_name("away"))
    assert len(done.refused) == 1


def test_another_reference_in_a_folder_of_its_own_is_refused(data, tmp_path):
    gts = tmp_path / "gts"
    gts.mkdir()
    for file in data.glob("*.npz"):
        with ChallengeFile(file) as stored:
            arrays = {key: stored.read(key) for key in ("imgs", "spacing")}
            reference = stored.read("gts")
        write_arrays(file, arrays)
        write_arrays(gts / file.name, {"gts": reference})
    how = {"references": gts, "in_process": True, "progress": False}
    segbench.evaluate("boxfill", data, out=tmp_path / "run", **how)
    close_models()
    write_arrays(gts / "CT_Toy_001.npz", {"gts": np.roll(reference, 1)})
    (refused,) = rescore(tmp_path / "run").refused
    assert "the data of case CT_Toy_001, found another file" in refused
    assert "gts/CT_Toy_001.npz" in refused


def test_another_prediction_is_refused_and_what_came_before_is_kept(run):
    file = run / "predictions" / "CT_Toy_001.npz"
    with ChallengeFile(file) as stored:
        label_maps = list(stored.read("all_segs"))
    write_prediction(file, [*label_maps[:3], np.zeros_like(label_maps[0]), *label_maps[4:]])
    (refused,) = rescore(run, metric="nsd@1mm").refused
    assert "expected the prediction of the run in step 3, found another one" in refused
    assert len(facts(run, "CT_Toy_001")["metrics"]["nsd@1mm"]["values"]) == 3


def test_a_run_without_predictions_is_refused_but_for_facts_of_the_reference(data, tmp_path):
    how = {"predictions": "none", "in_process": True, "progress": False}
    segbench.evaluate("boxfill", data, out=tmp_path / "run", **how)
    close_models()
    done = rescore(tmp_path / "run", metric="nsd-box@2mm")
    assert (done.n_computed, done.refused) == (6, ())
    done = rescore(tmp_path / "run", metric="nsd@1mm")
    assert len(done.refused) == 3
    assert "expected the predictions of case CT_Toy_001, found none" in done.refused[0]


def test_of_a_run_that_kept_the_last_prediction_the_last_step_is_known(data, tmp_path):
    how = {"predictions": "final", "in_process": True, "progress": False}
    segbench.evaluate("boxfill", data, out=tmp_path / "run", **how)
    close_models()
    assert rescore(tmp_path / "run", metric=["nsd@1mm", "obeyed"]).refused == ()
    derived = segbench.load(tmp_path / "run").derived
    assert set(derived["step"]) == {5}
    assert set(derived["metric"]) == {"nsd@1mm", "obeyed"}
    assert rescore(tmp_path / "run", metric=["nsd@1mm", "obeyed"]).n_computed == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1}'])
def test_a_file_that_is_not_ours_is_refused_by_name_and_never_replaced(run, text):
    rescore(run)
    file = derived_file(run, "MR_Toy_002")
    file.write_text(text)
    (refused,) = rescore(run, metric="assd").refused
    assert refused.startswith(f"{file}: ")
    assert "expected" in refused
    assert refused.endswith("; remove it and call segbench rescore again")
    assert file.read_text() == text
    with pytest.raises(RunError, match="MR_Toy_002.json: .*expected"):
        segbench.load(run)


def test_a_file_of_another_case_or_with_too_few_values_is_refused(run):
    rescore(run)
    change(run, "MR_Toy_002", "case", "CT_Toy_001")
    metrics = facts(run, "PET_Toy_003")["metrics"]
    metrics["hd95"]["values"] = {key: [1.0] for key in metrics["hd95"]["values"]}
    change(run, "PET_Toy_003", "metrics", metrics)
    refused = rescore(run, metric="assd").refused
    assert "derived/MR_Toy_002.json: expected case MR_Toy_002, found CT_Toy_001" in refused[0]
    assert "PET_Toy_003.json: hd95: expected 2 values, one for each label, found 1" in refused[1]


def test_any_other_file_in_the_folder_is_refused(run):
    (run / "derived").mkdir()
    (run / "derived" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="expected only files of segbench rescore, found notes.txt"):
        rescore(run)


def test_a_case_that_another_process_rescores_is_left_to_it(run):
    (run / "derived").mkdir()
    with case_lock(run / "derived", "CT_Toy_001") as still_mine:
        assert still_mine is not None
        (refused,) = rescore(run).refused
    assert "nobody else to rescore case CT_Toy_001, found another process" in refused
    assert rescore(run).refused == ()


# ---- a metric of one's own --------------------------------------------------------------------


def test_a_changed_function_is_asked_again(run, own):
    file = own()
    rescore(run, metric=f"{file}:share")
    n_calls = calls(file)
    rescore(run, metric=f"{file}:share")
    assert calls(file) == n_calls
    own("prediction = ~prediction")
    rescore(run, metric=f"{file}:share")
    assert calls(file) == 2 * n_calls
    assert segbench.load(run).derived["value"].min() > 0.5


def test_a_function_that_fails_is_named_and_other_metrics_are_computed(run, own):
    file = own("raise ValueError('no')")
    done = rescore(run, metric=[f"{file}:share", "hd95"])
    assert len(done.refused) >= 3
    assert done.refused[0] == (f"{run}: CT_Toy_001: share: expected a number, found ValueError: no")
    assert "hd95" in set(segbench.load(run).derived["metric"])


def test_a_function_may_change_its_arguments(run, own):
    file = own("reference[:] = prediction[:] = True")
    rescore(run, metric=[f"{file}:share", "nsd@2mm"])
    results = segbench.load(run)
    derived = results.derived
    assert set(derived[derived["metric"] == "share"]["value"]) == {1.0}
    both = derived[derived["metric"] == "nsd@2mm"].merge(
        results.steps, on=["method", "case", "label", "step"]
    )
    assert (both["value"] == both["nsd"]).all()


# ---- requests ---------------------------------------------------------------------------------


def test_wrong_requests_are_refused_before_anything_is_computed(run):
    with pytest.raises(RunError, match="jobs: expected a number of at least 1, found 0"):
        rescore(run, jobs=0)
    with pytest.raises(TypeError, match="rescore: `workers`: did you mean `jobs`"):
        segbench.rescore(run, metric="hd95", workers=2)
    with pytest.raises(RunError, match="expected at least one of"):
        rescore(run, metric=[])
    assert not (run / "derived").exists()


def test_each_case_that_is_done_is_told(run):
    told = []
    rescore_runs([read_run(run)], [parse_metric("hd95")], on_case=lambda *facts: told.append(facts))
    assert told == [(case, number, 3) for number, case in enumerate(CASES, 1)]
