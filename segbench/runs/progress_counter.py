"""Progress of other work than a run, thing by thing: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[str], None]  # one more is done, and what to say of it


@contextmanager
def counted(title: str, total: int) -> Iterator[Advance]:
    """Yield what is called for each thing that is done; all is shown on stderr."""
    if not sys.stderr.isatty():
        yield _lines(title, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn(title), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as bar:
        task = bar.add_task(title, total=total)

        def advance(text: str) -> None:
            bar.console.print(text, markup=False, highlight=False)
            bar.advance(task)

        yield advance


def _lines(title: str, total: int) -> Advance:
    done = 0

    def advance(text: str) -> None:
        nonlocal done
        done += 1
        sys.stderr.write(f"{title} {done}/{total} {text}\n")
        sys.stderr.flush()

    return advance
