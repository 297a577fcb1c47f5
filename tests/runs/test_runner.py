"""A run: what is done once stays done, what fails is recorded, what does not fit is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

import segbench
from segbench.core import Policy, Settings
from segbench.data.challenge_npz import write_arrays, write_case
from segbench.errors import AdapterNotFound, CaseError, RunError
from segbench.protocol.mask_pairs import PreparedReference
from segbench.runs import run_case, run_folder
from segbench.runs.case_locks import case_lock
from segbench.runs.prediction_store import segmentation_sha256
from segbench.runs.runner import RunConfig, look, run


@pytest.fixture(autouse=True)
def no_model_is_left():
    """End the model that this process keeps over its cases."""
    yield
    run_case.close_seats()


@pytest.fixture
def request_for(data, tmp_path):
    """Return a function that makes a request on the small cases, in this process."""

    def make(model="boxfill", **fields):
        facts = {"data": data, "out": tmp_path / "run", "in_process": True} | fields
        return RunConfig(model=model, **facts)

    return make


def without_cost(out: Path) -> dict[str, str]:
    """Return the texts of all case files, less what may differ between equal runs."""
    texts = {}
    for file in sorted((out / "cases").iterdir()):
        facts = json.loads(file.read_text())
        del facts["cost"]
        texts[file.name] = json.dumps(facts)
    return texts


def test_a_run_leaves_everything_that_was_said_and_scored(request_for):
    outcome = run(request_for())
    assert outcome.clean
    first, second, _ = outcome.run.cases
    assert first.rounds[0][1].label == 3
    assert (first.has_boxes, second.has_boxes) == (True, False)
    assert [step.step for step in first.steps] == [0, 1, 2, 3, 4, 5]
    assert [step.step for step in second.steps] == [1, 2, 3, 4, 5]
    assert all(score.dsc == 1.0 for score in first.steps[0].scores)  # its objects are boxes
    assert second.rounds[0] == ()


def test_the_oracle_is_perfect_from_its_step_on(request_for, data):
    options = {"references": str(data), "from_step": "3"}
    outcome = run(request_for("oracle", options=options))
    summary = outcome.run.cases[0].summary(Policy())
    assert summary.dsc == (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
    assert summary.nsd == (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
    assert summary.dsc_auc == 2.5
    assert outcome.run.cases[0].rounds[4:] == ((), ())


def test_running_again_does_what_is_missing_and_nothing_else(request_for):
    run(request_for(limit=1))
    done = run_folder.case_file(request_for().out, "CT_Toy_001").stat().st_mtime_ns
    seen = []
    run(request_for(), lambda result: seen.append(result.case))
    assert seen == ["MR_Toy_002", "PET_Toy_003"]
    assert run_folder.case_file(request_for().out, "CT_Toy_001").stat().st_mtime_ns == done


def test_two_runs_write_the_same_bytes_but_for_the_cost(request_for, tmp_path):
    run(request_for())
    run(request_for(out=tmp_path / "again"))
    assert without_cost(tmp_path / "run") == without_cost(tmp_path / "again")
    for file in (tmp_path / "run" / "predictions").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / "predictions" / file.name).read_bytes()


def test_jobs_change_nothing_but_the_time(request_for, tmp_path):
    run(request_for())
    run(request_for(out=tmp_path / "two", jobs=2, in_process=False))
    assert without_cost(tmp_path / "run") == without_cost(tmp_path / "two")


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"model": "ellipsoid"}, "adapter.name was 'boxfill', is now 'ellipsoid'"),
        ({"settings": Settings(nsd_tolerance_mm=1.0)}, "settings.nsd_tolerance_mm was 2.0, is now"),
        ({"boxes": "none"}, "boxes was 'given', is now 'none'"),
        ({"exact_sum": True}, "exact_sum was False, is now True"),
    ],
)
def test_another_run_in_the_same_folder_is_refused_by_name(request_for, fields, difference):
    run(request_for(limit=1))
    with pytest.raises(RunError, match=f"holds another run.*{difference}"):
        run(request_for(**fields))


def test_withheld_boxes_leave_no_step_0(request_for):
    outcome = run(request_for(model="ellipsoid", boxes="none"))
    for case in outcome.run.cases:
        assert not case.has_boxes
        assert case.rounds[0] == ()
        assert [step.step for step in case.steps] == [1, 2, 3, 4, 5]
        assert case.rounds[1]


def test_an_unknown_way_with_boxes_is_refused(request_for):
    with pytest.raises(RunError, match="boxes: expected one of .*found 'some'"):
        run(request_for(boxes="some"))


def test_a_changed_case_that_is_done_is_refused(request_for, data, make_case):
    run(request_for())
    write_case(data / "CT_Toy_001.npz", make_case("CT_Toy_001", seed=9))
    with pytest.raises(RunError, match=r"CT_Toy_001\.npz is not the file that .* was made with"):
        run(request_for())


def test_a_run_of_other_data_is_refused(request_for, tmp_path, make_case):
    run(request_for(limit=1))
    (tmp_path / "other").mkdir()
    write_case(tmp_path / "other" / "US_Toy_009.npz", make_case("US_Toy_009"))
    with pytest.raises(RunError, match="holds 1 cases that are not in .*other, CT_Toy_001 first"):
        run(request_for(data=tmp_path / "other"))


def test_a_new_case_continues_the_run(request_for, data, make_case):
    run(request_for())
    write_case(data / "US_Toy_004.npz", make_case("US_Toy_004", seed=9))
    outcome = run(request_for())
    assert len(outcome.run.cases) == 4
    assert outcome.run.manifest["data"]["cases"] == 4


def test_an_invalid_case_is_recorded_and_the_run_goes_on(request_for, data):
    write_arrays(data / "CT_Toy_001.npz", {"imgs": np.zeros((2, 3, 4)), "gts": np.zeros(3)})
    outcome = run(request_for())
    assert not outcome.clean
    assert [case.status for case in outcome.run.cases] == ["invalid", "ok", "ok"]
    assert outcome.run.cases[0].reason.startswith("CT_Toy_001.npz: gts: expected shape")
    assert outcome.run.cases[0].modality == "CT"


@pytest.mark.parametrize("fail", ["raise", "shape", "float", "negative", "large", "bool"])
def test_a_failing_step_is_recorded_and_the_case_goes_on(request_for, scripted, fail):
    outcome = run(request_for(scripted, options={"fail": fail}))
    case = outcome.run.cases[0]
    assert (case.status, outcome.clean) == ("failed", False)
    assert case.reason.startswith("step 2: ")
    assert [step.failure is None for step in case.steps] == [True, True, False, True, True, True]
    assert case.steps[2].scores == ()
    assert case.summary(Policy("zero")).dsc[2] == 0.0
    assert case.summary(Policy("carry_forward")).dsc[2] == case.summary().dsc[1] > 0


def test_a_label_that_the_case_does_not_have_is_allowed_and_noted(request_for, scripted):
    outcome = run(request_for(scripted, options={"fail": "foreign"}))
    assert outcome.clean
    assert [step.unknown_labels for step in outcome.run.cases[0].steps][1:4] == [(), (9,), ()]


def test_failed_cases_are_done_again_on_request(request_for, scripted, tmp_path):
    first = run(request_for(scripted, options={"fail": "raise"}))
    seen = []
    run(request_for(scripted, options={"fail": "raise"}), lambda case: seen.append(case.case))
    assert seen == []  # a failure is a result, too
    again = request_for(scripted, options={"fail": "raise"}, retry_failed=True)
    run(again, lambda case: seen.append(case.case))
    assert seen == [case.case for case in first.run.cases]


def test_a_finished_case_of_another_runner_is_never_thrown_away(request_for, monkeypatch):
    """It finished between our look and our start."""
    todo = look(request_for())
    first = run(request_for())
    stamps = [file.stat().st_mtime_ns for file in sorted((request_for().out / "cases").iterdir())]
    again = run(request_for(), todo=todo)
    assert again.run.cases == first.run.cases
    assert stamps == [
        file.stat().st_mtime_ns for file in sorted((request_for().out / "cases").iterdir())
    ]


def test_references_cannot_be_exchanged_on_the_way(request_for, data, tmp_path):
    run(request_for(limit=1))
    references = tmp_path / "references"
    references.mkdir()
    for file in data.glob("*.npz"):
        with np.load(file, allow_pickle=True) as raw:
            write_arrays(references / file.name, {"gts": (raw["gts"] > 0).astype(np.uint8)})
    with pytest.raises(RunError, match=r"references/CT_Toy_001\.npz is not the file"):
        run(request_for(references=references))


def test_cases_without_a_manifest_are_not_adopted(request_for):
    run(request_for())
    (request_for().out / "run.json").unlink()
    with pytest.raises(RunError, match=r"holds 3 cases and no run\.json"):
        run(request_for("empty"))


def test_every_call_is_noted(request_for):
    run(request_for(limit=1, command="one"))
    outcome = run(request_for(predictions="none", command="two"))
    calls = outcome.run.manifest["calls"]
    assert [(call["command"], call["predictions"]) for call in calls] == [
        ("one", "all"),
        ("two", "none"),
    ]


def test_predictions_of_an_older_attempt_do_not_stay(request_for, scripted):
    first = request_for(scripted, options={"fail": "raise"})
    run(first)
    run(request_for(scripted, options={"fail": "raise"}, retry_failed=True, predictions="none"))
    assert list((first.out / "predictions").iterdir()) == []


KILLER = """
import os, signal
import numpy as np
from segbench.core import AdapterInfo


