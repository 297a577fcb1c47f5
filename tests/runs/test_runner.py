"""A run: what is done once stays done, what fails is recorded, what does not fit is refused."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import segbench
from segbench.core import Settings
from segbench.data.challenge_npz import write_arrays, write_case
from segbench.errors import AdapterError, AdapterNotFound, CaseError, RunError
from segbench.protocol.mask_pairs import PreparedReference
from segbench.results import Policy
from segbench.runs import run_folder
from segbench.runs.backends import open_backend
from segbench.runs.case_locks import case_lock
from segbench.runs.config import RunConfig
from segbench.runs.job import close_models, job_settings
from segbench.runs.pending_cases import find_pending, largest_case_mb
from segbench.runs.prediction_store import segmentation_sha256
from segbench.runs.progress import NoProgress
from segbench.runs.runner import run, run_cases


@pytest.fixture(autouse=True)
def no_model_is_left():
    """End the model that this process keeps over its cases."""
    yield
    close_models()


@pytest.fixture
def config_for(data, tmp_path):
    """Return a function that makes a request on the small cases, in this process."""

    def make(model="boxfill", **fields):
        facts = {"data": (data,), "out": tmp_path / "run", "in_process": True} | fields
        return RunConfig(model=model, **facts)

    return make


def into(seen):
    """Return an `OpenProgress` that appends the name of each finished case to a list."""

    class Seen(NoProgress):
        def case(self, result):
            seen.append(result.case)

    @contextmanager
    def open_progress():
        yield Seen()

    return open_progress


def without_cost(out: Path) -> dict[str, str]:
    """Return the texts of all case files, less what may differ between equal runs."""
    texts = {}
    for file in sorted((out / "cases").iterdir()):
        facts = json.loads(file.read_text())
        del facts["cost"]
        texts[file.name] = json.dumps(facts)
    return texts


def test_a_run_folder_has_all_prompts_and_scores(config_for):
    outcome = run(config_for())
    assert outcome.all_ok
    first, second, _ = outcome.run.case_results
    assert first.rounds[0][1].label == 3
    assert (first.has_boxes, second.has_boxes) == (True, False)
    assert [step.step for step in first.steps] == [0, 1, 2, 3, 4, 5]
    assert [step.step for step in second.steps] == [1, 2, 3, 4, 5]
    assert all(score.dsc == 1.0 for score in first.steps[0].scores)  # its objects are boxes
    assert second.rounds[0] == ()


def test_the_oracle_is_perfect_from_its_step_on(config_for, data):
    options = {"references": str(data), "from_step": "3"}
    outcome = run(config_for("oracle", option=options))
    summary = outcome.run.case_results[0].summary(Policy())
    assert summary.dsc == (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
    assert summary.nsd == (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
    assert summary.dsc_auc == 2.5
    assert outcome.run.case_results[0].rounds[4:] == ((), ())


def test_running_again_does_what_is_missing_and_nothing_else(config_for):
    run(config_for(limit=1))
    done = run_folder.case_file(config_for().out, "CT_Toy_001").stat().st_mtime_ns
    seen = []
    run(config_for(), into(seen))
    assert seen == ["MR_Toy_002", "PET_Toy_003"]
    assert run_folder.case_file(config_for().out, "CT_Toy_001").stat().st_mtime_ns == done


def test_two_runs_write_the_same_bytes_but_for_the_cost(config_for, tmp_path):
    run(config_for())
    run(config_for(out=tmp_path / "again"))
    assert without_cost(tmp_path / "run") == without_cost(tmp_path / "again")
    for file in (tmp_path / "run" / "predictions").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / "predictions" / file.name).read_bytes()


def test_jobs_change_nothing_but_the_time(config_for, tmp_path):
    run(config_for())
    run(config_for(out=tmp_path / "two", jobs=2, in_process=False))
    assert without_cost(tmp_path / "run") == without_cost(tmp_path / "two")


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"model": "ellipsoid"}, "model was 'boxfill', is now 'ellipsoid'"),
        ({"settings": Settings(nsd_tolerance_mm=1.0)}, "settings.nsd_tolerance_mm was 2.0, is now"),
        ({"boxes": "none"}, "boxes was 'given', is now 'none'"),
        ({"exact_sum": True}, "exact_sum was False, is now True"),
    ],
)
def test_another_run_in_the_same_folder_is_refused_by_name(config_for, fields, difference):
    run(config_for(limit=1))
    with pytest.raises(RunError, match=f"run.json describes, found another .*{difference}"):
        run(config_for(**fields))


def test_withheld_boxes_leave_no_step_0(config_for):
    outcome = run(config_for(model="ellipsoid", boxes="none"))
    for case in outcome.run.case_results:
        assert not case.has_boxes
        assert case.rounds[0] == ()
        assert [step.step for step in case.steps] == [1, 2, 3, 4, 5]
        assert case.rounds[1]


def test_an_unknown_way_with_boxes_is_refused(config_for):
    with pytest.raises(RunError, match="boxes: expected one of .*found 'some'"):
        run(config_for(boxes="some"))


def test_a_changed_case_that_is_done_is_refused(config_for, data, make_case):
    run(config_for())
    write_case(data / "CT_Toy_001.npz", make_case("CT_Toy_001", seed=9))
    with pytest.raises(RunError, match=r"CT_Toy_001\.npz: expected what .* was made with, sha256"):
        run(config_for())


def test_a_run_of_other_data_is_refused(config_for, tmp_path, make_case):
    run(config_for(limit=1))
    (tmp_path / "other").mkdir()
    write_case(tmp_path / "other" / "US_Toy_009.npz", make_case("US_Toy_009"))
    with pytest.raises(
        RunError, match="expected only cases that are in .*other, found 1 other, CT_Toy_001 first"
    ):
        run(config_for(data=(tmp_path / "other",)))


def test_a_new_case_continues_the_run(config_for, data, make_case):
    run(config_for())
    write_case(data / "US_Toy_004.npz", make_case("US_Toy_004", seed=9))
    outcome = run(config_for())
    assert len(outcome.run.case_results) == 4
    assert outcome.run.manifest.data.cases == 4


def test_a_spacing_of_float32_is_the_same_run_as_in_float64(config_for, data, tmp_path):
    for dtype in (np.float32, np.float64):
        with np.load(data / "MR_Toy_002.npz") as raw:
            arrays = dict(raw)
        spacing = np.array([2.7, 0.8, 0.9], np.float32).astype(dtype)
        write_arrays(data / "MR_Toy_002.npz", arrays | {"spacing": spacing})
        config = config_for(case=("MR_*",), out=tmp_path / np.dtype(dtype).name, in_process=False)
        assert run(config).all_ok
    single, double = (
        run_folder.read_run(tmp_path / name).case_results[0] for name in ("float32", "float64")
    )
    assert single.spacing == double.spacing == tuple(map(float, spacing))
    assert single.steps == double.steps


def test_an_invalid_case_is_recorded_and_the_run_goes_on(config_for, data):
    write_arrays(data / "CT_Toy_001.npz", {"imgs": np.zeros((2, 3, 4)), "gts": np.zeros(3)})
    outcome = run(config_for())
    assert not outcome.all_ok
    assert [case.status for case in outcome.run.case_results] == ["invalid", "ok", "ok"]
    assert outcome.run.case_results[0].reason.startswith("CT_Toy_001.npz: gts: expected shape")
    assert outcome.run.case_results[0].modality == "CT"


@pytest.mark.parametrize("fail", ["raise", "shape", "float", "negative", "large", "bool"])
def test_a_failing_step_is_recorded_and_the_case_goes_on(config_for, scripted, fail):
    outcome = run(config_for(scripted, option={"fail": fail}))
    case = outcome.run.case_results[0]
    assert (case.status, outcome.all_ok) == ("failed", False)
    assert case.reason.startswith("step 2: ")
    assert [step.failure is None for step in case.steps] == [True, True, False, True, True, True]
    assert case.steps[2].scores == ()
    assert case.summary(Policy("zero")).dsc[2] == 0.0
    assert case.summary(Policy("carry_forward")).dsc[2] == case.summary().dsc[1] > 0


def test_a_label_that_the_case_does_not_have_is_allowed_and_noted(config_for, scripted):
    outcome = run(config_for(scripted, option={"fail": "foreign"}))
    assert outcome.all_ok
    assert [step.unknown_labels for step in outcome.run.case_results[0].steps][1:4] == [
        (),
        (9,),
        (),
    ]


def test_failed_cases_are_done_again_on_request(config_for, scripted, tmp_path):
    first = run(config_for(scripted, option={"fail": "raise"}))
    seen = []
    run(config_for(scripted, option={"fail": "raise"}), into(seen))
    assert seen == []  # a failure is a result, too
    again = config_for(scripted, option={"fail": "raise"}, retry_failed=True)
    run(again, into(seen))
    assert seen == [case.case for case in first.run.case_results]


def test_a_finished_case_of_another_runner_is_never_thrown_away(config_for):
    """It finished between our search and our start."""
    config = config_for()
    pending = find_pending(config).pending
    run(config)
    files = sorted((config.out / "cases").iterdir())
    stamps = [file.stat().st_mtime_ns for file in files]
    assert list(run_cases(pending, open_backend(job_settings(config)), config)) == []
    assert [file.stat().st_mtime_ns for file in files] == stamps


def test_references_cannot_be_exchanged_on_the_way(config_for, data, tmp_path):
    run(config_for(limit=1))
    references = tmp_path / "references"
    references.mkdir()
    for file in data.glob("*.npz"):
        with np.load(file, allow_pickle=True) as raw:
            write_arrays(references / file.name, {"gts": (raw["gts"] > 0).astype(np.uint8)})
    with pytest.raises(RunError, match="expected none of its own as reference"):
        run(config_for(references=references))


def test_cases_without_a_manifest_are_not_adopted(config_for):
    run(config_for())
    (config_for().out / "run.json").unlink()
    with pytest.raises(RunError, match=r"found 3 cases and no run\.json"):
        run(config_for("empty"))


def test_every_call_is_noted(config_for):
    run(config_for(limit=1, command="one"))
    outcome = run(config_for(predictions="none", command="two"))
    calls = outcome.run.manifest.calls
    assert [(call.command, call.predictions) for call in calls] == [("one", "all"), ("two", "none")]


def test_predictions_of_an_older_attempt_do_not_stay(config_for, scripted):
    first = config_for(scripted, option={"fail": "raise"})
    run(first)
    run(config_for(scripted, option={"fail": "raise"}, retry_failed=True, predictions="none"))
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
            with open(__file__ + ".attempts", "a") as file:
                file.write("1")
            os.kill(os.getppid(), signal.SIGKILL)

    def predict(self, interactions):
        return np.zeros(self.shape, np.uint8)

    def close(self): ...


make_adapter = Killer
"""


