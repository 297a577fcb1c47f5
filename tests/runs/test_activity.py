"""What a long piece of work says on stderr."""

import io
import sys
import time

import pytest

from segbench.runs import progress
from segbench.runs.progress import show_activity


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_say_what_goes_on_and_for_how_long(capsys, monkeypatch):
    monkeypatch.setattr(progress, "NOTICE_SECONDS", 0.4)
    with show_activity("building"):
        time.sleep(1.05)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "building ..."
    assert lines[1:-1] == ["building ... 0:00:00", "building ... 0:00:01"]
    assert lines[-1].startswith("building: done in 1.")
    time.sleep(0.5)
    assert capsys.readouterr().err == ""


def test_quick_work_is_one_line(capsys):
    with show_activity("loading"):
        pass
    assert capsys.readouterr().err == "loading ...\n"


def test_work_that_fails_is_not_called_done(capsys):
    def work():
        with show_activity("loading"):
            time.sleep(1)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert capsys.readouterr().err.splitlines()[-1].startswith("loading: stopped after 1.")


def test_a_terminal_shows_the_text_with_a_clock_and_no_markup(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with show_activity("loading [bold]x[/bold]"):
        time.sleep(0.2)
    assert "loading [bold]x[/bold]" in screen.getvalue()
    assert "0:00:00" in screen.getvalue()