class Killer:
    info = AdapterInfo("killer", version="1")

    def set_image(self, image, labels):
        self.shape = image.voxels.shape
        if image.voxels.flat[0] == 255:
            os.kill(os.getppid(), signal.SIGKILL)

    def predict(self, interactions):
        return np.zeros(self.shape, np.uint8)

    def close(self): ...


make_adapter = Killer
"""


def test_a_case_that_kills_its_process_is_named_and_the_others_are_done(
    request_for, data, tmp_path, make_case
):
    deadly = make_case("MR_Toy_002")
    deadly.image.voxels.flat[0] = 255
    write_case(data / "MR_Toy_002.npz", deadly)
    (tmp_path / "killer.py").write_text(KILLER)
    outcome = run(request_for(str(tmp_path / "killer.py"), jobs=2, in_process=False))
    assert [case.case for case in outcome.run.cases] == ["CT_Toy_001", "PET_Toy_003"]
    assert [case.case for case in outcome.broken] == ["MR_Toy_002"]
    assert "the process that did this case died" in outcome.broken[0].traceback


def test_a_fault_of_segbench_itself_leaves_the_case_undone(request_for, monkeypatch):
    def fault(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(run_case, "score_step", fault)
    outcome = run(request_for(limit=1))
    assert not outcome.clean
    assert outcome.run.cases == ()
    assert "ZeroDivisionError: a bug" in outcome.broken[0].traceback
    assert "ZeroDivisionError: a bug" in (request_for().out / "run.log").read_text()
    monkeypatch.undo()
    assert run(request_for(limit=1)).clean


def test_a_case_that_another_runner_has_is_left_to_it(request_for):
    cases = request_for().out / "cases"
    cases.mkdir(parents=True)
    with case_lock(cases, "MR_Toy_002"):
        outcome = run(request_for(wait=False))
    assert outcome.elsewhere == ("MR_Toy_002",)
    assert not outcome.clean
    assert len(outcome.run.cases) == 2
    assert run(request_for(wait=False)).clean


def test_looking_loads_no_model_and_writes_nothing(request_for, tmp_path):
    todo = look(request_for("no such model"))
    assert [case.name for case in todo.cases] == ["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"]
    assert todo.largest_mb > 0
    assert not (tmp_path / "run").exists()


def test_bad_requests_are_refused_before_anything_is_written(request_for, tmp_path):
    with pytest.raises(AdapterNotFound):
        run(request_for("no such model"))
    with pytest.raises(CaseError):
        run(request_for(data=tmp_path / "nowhere"))
    with pytest.raises(RunError, match="predictions: expected one of"):
        run(request_for(predictions="some"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("keep", "maps"), [("all", 6), ("final", 1)])
def test_predictions_are_kept_as_asked(request_for, keep, maps):
    run(request_for(predictions=keep))
    with np.load(request_for().out / "predictions" / "CT_Toy_001.npz") as raw:
        assert raw["all_segs"].shape == (maps, 10, 20, 31)


def test_each_prediction_is_named_by_its_hash(request_for, make_case):
    outcome = run(request_for())
    reference = PreparedReference(make_case("CT_Toy_001").reference, (1, 3))
    with np.load(request_for().out / "predictions" / "CT_Toy_001.npz") as raw:
        hashes = [segmentation_sha256(reference.compare(labels)) for labels in raw["all_segs"]]
    assert [step.prediction_sha256 for step in outcome.run.cases[0].steps] == hashes


def test_none_are_kept_if_none_are_wanted(request_for):
    run(request_for(predictions="none"))
    assert not (request_for().out / "predictions").exists()


def test_evaluate_and_score_from_python(data, tmp_path):
    outcome = segbench.evaluate("boxfill", data, tmp_path / "out", in_process=True, limit=1)
    assert outcome.run.method == "boxfill"
    reference = np.zeros((4, 5, 6), np.uint8)
    reference[1:3, 1:4, 1:5] = 2
    (score,) = segbench.score(reference, reference, (3.0, 1.0, 1.0))
    assert (score.label, score.dsc, score.nsd) == (2, 1.0, 1.0)