def test_a_case_that_kills_its_process_is_tried_twice_and_the_others_are_done(
    config_for, data, tmp_path, make_case
):
    deadly = make_case("MR_Toy_002")
    deadly.image.voxels.flat[0] = 255
    write_case(data / "MR_Toy_002.npz", deadly)
    (tmp_path / "killer.py").write_text(KILLER)
    outcome = run(config_for(str(tmp_path / "killer.py"), jobs=2, in_process=False))
    assert [case.case for case in outcome.run.case_results] == ["CT_Toy_001", "PET_Toy_003"]
    assert [case.case for case in outcome.crashed] == ["MR_Toy_002"]
    assert "the process that ran this case died" in outcome.crashed[0].traceback
    assert (tmp_path / "killer.py.attempts").read_text() == "11"


def test_a_fault_that_is_not_the_models_leaves_the_case_undone(config_for):
    config = config_for(limit=1)
    config.out.mkdir()
    (config.out / "predictions").write_text("a file where the folder should be")
    outcome = run(config)
    assert not outcome.all_ok
    assert outcome.run.case_results == ()
    assert "NotADirectoryError: " in outcome.crashed[0].traceback
    assert "NotADirectoryError: " in (config.out / "run.log").read_text()
    (config.out / "predictions").unlink()
    assert run(config).all_ok


