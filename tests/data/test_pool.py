"""Items in processes of their own, also if one dies, and none that outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segbench.data.pool import each
from segbench.processes import is_running
from tests.processes import hear_interrupts

ROOT = Path(__file__).parents[2]
SECONDS = 10  # within which processes must be gone


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_comes_with_its_result(jobs):
    assert sorted(each(abs, [-3, 1, -2], jobs)) == [(-3, 3), (-2, 2), (1, 1)]


def test_no_items_need_no_process():
    assert list(each(abs, [], 2)) == []


def test_an_item_that_ends_its_process_has_no_result_and_the_others_have_theirs():
    items = ["1 + 1", "__import__('os')._exit(3)", *(f"{n} * 10" for n in range(4))]
    found = dict(each(eval, items, 2))
    assert found == {"1 + 1": 2, items[1]: None, **{f"{n} * 10": n * 10 for n in range(4)}}


def write_pid_and_wait(folder):
    """Leave a file with the process id, then one that only a clean-up removes."""
    half_written = folder / f".{os.getpid()}.partial"
    half_written.write_text("")
    (folder / str(os.getpid())).write_text("")
    try:
        time.sleep(300)
    finally:
        half_written.unlink()


PARENT = """
import sys
from pathlib import Path
from segbench.data.pool import each
from tests.data.test_pool import write_pid_and_wait
if __name__ == "__main__":
    list(each(write_pid_and_wait, [Path(sys.argv[1])] * 5, 2))
"""


def pids(folder):
    return [int(file.name) for file in folder.glob("[0-9]*")]


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_parent(tmp_path, number):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    folder = tmp_path / "pids"
    folder.mkdir()
    words = [sys.executable, str(script), str(folder)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    # a session of its own: Ctrl-C reaches all its processes at once
    parent = subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    wait_for(lambda: len(pids(folder)) == 2, 60)
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)
    else:
        parent.send_signal(number)
    # the pipe closes when no process holds it any more
    _, stderr = parent.communicate(timeout=SECONDS)
    wait_for(lambda: not any(map(is_running, pids(folder))), SECONDS)
    assert not list(folder.glob(".*"))  # what was half written is removed
    assert len(pids(folder)) == 2  # and nothing else was begun
    assert ("KeyboardInterrupt" in stderr) == (number == signal.SIGINT)
    assert stderr.count("Traceback") <= 1


def test_a_caller_that_stops_early_does_not_wait_for_the_rest():
    begin = time.monotonic()
    for _, result in each(eval, ["1", "__import__('time').sleep(300)"], 2):
        assert result == 1
        break
    assert time.monotonic() - begin < SECONDS
