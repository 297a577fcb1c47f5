"""Every way in which a worker can fail: each failure has a reason, and a new worker follows."""

import contextlib
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Box, Click, Image, Interactions
from segbench.errors import AdapterError
from segbench.models.in_process import InProcessModel
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from tests.processes import largest_file

IMAGE = Image(np.zeros((4, 5, 6), np.uint8), (3.0, 1.0, 1.0))
BOX = Box(1, (0, 0, 0), (2, 2, 2), 0)
RAISES = """
from segbench.core import AdapterInfo
from segbench.errors import AdapterError


class Raises:
    info = AdapterInfo("raises")

    def set_image(self, image, labels): ...

    def predict(self, interactions):
        raise {error}("bad luck")


make_adapter = Raises
"""


def interactions_of(step):
    """Return a box, then one click per step."""
    clicks = tuple((Click(1, (3, 3, min(i, 5)), True),) for i in range(step))
    return Interactions(((BOX,), *clicks), np.zeros((4, 5, 6), np.uint8))


@pytest.fixture
def open_model(scripted):
    """Return a function that opens the scripted adapter in a worker, and closes it later."""
    opened = []

    def open_(step_timeout=60.0, file=scripted, **options):
        config = WorkerConfig(step_timeout=step_timeout, threads=1)
        opened.append(WorkerModel(Path(file), options, config))
        opened[-1].set_image(IMAGE, (1,))
        return opened[-1]

    yield open_
    for model in opened:
        model.close()


def test_an_output_has_its_time_and_memory(open_model):
    output = open_model().predict(interactions_of(0))
    assert output.failure is None
    assert output.segmentation[:2, :2, :2].all()
    assert 0 <= output.seconds < 5
    assert output.peak_mb is None or output.peak_mb > 5


def test_what_the_model_prints_does_not_enter_the_pipe(open_model):
    """The scripted adapter prints in `set_image`."""
    assert open_model().predict(interactions_of(1)).failure is None


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        ("raise", "raised ValueError: the model is confused"),
        ("exit", "crashed: ended with exit status 3"),
        ("sys.exit", "crashed: ended with exit status 4"),
        ("none", "returned None, expected a label map: integers, shape (z, y, x) of the image"),
    ],
)
def test_a_failed_step_has_its_reason_and_the_next_one_works(open_model, fail, reason):
    model = open_model(fail=fail)
    assert model.predict(interactions_of(1)).failure is None
    output = model.predict(interactions_of(2))
    assert output.segmentation is None
    assert output.failure.startswith(reason)
    assert model.predict(interactions_of(3)).segmentation is not None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ValueError", "raised ValueError: bad luck"),
        ("AdapterError", "failed: bad luck"),
    ],
)
def test_an_error_reads_the_same_in_this_process_and_in_a_worker(
    open_model, tmp_path, error, expected
):
    file = tmp_path / "model.py"
    file.write_text(RAISES.format(error=error))
    here = InProcessModel.load(file, {})
    here.set_image(IMAGE, (1,))
    failure = here.predict(interactions_of(0)).failure
    assert failure.partition("\n")[0] == expected
    assert open_model(file=file).predict(interactions_of(0)).failure == failure


def test_a_crash_is_recorded_with_the_last_lines_of_stderr(open_model):
    model = open_model(fail="exit")
    assert "last lines of stderr:" in (failure := model.predict(interactions_of(2)).failure)
    assert failure.endswith("last words")


def test_a_worker_that_hangs_is_stopped_and_recorded(open_model):
    model = open_model(fail="hang", step_timeout=60.0)
    assert model.predict(interactions_of(1)).failure is None
    model._worker._timeout = 1.0  # of this step only: on a busy machine a start takes seconds
    output = model.predict(interactions_of(2))
    assert output.failure.startswith("timed out: took more than 1 s")
    assert 1 <= output.seconds < 30
    assert model.predict(interactions_of(3)).failure is None


def test_a_killed_worker_is_named_by_its_signal(open_model):
    model = open_model(fail="kill")
    failure = model.predict(interactions_of(2)).failure
    assert failure.startswith("crashed: ended with signal SIGKILL")
    assert model.predict(interactions_of(3)).failure is None


def test_a_worker_that_no_longer_reads_requests_is_a_crash(open_model):
    model = open_model(fail="deaf")
    outputs = [model.predict(interactions_of(2)) for _ in range(4)]
    assert outputs[2].failure.startswith("crashed: closed the private pipe")
    assert [output.failure is None for output in outputs] == [True, True, False, True]


def test_an_image_that_cannot_be_set_is_not_tried_for_every_click(open_model):
    model = open_model(fail="start")
    failures = [
        model.predict(interactions_of(step)).failure.partition("\n")[0] for step in range(4)
    ]
    assert failures[:2] == ["setting the image: raised RuntimeError: no memory for this image"] * 2
    assert failures[2:] == ["could not set this image in 2 attempts"] * 2
    model.set_image(IMAGE, (1,))
    assert "no memory" in model.predict(interactions_of(0)).failure  # a new image is tried again


def test_a_worker_that_ends_in_every_step_is_started_again_for_each(open_model):
    model = open_model(fail="exit")
    failures = [model.predict(interactions_of(2)).failure.partition("\n")[0] for _ in range(4)]
    assert failures == ["crashed: ended with exit status 3"] * 4
    assert model.predict(interactions_of(3)).failure is None


