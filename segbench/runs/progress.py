"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
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
