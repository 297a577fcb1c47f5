"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from segbench.core import sum_in_order
from segbench.results import CaseResult

ShowCase = Callable[[CaseResult], None]
OpenProgress = Callable[[str, int, int], AbstractContextManager[ShowCase]]


@contextmanager
def no_progress(title: str, total: int, done: int) -> Iterator[ShowCase]:
    """Yield a function that shows nothing."""
    yield lambda result: None


@contextmanager
def progress(title: str, total: int, done: int) -> Iterator[ShowCase]:
    """Yield the function to call with each finished case.

    Parameters
    ----------
    title : str
        Shown before the bar.
    total, done : int
        Number of cases, and how many of them an earlier call has finished.
    """
    if sys.stderr.isatty():
        with _bar(title, total, done) as show:
            yield show
    else:
        yield _lines(title, total, done)


@contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[ShowCase]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cases, {task.fields[pace]}, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, completed=done, pace="no step yet")

        def show(result: CaseResult) -> None:
            if result.status != "ok":
                bar.console.print(_verdict(result), markup=False, highlight=False)
            bar.update(task, advance=1, pace=_pace(result))

        yield show


def _lines(title: str, total: int, done: int) -> ShowCase:
    began, finished = time.monotonic(), 0

    def show(result: CaseResult) -> None:
        nonlocal finished
        finished += 1
        left = (time.monotonic() - began) / finished * (total - done - finished)
        parts = [f"{title} {done + finished}/{total} {_verdict(result)}", f"{_clock(left)} left"]
        if result.seconds:
            parts.insert(1, _pace(result))
        sys.stderr.write(", ".join(parts) + "\n")
        sys.stderr.flush()

    return show


def _verdict(result: CaseResult) -> str:
    reason = (result.reason or "").partition("\n")[0]
    return f"{result.case} {result.status}" + (f": {reason}" if reason else "")


def _pace(result: CaseResult) -> str:
    seconds = list(result.seconds.values())
    return f"{sum_in_order(seconds) / len(seconds):.2f} s a step" if seconds else "no step"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


NOTICE_SECONDS = 30.0  # between two lines of an activity


@contextmanager
def show_activity(text: str) -> Iterator[None]:
    """Say on stderr what goes on while the block runs, and for how long.

    An `segbench.activity.Activity`: on a terminal one line with the time so far, elsewhere a line
    at the start and one every 30 seconds. At the end a line with the time, from one second on.
    """
    began, finished = time.monotonic(), threading.Event()
    ending = "stopped after"
    try:
        with _activity_status(text) if sys.stderr.isatty() else _activity_lines(text, finished):
            yield
        ending = "done in"
    finally:
        finished.set()
        seconds = time.monotonic() - began
        if seconds >= 1:
            _write_line(f"{text}: {ending} {seconds:.1f} s")


@contextmanager
def _activity_status(text: str) -> Iterator[None]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as status:
        status.add_task(escape(text), total=None)
        yield


@contextmanager
def _activity_lines(text: str, finished: threading.Event) -> Iterator[None]:
    _write_line(f"{text} ...")
    began = time.monotonic()

    def remind() -> None:
        while not finished.wait(NOTICE_SECONDS):
            _write_line(f"{text} ... {_clock(time.monotonic() - began)}")

    threading.Thread(target=remind, daemon=True).start()
    yield


def _write_line(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