SLOW_DISK = """
import time
import numpy as np
from segbench.core import AdapterInfo
from segbench.models.prompt_painting import paint_prompts

read = np.load


def read_slowly(*args, **options):
    time.sleep(0.7)
    return read(*args, **options)


class SlowDisk:
    info = AdapterInfo("slow_disk")

    def set_image(self, image, labels): ...

    def predict(self, interactions):
        return paint_prompts(interactions, lambda size: np.ones(size, bool))


def make_adapter():
    np.load = read_slowly
    return SlowDisk()
"""


def test_reading_the_arrays_is_not_the_models_time(open_model, tmp_path):
    (tmp_path / "slow_disk.py").write_text(SLOW_DISK)
    model = open_model(file=tmp_path / "slow_disk.py")
    start = time.perf_counter()
    outputs = [model.predict(interactions_of(step)) for step in range(2)]
    assert [output.failure for output in outputs] == [None, None]
    assert time.perf_counter() - start > 3 * 0.7  # the image, and a label map per step
    assert max(output.seconds for output in outputs) < 0.7


def test_a_model_that_cannot_be_loaded_is_one_clear_error(tmp_path):
    file = tmp_path / "lame.py"
    file.write_text("import nowhere_to_be_found\n")
    with pytest.raises(AdapterError, match=r"lame: cannot be loaded: .*nowhere_to_be_found"):
        WorkerModel(file, {}, WorkerConfig(step_timeout=20))


def test_a_worker_refuses_an_unknown_option(scripted):
    with pytest.raises(
        AdapterError, match=r"^scripted: --option: expected one of fail, at, found 'colour'$"
    ):
        WorkerModel(Path(scripted), {"colour": "red"}, WorkerConfig(step_timeout=20))


def test_a_model_that_forks_and_returns_twice_has_one_reply(open_model):
    """Otherwise each later request would get the reply to the one before."""
    model = open_model(fail="fork")
    outputs = [model.predict(interactions_of(step)) for step in range(5)]
    time.sleep(0.5)
    outputs.append(model.predict(interactions_of(5)))
    assert [output.failure for output in outputs] == [None] * 6
    assert [int((output.segmentation > 0).sum()) for output in outputs] == sorted(
        int((output.segmentation > 0).sum()) for output in outputs
    )


def test_output_in_the_private_pipe_fails_only_that_step(open_model):
    model = open_model(fail="babble")
    failures = [model.predict(interactions_of(step)).failure for step in range(5)]
    assert failures[2].startswith("wrote into the private pipe")
    assert [failure is None for failure in failures] == [True, True, False, True, True]


def test_a_child_that_outlives_its_model_delays_nothing(open_model):
    model = open_model(fail="child")
    start = time.monotonic()
    assert "exit status 5" in model.predict(interactions_of(2)).failure
    assert model.predict(interactions_of(3)).failure is None
    assert time.monotonic() - start < 30


def test_a_model_that_reads_stdin_reads_nothing(open_model):
    model = open_model(fail="stdin")
    assert model.predict(interactions_of(2)).segmentation[:2, :2, :2].all()
    assert model.predict(interactions_of(3)).failure is None


def test_a_failed_step_does_not_affect_the_next_ones(open_model):
    """As in a real run, the last output is the previous segmentation of the next step."""
    model, previous, failures = open_model(fail="none"), np.zeros((4, 5, 6), np.uint8), []
    for step in range(5):
        output = model.predict(Interactions(interactions_of(step).rounds, previous))
        previous = previous if output.segmentation is None else output.segmentation
        failures.append(output.failure)
    assert [failure is None for failure in failures] == [True, True, False, True, True]


def test_the_reason_of_a_failure_is_bounded_text(open_model):
    failure = open_model(fail="flood").predict(interactions_of(2)).failure
    assert len(failure) < 20_000
    failure.encode("utf-8")


def test_a_full_disk_is_no_failure_of_the_model(open_model):
    model = open_model()
    with largest_file(100), pytest.raises(OSError, match="File too large"):
        model.predict(interactions_of(1))
    assert model.predict(interactions_of(1)).failure is None


def test_an_interpreter_that_cannot_be_run_is_one_clear_error(scripted, tmp_path):
    with pytest.raises(
        AdapterError, match="cannot be loaded: .*: expected an interpreter that can be run, found"
    ):
        WorkerModel(Path(scripted), {}, WorkerConfig(python=tmp_path))


def test_close_ends_the_process_and_deletes_the_folder(open_model):
    model = open_model()
    worker = model._worker
    model.close()
    assert not worker.scratch.exists()
    assert not worker.is_alive()


def test_the_worker_ends_when_segbench_has_ended(open_model):
    worker = open_model()._worker
    worker._process.stdin.close()
    assert worker._process.wait(10) == -signal.SIGTERM
    assert not worker.scratch.exists()


def test_the_worker_does_not_import_from_the_working_directory(tmp_path, open_model, environment):
    file = tmp_path / "curious.py"
    file.write_text(
        "import sys\n"
        "from segbench.core import AdapterInfo\n"
        "class Curious:\n"
        "    info = AdapterInfo('curious', note=';'.join(sys.path))\n"
        "    def set_image(self, image, labels): ...\n"
        "    def predict(self, interactions): return interactions.previous_segmentation\n"
        "    def close(self): ...\n"
        "make_adapter = Curious\n"
    )
    environment(PYTHONPATH=tmp_path / "stray")
    with contextlib.chdir(tmp_path):
        search_path = open_model(file=file).info.note.split(";")
    assert not {"", str(tmp_path)} & set(search_path)
    assert search_path[-1] == str(tmp_path / "stray")  # asked for, but after the environment
