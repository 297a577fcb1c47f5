"""Leases: one owner at a time, and the dead are replaced."""

import json
import os
import socket
import subprocess
import sys

from segbench.leases import DEAD_AFTER, lease


def write_lease(folder, pid, host=None, age=0.0):
    file = folder / ".CT_a.lease"
    file.write_text(json.dumps({"host": host or socket.gethostname(), "pid": pid}))
    now = file.stat().st_mtime
    os.utime(file, (now - age, now - age))
    return file


def dead_pid():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_a_lease_is_held_by_one(tmp_path):
    with lease(tmp_path, "CT_a") as first:
        with lease(tmp_path, "CT_a") as second:
            assert (first, second) == (True, False)
        with lease(tmp_path, "CT_b") as other:
            assert other
    with lease(tmp_path, "CT_a") as again:
        assert again
    assert list(tmp_path.iterdir()) == []


def test_a_lease_is_given_back_when_the_work_fails(tmp_path):
    try:
        with lease(tmp_path, "CT_a"):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_over(tmp_path):
    write_lease(tmp_path, dead_pid())
    with lease(tmp_path, "CT_a") as mine:
        assert mine


def test_the_lease_of_another_machine_is_respected_until_it_is_cold(tmp_path):
    write_lease(tmp_path, 1, host="elsewhere")
    with lease(tmp_path, "CT_a") as mine:
        assert not mine
    write_lease(tmp_path, 1, host="elsewhere", age=DEAD_AFTER + 5)
    with lease(tmp_path, "CT_a") as mine:
        assert mine


def test_a_lease_that_is_being_written_is_respected(tmp_path):
    (tmp_path / ".CT_a.lease").write_text("")
    with lease(tmp_path, "CT_a") as mine:
        assert not mine