def test_a_case_that_another_runner_has_is_left_to_it(config_for):
    cases = config_for().out / "cases"
    cases.mkdir(parents=True)
    with case_lock(cases, "MR_Toy_002"):
        outcome = run(config_for(wait=False))
    assert outcome.left_to_others == ("MR_Toy_002",)
    assert not outcome.all_ok
    assert len(outcome.run.case_results) == 2
    assert run(config_for(wait=False)).all_ok


def test_finding_pending_cases_loads_no_model_and_writes_nothing(config_for, tmp_path):
    cases = find_pending(config_for("no such model"))
    assert [case.name for case in cases.pending] == ["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"]
    assert largest_case_mb(cases.pending) > 0
    assert not (tmp_path / "run").exists()


SEARCHES = """
import sys
from pathlib import Path
import segbench

model, data, out = sys.argv[1:]
searched = []
sys.addaudithook(lambda event, args: event == "os.scandir" and searched.append(str(args[0])))
segbench.evaluate(model, data, out=out, in_process=True, limit=1)
print(searched.count(data))
"""


def test_the_case_folder_is_searched_once(data, tmp_path):
    """On a network disk with many cases a search takes long."""
    words = ["empty", str(data), str(tmp_path / "run")]
    found = subprocess.run(
        [sys.executable, "-c", SEARCHES, *words], capture_output=True, check=True
    )
    assert found.stdout == b"1\n"
    assert run_folder.read_run(tmp_path / "run").manifest.data.cases == 3


