"""What a run shows while it lasts."""

import io
import json
import os
import pty
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from segbench.results import CaseResult
from segbench.runs import progress, progress_count
from segbench.runs.pace import Pace, StepProgress, clock
from segbench.runs.progress import Bar, Lines
from segbench.runs.step_channel import ignore_step, step_receiver


def step(done, *, case="CT_x", total=6, has_boxes=True, seconds=2.0):
    return StepProgress(case, done, total, has_boxes, seconds)


@pytest.mark.parametrize(
    ("step_progress", "doing"),
    [
        (step(0), "box"),
        (step(1), "click 1 of 5"),
        (step(2), "click 2 of 5"),
        (step(6), "click 5 of 5"),  # it is over: the case is being written
        (step(0, total=5, has_boxes=False), "click 1 of 5"),
        (step(4, total=5, has_boxes=False), "click 5 of 5"),
    ],
)
def test_the_step_that_runs_is_counted_as_users_count(step_progress, doing):
    assert step_progress.doing == doing


def test_the_time_left_is_known_from_the_first_step_on():
    pace = Pace("ours", total=4, done_before=1, began=time.monotonic() - 30)
    pace.add_step(step(0))
    assert pace.speed() == ""
    pace.add_step(step(3))
    assert pace.current(step(3)) == "2/4 CT_x, click 3 of 5"
    # half a case in 30 s, 2.5 cases are left
    assert re.fullmatch(r"2\.00 s a step, 0:02:30 left", pace.speed())
    pace.add_case(CaseResult("CT_x", "ok", seconds={0: 2.0}))
    assert pace.cases == 2
    assert pace.speed() == "2.00 s a step, 0:01:00 left"


def test_the_steps_of_a_case_are_counted_once():
    pace = Pace("ours", total=2)
    for done in range(7):
        pace.add_step(step(done, seconds=1.0))
    pace.add_case(CaseResult("CT_x", "ok", seconds=dict.fromkeys(range(6), 1.0)))
    pace.add_case(CaseResult("CT_y", "ok", seconds=dict.fromkeys(range(6), 3.0)))  # of another job
    assert (pace.n_steps, pace.seconds) == (12, 24.0)


def test_clocks_are_hours_minutes_and_seconds():
    assert [clock(each) for each in (0, 59.6, 3725)] == ["0:00:00", "0:01:00", "1:02:05"]


def test_plain_lines_within_a_case_are_ten_seconds_apart(capsys):
    lines = Lines()
    lines.begin("ours", 3, 0)
    lines.step(step(1))
    assert capsys.readouterr().err == ""
    lines._last_line -= 11
    lines.step(step(2))
    assert capsys.readouterr().err.startswith("ours 1/3 CT_x, click 2 of 5, 2.00 s a step, 0:0")
    lines.step(step(3))
    assert capsys.readouterr().err == ""


def test_an_activity_that_lasts_says_so_at_once_and_at_its_end(capsys, monkeypatch):
    lines = Lines()
    with lines.activity("loading ours"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "SHORT_SECONDS", 0.05)
    shown, deadline = "", time.monotonic() + 20
    with lines.activity("loading ours"):
        while not shown and time.monotonic() < deadline:
            time.sleep(0.01)
            shown = capsys.readouterr().err
    assert shown == "loading ours ...\n"
    assert re.fullmatch(r"loading ours: done in 0:00:\d\d\n", capsys.readouterr().err)


def test_steps_of_other_processes_arrive():
    seen = []
    code = (
        "from segbench.runs.step_channel import StepSender\n"
        "from segbench.runs.pace import StepProgress\n"
        "import sys\n"
        "StepSender(('127.0.0.1', int(sys.argv[1])))(StepProgress('CT_x', 2, 6, True, 1.5))\n"
    )
    with step_receiver(seen.append, ["CT_x"]) as send:
        subprocess.run([sys.executable, "-c", code, str(send.address[1])], check=True)
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
    assert seen == [step(2, seconds=1.5)]


