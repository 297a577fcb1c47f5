"""Threads: the number for each model, which does not depend on the limit of its job."""

import pytest

import segbench
from segbench import threads
from segbench.threads import VARIABLES, n_processors, threads_per_model

ADAPTER = """
import os
from pathlib import Path
import numpy as np
from segbench.core import AdapterInfo

class ThreadRecorder:
    info = AdapterInfo("thread_recorder")

    def __init__(self, notes):
        self._notes = Path(notes)

    def set_image(self, image, labels):
        self._shape = image.voxels.shape
        own = self._notes / str(os.getpid())
        own.write_text(" ".join(os.environ[name] for name in VARIABLES))

    def predict(self, interactions):
        return np.zeros(self._shape, np.uint8)

    def close(self):
        pass

make_adapter = ThreadRecorder
"""


@pytest.fixture(autouse=True)
def no_thread_variables(monkeypatch):
    """Start without any of the variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_models_never_have_more_threads_than_there_are_processors(monkeypatch):
    monkeypatch.setattr(threads, "n_processors", lambda: 8)
    shares = {jobs: threads_per_model(jobs) for jobs in (1, 2, 3, 8)}
    assert shares == {1: 8, 2: 4, 3: 2, 8: 1}
    assert threads_per_model(100) == 1


def test_the_users_number_takes_precedence_and_the_environment_may_lower_it(monkeypatch):
    monkeypatch.setattr(threads, "n_processors", lambda: 8)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    assert threads_per_model(1) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert threads_per_model(1) == 2
    assert threads_per_model(1, requested=5) == 5
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads_per_model(1) == 3
    assert threads_per_model(8) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert threads_per_model(2) == 4


def test_there_is_at_least_one_processor():
    assert n_processors() >= 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_model_has_its_own_number_of_threads(jobs, data, tmp_path):
    adapter, notes = tmp_path / "thread_recorder.py", tmp_path / "notes"
    adapter.write_text(ADAPTER.replace("VARIABLES", repr(VARIABLES)))
    notes.mkdir()
    outcome = segbench.evaluate(
        str(adapter), data, out=tmp_path / "run", jobs=jobs, threads=3, option={"notes": str(notes)}
    )
    assert outcome.all_ok
    assert {note.read_text() for note in notes.iterdir()} == {" ".join("3" * len(VARIABLES))}
