"""Threads: the number for each model, which does not depend on the limit of its job."""

import pytest

import segbench
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


def threads_of(jobs, requested=None, **environ):
    """Return the threads of each model on eight processors."""
    return threads_per_model(jobs, requested, processors=8, environ=environ)


def test_models_never_have_more_threads_than_there_are_processors():
    shares = {jobs: threads_of(jobs) for jobs in (1, 2, 3, 8, 100)}
    assert shares == {1: 8, 2: 4, 3: 2, 8: 1, 100: 1}


def test_the_users_number_takes_precedence_and_the_environment_may_lower_it():
    assert threads_of(1, MKL_NUM_THREADS="3") == 3
    assert threads_of(1, MKL_NUM_THREADS="3", OMP_NUM_THREADS="2,1") == 2
    assert threads_of(1, 5, OMP_NUM_THREADS="2") == 5
    assert threads_of(1, MKL_NUM_THREADS="3", OMP_NUM_THREADS="many") == 3
    assert threads_of(8, MKL_NUM_THREADS="3") == 1
    assert threads_of(2, OMP_NUM_THREADS="64") == 4


def test_without_arguments_it_is_this_process_and_its_environment(environment):
    environment(**dict.fromkeys(VARIABLES, "0"))
    assert threads_per_model(1) == n_processors()
    environment(OMP_NUM_THREADS="1")
    assert threads_per_model(1) == 1


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
