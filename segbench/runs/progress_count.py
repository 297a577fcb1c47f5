"""How many things are done, on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from segbench.text_table import shortened

LINE_SECONDS = 10.0  # between two plain lines
NAME_WIDTH = 40  # columns
Count = Callable[[str, int, int], None]  # a thing that is done, how many are, of how many


@contextmanager
def shown_count(title: str, *, line_seconds: float = LINE_SECONDS) -> Iterator[Count]:
    """Yield what shows how many things are done; ``line_seconds`` is between two plain lines."""
    if not sys.stderr.isatty():
        yield _lines(title, line_seconds)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def show(name: str, done: int, total: int) -> None:
            text = f"{title} {shortened(name, NAME_WIDTH)}"
            bar.update(task, description=text, completed=done, total=total)

        yield show


def _lines(title: str, line_seconds: float) -> Count:
    last = time.monotonic()

    def show(name: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= line_seconds:
            last = time.monotonic()
            sys.stderr.write(f"{title} {done}/{total} {name}\n")
            sys.stderr.flush()

    return show
