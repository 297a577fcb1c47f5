"""Full disks, killed and suspended runners, locks of other machines: no result is lost or mixed."""

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import segbench
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import write_case
from segbench.data.dataset import CaseFile, read_case
from segbench.errors import CaseError
from segbench.models.in_process import InProcessModel
from segbench.protocol.interaction import steps
from segbench.runs.case_locks import case_lock
from segbench.runs.config import RunConfig
from segbench.runs.job import close_models, job_settings
from segbench.runs.pending_cases import PendingCase
from segbench.runs.run_case import LostLockError, evaluate_case, run_case
from segbench.runs.run_folder import read_run
from tests.processes import ended_pid, largest_file, spawn

TALKATIVE = """
from segbench.core import AdapterInfo


class Talkative:
    info = AdapterInfo("talkative")

    def set_image(self, image, labels): ...

    def predict(self, interactions):
        raise ValueError("y" * 20_000)


make_adapter = Talkative
"""
# every process predicts something else, and waits where a file of the test says so
RANDOM = """
import time
from pathlib import Path

import numpy as np
from segbench.core import AdapterInfo


class Random:
    info = AdapterInfo("random", deterministic=False)

    def __init__(self, folder):
        self.folder, self.rng = Path(folder), np.random.default_rng()

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        if interactions.step == 5 and not (self.folder / "waits").exists():
            (self.folder / "waits").touch()
            while not (self.folder / "continue").exists():
                time.sleep(0.01)
        return self.rng.integers(0, 2, self.shape, np.uint8)


make_adapter = Random
"""

CONSTANT = """
import numpy as np
from segbench.core import AdapterInfo


class Constant:
    info = AdapterInfo("constant")

    def __init__(self, dtype):
        self.dtype = dtype

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        return np.ones(self.shape, self.dtype)


make_adapter = Constant
"""


UNIQUE = 16 * "0f"  # of a partial file


@pytest.fixture(autouse=True)
def no_model_is_left():
    yield
    close_models()


@pytest.fixture
def one_case(tmp_path, make_case):
    """Return a folder with one case, whose name has characters of a shell pattern."""
    folder = tmp_path / "val"
    folder.mkdir()
    write_case(folder / "CT_Toy[1]_001.npz", make_case("CT_Toy[1]_001"))
    return folder


def write_adapter(tmp_path, source):
    (tmp_path / "model.py").write_text(source)
    return tmp_path / "model.py"


def wait_for(file):
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} did not appear"
        time.sleep(0.02)


def test_a_result_that_the_disk_cannot_hold_appears_nowhere(one_case, tmp_path):
    model, result = write_adapter(tmp_path, TALKATIVE), tmp_path / "run/cases/CT_Toy[1]_001.json"

    def run():
        return segbench.evaluate(
            *(model, one_case),
            out=tmp_path / "run",
            in_process=True,
            predictions="none",
            retry_failed=True,
        )

    with largest_file(10_000):
        assert "File too large" in run().crashed[0].traceback
    assert not result.exists()
    assert run().crashed == ()
    before = result.read_bytes()
    assert len(before) > 10_000
    (tmp_path / "run" / "run.log").unlink()  # has the long reason, too
    with largest_file(10_000):
        assert "File too large" in run().crashed[0].traceback
    assert result.read_bytes() == before