RECORDING = """
import json, os
from pathlib import Path
from segbench.core import AdapterInfo
import numpy as np

class Recording:
    info = AdapterInfo("recording")

    def __init__(self, folder, out):
        self.folder, self.out = Path(folder), Path(out)
        (self.folder / f"loaded-{os.getppid()}-{os.getpid()}").touch()

    def set_image(self, image, labels):
        self.shape = image.voxels.shape
        assert (self.out / "run.json").exists()

    def predict(self, interactions):
        return np.zeros(self.shape, np.uint8)


def make_adapter(folder, out):
    return Recording(folder, out)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_worker_describes_the_model_before_any_case_starts(config_for, tmp_path, jobs):
    (tmp_path / "recording.py").write_text(RECORDING)
    loads = tmp_path / "loads"
    loads.mkdir()
    option = {"folder": str(loads), "out": str(tmp_path / "run")}
    config = config_for(str(tmp_path / "recording.py"), option=option, jobs=jobs, in_process=False)
    summary = run(config)
    assert summary.all_ok, [case.reason for case in summary.run.case_results]
    owners = [int(file.name.split("-")[1]) for file in loads.iterdir()]
    # one model per process that runs cases; with several jobs none in this process
    assert len(owners) == len(set(owners)) <= jobs
    assert (os.getpid() in owners) == (jobs == 1)
    assert summary.run.manifest.adapter.name == "recording"
    assert summary.run.manifest.calls[0].worker["versions"]["numpy"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_model_that_cannot_be_loaded_is_a_bad_request(config_for, tmp_path, jobs):
    (tmp_path / "broken.py").write_text(
        "def make_adapter():\n    raise RuntimeError('no weights')\n"
    )
    config = config_for(str(tmp_path / "broken.py"), jobs=jobs, in_process=False)
    with pytest.raises(AdapterError, match="cannot be loaded.*no weights"):
        run(config)
    assert not (tmp_path / "run" / "run.json").exists()


def test_bad_requests_are_refused_before_anything_is_written(config_for, tmp_path):
    with pytest.raises(AdapterNotFound):
        run(config_for("no such model"))
    with pytest.raises(CaseError):
        run(config_for(data=(tmp_path / "nowhere",)))
    with pytest.raises(RunError, match="predictions: expected one of"):
        run(config_for(predictions="some"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("keep", "maps"), [("all", 6), ("final", 1)])
def test_predictions_are_kept_as_asked(config_for, keep, maps):
    run(config_for(predictions=keep))
    with np.load(config_for().out / "predictions" / "CT_Toy_001.npz") as raw:
        assert raw["all_segs"].shape == (maps, 10, 20, 31)


def test_each_prediction_is_named_by_its_hash(config_for, make_case):
    outcome = run(config_for())
    reference = PreparedReference(make_case("CT_Toy_001").reference, (1, 3))
    with np.load(config_for().out / "predictions" / "CT_Toy_001.npz") as raw:
        hashes = [segmentation_sha256(reference.compare(labels)) for labels in raw["all_segs"]]
    assert [step.prediction_sha256 for step in outcome.run.case_results[0].steps] == hashes


def test_none_are_kept_if_none_are_wanted(config_for):
    run(config_for(predictions="none"))
    assert not (config_for().out / "predictions").exists()


def test_evaluate_and_score_from_python(data, tmp_path):
    outcome = segbench.evaluate("boxfill", data, out=tmp_path / "out", in_process=True, limit=1)
    assert outcome.folder == tmp_path / "out"
    assert [case.case for case in outcome.case_results] == ["CT_Toy_001"]
    reference = np.zeros((4, 5, 6), np.uint8)
    reference[1:3, 1:4, 1:5] = 2
    (score,) = segbench.score(reference, reference, (3.0, 1.0, 1.0))
    assert (score.label, score.dsc, score.nsd) == (2, 1.0, 1.0)


LATE = """
import os, time
import numpy as np
from pathlib import Path
from segbench.core import AdapterInfo


class Late:
    info = AdapterInfo("late")

    def __init__(self, folder):
        self.folder = folder

    def set_image(self, image, labels):
        self.shape = image.voxels.shape
        deadline = time.monotonic() + 60  # until the other worker has started
        while len(os.listdir(self.folder)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)

    def predict(self, interactions):
        return np.zeros(self.shape, np.uint8)


def make_adapter(folder):
    file = Path(folder) / f"{len(list(Path(folder).iterdir()))}-{os.getpid()}"
    file.touch()
    if not file.name.startswith("0"):
        raise RuntimeError("CUDA out of memory")
    return Late(folder)
"""


def test_a_later_worker_that_cannot_load_its_model_is_a_bad_request_too(config_for, tmp_path):
    (tmp_path / "late.py").write_text(LATE)
    (tmp_path / "loads").mkdir()
    option = {"folder": str(tmp_path / "loads")}
    config = config_for(str(tmp_path / "late.py"), option=option, jobs=2, in_process=False)
    with pytest.raises(AdapterError, match="cannot be loaded.*CUDA out of memory"):
        run(config)


def test_a_retried_case_that_another_runner_has_is_left_to_it(config_for, scripted):
    run(config_for(scripted, option={"fail": "raise"}))
    config = config_for(scripted, option={"fail": "raise"}, retry_failed=True, wait=False)
    with case_lock(config.out / "cases", "MR_Toy_002"):
        assert run(config).left_to_others == ("MR_Toy_002",)