def test_what_is_no_step_is_ignored(tmp_path):
    facts = {"case": "CT_x", "done": 1, "total": 6, "has_boxes": True, "seconds": 1.0}
    changes = [
        *({"case": 1}, {"case": "CT_other\x1b[2J"}, {"total": 0}, {"done": 7}, {"done": 0.5}),
        *({"seconds": "1"}, {"seconds": -1.0}, {"seconds": float("nan")}, {"has_boxes": None}),
    ]
    strangers = [json.dumps(facts | change).encode() for change in changes]
    seen = []
    with (
        step_receiver(seen.append, ["CT_x"]) as send,
        socket.socket(type=socket.SOCK_DGRAM) as other,
    ):
        for noise in (b"", b"\xff", b"[]", *strangers):
            other.sendto(noise, send.address)
        send(step(1))
        deadline = time.monotonic() + 60
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
    assert seen == [step(1)]


def test_nothing_listens_if_nothing_is_shown():
    with step_receiver(ignore_step, []) as send:
        assert send is ignore_step


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_terminal_shows_case_and_step(data, slow_adapter, tmp_path, jobs):
    """The command in a pseudo terminal."""
    words = ["run", "--model", str(slow_adapter), "--data", str(data)]
    text = in_terminal([*words, "--out", str(tmp_path / "run"), "--jobs", jobs])
    # which of the steps is seen depends on how busy the machine is
    assert re.search(r"[123]/3 (CT|MR|PET)_Toy_00\d, click [1-5] of 5, \d\.\d\d s a step", text)
    assert re.search(r", 0:0\d:\d\d left", text)
    assert "3/3 cases" in text


def in_terminal(words):
    """Run segbench with a terminal of 100 columns as its stderr; return what it has shown."""
    leader, follower = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "segbench", *words],
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env=env,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 1 << 16)
        except OSError:  # how Linux says that the other side is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def test_a_step_that_arrives_late_counts_nothing():
    pace = Pace("ours", total=2, began=time.monotonic() - 10)
    pace.add_case(CaseResult("CT_x", "ok", seconds={0: 2.0}))
    pace.add_step(step(6))
    assert pace.cases == 1


def test_a_case_without_a_result_is_counted(capsys):
    lines = Lines()
    lines.begin("ours", 2, 0)
    lines.ended("CT_x", "crashed: SIGKILL")
    lines.ended("CT_y", None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("ours 1/2 CT_x crashed: SIGKILL")
    assert second.startswith("ours 2/2 CT_y was done by another runner")


def test_text_in_brackets_is_shown_as_it_is():

    with ExitStack() as stack, Bar(stack).activity("loading v[/2]"):
        pass


def test_a_count_is_a_line_every_ten_seconds(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress_count.time, "monotonic", lambda: now[0])
    with progress_count.shown_count("checking") as show:
        for number in range(1, 6):
            now[0] += 4
            show(f"CT_{number}", number, 5)
    assert capsys.readouterr().err == "checking 3/5 CT_3\n"


def test_a_count_is_a_bar_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_count.shown_count("checking") as show:
        show("CT_1", 1, 2)
        show("CT_[b]", 2, 2)
    assert "checking CT_[b]" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()


def test_a_count_can_be_a_line_for_each_thing(capsys):
    with progress_count.shown_count("convert", line_seconds=0) as show:
        show("CT_1 refused", 1, 2)
        show("CT_2 converted", 2, 2)
    lines = capsys.readouterr().err
    assert lines == "convert 1/2 CT_1 refused\nconvert 2/2 CT_2 converted\n"


def test_a_closed_stderr_fails_no_case(monkeypatch):
    with open(os.devnull, "w") as closed:
        pass
    monkeypatch.setattr(sys, "stderr", closed)
    lines = Lines()
    lines.begin("ours", 2, 1)
    lines.case(CaseResult("CT_x", "ok", seconds={0: 1.0}))
    assert lines._pace.finished == 1