def test_what_a_killed_runner_left_half_written_is_removed(one_case, tmp_path):
    names = [f".{name}.{UNIQUE}.partial" for name in ("CT_Toy[1]_001.json", "CT_Toy[1]_001.npz")]
    for folder, name in zip(("cases", "predictions"), names, strict=True):
        (tmp_path / "run" / folder).mkdir(parents=True)
        (tmp_path / "run" / folder / name).write_text("half")
        (tmp_path / "run" / folder / f".CT_Toy1_001.json.{UNIQUE}.partial").write_text(
            "of another case"
        )
    assert segbench.evaluate("empty", one_case, out=tmp_path / "run", in_process=True).all_ok
    assert (
        sorted(file.name for file in (tmp_path / "run").rglob(".*"))
        == [f".CT_Toy1_001.json.{UNIQUE}.partial"] * 2
    )


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param({"boot": "another boot"}, id="another boot, or another host with this name"),
        pytest.param({"host": "elsewhere"}, id="another host"),
    ],
)
def test_a_lock_of_another_machine_is_respected_whatever_its_process_id(one_case, tmp_path, owner):
    """Its process may run there, although no process has this id here."""
    cases = tmp_path / "run" / "cases"
    cases.mkdir(parents=True)
    file = cases / ".CT_Toy[1]_001.lock"
    with case_lock(cases, "CT_Toy[1]_001"):
        mine = json.loads(file.read_text()) | {"pid": ended_pid()}

    def left_to_others(lock):
        file.write_text(json.dumps(lock))
        call = {"out": tmp_path / "run", "wait": False, "in_process": True}
        return segbench.evaluate("empty", one_case, **call).left_to_others

    assert left_to_others(mine | owner) == ("CT_Toy[1]_001",)
    assert json.loads(file.read_text()) == mine | owner
    assert left_to_others(mine) == ()


def test_a_suspended_runner_that_lost_its_lock_writes_nothing(one_case, tmp_path):
    model, out = write_adapter(tmp_path, RANDOM), tmp_path / "run"
    words = ["run", "--model", model, "--data", one_case, "--out", out]
    suspended = spawn(*words, "--option", f"folder={tmp_path}", "--in-process")
    wait_for(tmp_path / "waits")
    suspended.send_signal(signal.SIGSTOP)
    os.utime(out / "cases" / ".CT_Toy[1]_001.lock", (0, 0))  # no heartbeat for a long time
    call = {"out": out, "option": {"folder": tmp_path}, "in_process": True}
    assert segbench.evaluate(model, one_case, **call).all_ok
    files = [out / "cases" / "CT_Toy[1]_001.json", out / "predictions" / "CT_Toy[1]_001.npz"]
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    (tmp_path / "continue").touch()
    suspended.send_signal(signal.SIGCONT)
    _, errors = suspended.communicate(timeout=60)
    assert suspended.returncode == 0, errors
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before
    with np.load(files[1]) as raw:
        assert len(raw["all_segs"]) == 6
    assert [file.name for file in out.rglob(".*")] == []


@dataclass(frozen=True)
class TakenOver(CaseFile):
    """A case that another runner takes over and finishes while this one reads it."""

    out: Path = Path()

    def read(self):
        os.utime(self.out / "cases" / f".{self.name}.lock", (0, 0))  # no heartbeat for a long time
        assert segbench.evaluate("empty", self.file, out=self.out, in_process=True).all_ok
        self.file.write_text("no case any more")
        return super().read()


def test_a_runner_that_lost_its_lock_while_it_read_a_case_writes_nothing(one_case, tmp_path):
    """It would record the case as invalid, because the file has changed meanwhile."""
    config = RunConfig("empty", (one_case,), tmp_path / "run", in_process=True)
    (file,) = find_cases(one_case)
    late = TakenOver(**vars(file), out=config.out)
    (config.out / "cases").mkdir(parents=True)
    assert run_case(PendingCase(late), job_settings(config)) is None
    (result,) = read_run(config.out).case_results
    assert result.status == "ok"
    with pytest.raises(CaseError):
        CaseFile.read(late)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_lock_that_is_lost_after_the_last_step_leaves_no_label_maps(one_case, tmp_path, dtype):
    """The runner was suspended while it compressed them; the new owner's files stay as they are."""
    write_adapter(tmp_path, CONSTANT)
    model = InProcessModel.load(tmp_path / "model.py", {"dtype": dtype})
    (source,) = find_cases(one_case)
    config = RunConfig("constant", (one_case,), tmp_path / "run")
    config.out.mkdir()
    answers = iter([True] * len(steps(read_case(source), config.settings)))
    with pytest.raises(LostLockError):
        evaluate_case(source, model, config, lambda: next(answers, False))
    assert next(answers, None) is None
    assert [file for file in config.out.rglob("*") if file.is_file()] == []
