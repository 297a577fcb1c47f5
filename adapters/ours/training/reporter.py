"""Output of a training: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Reporter:
    """Functions that write a line, and that show the state after each step."""

    write_line: Callable[[str], None]
    show_step: Callable[[float, int, float], None]  # share of the budget, steps, loss


@contextmanager
def open_reporter() -> Iterator[Reporter]:
    """Yield a reporter: a progress bar on a terminal if rich is installed, else stdout."""
    try:
        import rich  # noqa: F401
    except ImportError:
        yield Reporter(_write_line, _show_nothing)
        return
    if not sys.stderr.isatty():
        yield Reporter(_write_line, _show_nothing)
        return
    with _progress_bar() as reporter:
        yield reporter


@contextmanager
def _progress_bar() -> Iterator[Reporter]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    text = TextColumn("{task.percentage:3.0f}% step {task.fields[step]} loss {task.fields[loss]}")
    with Progress(BarColumn(), text, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("training", total=1.0, step=0, loss="-")

        def show_step(done: float, step: int, loss: float) -> None:
            bar.update(task, completed=min(done, 1.0), step=step, loss=f"{loss:.2f}")

        yield Reporter(lambda line: console.print(line, markup=False, highlight=False), show_step)


def _write_line(text: str) -> None:
    """Write and flush a line, so that a log file is always current."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _show_nothing(done: float, step: int, loss: float) -> None:
    """Show nothing: plain output has no progress bar."""
