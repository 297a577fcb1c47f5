"""What a person sees of a training: a progress line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .run import Teller


@contextmanager
def teller() -> Iterator[Teller]:
    """Yield who is to be told: a rich line on a terminal where rich is there, else stdout."""
    try:
        import rich  # noqa: F401
    except ImportError:
        yield Teller(_line, _nothing)
        return
    if not sys.stderr.isatty():
        yield Teller(_line, _nothing)
        return
    with _rich() as told:
        yield told


@contextmanager
def _rich() -> Iterator[Teller]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    text = TextColumn("{task.percentage:3.0f}% step {task.fields[step]} loss {task.fields[loss]}")
    with Progress(BarColumn(), text, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task("training", total=1.0, step=0, loss="-")

        def show(done: float, step: int, loss: float) -> None:
            bar.update(task, completed=min(done, 1.0), step=step, loss=f"{loss:.2f}")

        yield Teller(lambda line: console.print(line, markup=False, highlight=False), show)


def _line(text: str) -> None:
    """Write a line at once, so that a log file can be followed."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _nothing(done: float, step: int, loss: float) -> None:
    """Plain output has no progress line."""
