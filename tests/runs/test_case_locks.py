"""Case locks: one owner at a time; stale locks are replaced, late owners do no harm."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from segbench.runs import case_locks
from segbench.runs.case_locks import STALE_SECONDS, case_lock
from tests.processes import ended_pid


def write_lock(folder, pid, host=None, age=0.0):
    file = folder / ".CT_a.lock"
    owner = {
        "token": "t",
        "host": host or socket.gethostname(),
        "boot": case_locks._boot(),
        "pid": pid,
    }
    file.write_text(json.dumps(owner))
    now = file.stat().st_mtime
    os.utime(file, (now - age, now - age))
    return file


def test_a_lock_is_held_by_one(tmp_path):
    with case_lock(tmp_path, "CT_a") as first:
        with case_lock(tmp_path, "CT_a") as second:
            assert first()
            assert second is None
        with case_lock(tmp_path, "CT_b") as other:
            assert other()
    with case_lock(tmp_path, "CT_a") as again:
        assert again()
    assert list(tmp_path.iterdir()) == []


def break_off(folder):
    with case_lock(folder, "CT_a"):
        raise KeyboardInterrupt


def test_a_lock_is_given_back_when_the_work_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        break_off(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_an_ended_process_of_this_machine_is_taken_over(tmp_path):
    write_lock(tmp_path, ended_pid())
    with case_lock(tmp_path, "CT_a") as mine:
        assert mine()


def test_a_zombie_process_holds_no_lock(tmp_path):
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    while case_locks.is_running(zombie.pid):
        pass
    write_lock(tmp_path, zombie.pid)
    with case_lock(tmp_path, "CT_a") as mine:
        assert mine()
    zombie.wait()


def test_the_lock_of_another_machine_is_respected_until_it_is_cold(tmp_path):
    write_lock(tmp_path, 1, host="elsewhere")
    with case_lock(tmp_path, "CT_a") as mine:
        assert mine is None
    write_lock(tmp_path, 1, host="elsewhere", age=STALE_SECONDS + 5)
    with case_lock(tmp_path, "CT_a") as mine:
        assert mine()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"pid": "x"}'])
def test_a_lock_that_cannot_be_read_is_respected_until_it_is_cold(tmp_path, text):
    file = tmp_path / ".CT_a.lock"
    file.write_text(text)
    with case_lock(tmp_path, "CT_a") as mine:
        assert mine is None
    os.utime(file, (0, 0))
    with case_lock(tmp_path, "CT_a") as mine:
        assert mine()


def test_a_suspended_owner_notices_its_loss_and_leaves_the_new_lock_alone(tmp_path):
    with case_lock(tmp_path, "CT_a") as slow:
        os.utime(tmp_path / ".CT_a.lock", (0, 0))  # as if it had slept
        with case_lock(tmp_path, "CT_a") as quick:
            assert quick()
            assert not slow()
            slow_token_is_gone = not slow()
        assert slow_token_is_gone
    with case_lock(tmp_path, "CT_a") as next_one:
        assert next_one()


def test_a_heartbeat_renews_a_lock(tmp_path):
    file = tmp_path / ".CT_a.lock"
    with case_lock(tmp_path, "CT_a", heartbeat_seconds=0.01):
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 60
        while file.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        with case_lock(tmp_path, "CT_a") as other:
            assert other is None


def test_a_heartbeat_never_makes_a_lock(tmp_path):
    with case_lock(tmp_path, "CT_a", heartbeat_seconds=0.01):
        (tmp_path / ".CT_a.lock").unlink()
        time.sleep(0.1)
        assert list(tmp_path.iterdir()) == []
