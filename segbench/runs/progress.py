"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from segbench.activity import silent
from segbench.messages import counted
from segbench.results import CaseResult
from segbench.runs.pace import Pace, StepProgress, clock
from segbench.text_table import shortened

BAR_WIDTH, BAR_MARGIN, NARROWEST_NAME = 20, 2, 12  # columns
LINE_SECONDS = 10.0  # between two plain lines within a case
SHORT_SECONDS = 1.0  # an activity that ends before is not mentioned
SIGN_OF_LIFE_SECONDS = 30.0  # between two plain lines of an activity


class Progress(Protocol):
    """What a run tells while it lasts."""

    def activity(self, text: str) -> AbstractContextManager[None]:
        """Show what happens inside the context, and for how long."""

    def note(self, text: str) -> None:
        """Show a remark."""

    def begin(self, title: str, total: int, done: int) -> None:
        """Start counting cases: of those asked for, some were done by an earlier call."""

    def step(self, progress: StepProgress) -> None:
        """Show how far a case is."""

    def case(self, result: CaseResult) -> None:
        """Show a finished case."""

    def ended(self, case: str, why: str | None) -> None:
        """Count a case without a result: it crashed, or another runner did it (None)."""


class NoProgress:
    """Shows nothing."""

    activity = staticmethod(silent)

    def note(self, text: str) -> None:
        """Show nothing."""

    def begin(self, title: str, total: int, done: int) -> None:
        """Show nothing."""

    def step(self, progress: StepProgress) -> None:
        """Show nothing."""

    def case(self, result: CaseResult) -> None:
        """Show nothing."""

    def ended(self, case: str, why: str | None) -> None:
        """Show nothing."""


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield what shows the progress of a run on stderr."""
    if sys.stderr.isatty():
        with ExitStack() as stack:
            yield Bar(stack)
    else:
        yield Lines()


class Bar:
    """A bar on a terminal."""

    def __init__(self, stack: ExitStack) -> None:
        from rich.console import Console

        self._stack, self._console = stack, Console(stderr=True)
        self._pace = Pace()
        self._bar: Any = None
        self._task: Any = None

    @contextmanager
    def activity(self, text: str) -> Iterator[None]:
        """Show a text with a clock that runs, and at the end how long it took."""
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        began = time.monotonic()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        to_terminal = sys.stdout.isatty()
        with Progress(
            *columns, console=self._console, transient=True, redirect_stdout=to_terminal
        ) as spinner:
            spinner.add_task(text, total=None)
            yield
        if time.monotonic() - began > SHORT_SECONDS:
            self.note(f"{text}: done in {clock(time.monotonic() - began)}")

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def begin(self, title: str, total: int, done: int) -> None:
        """Draw the bar."""
        from rich.progress import BarColumn, Progress, TextColumn

        self._pace = Pace(title, total, done)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=BAR_WIDTH),
            TextColumn("{task.fields[now]}", markup=False),
        )
        # what a model in this process prints must not get into stderr
        bar = Progress(*columns, console=self._console, redirect_stdout=sys.stdout.isatty())
        self._bar = self._stack.enter_context(bar)
        now = f"{done}/{counted(total, 'case')}"
        self._task = self._bar.add_task(title, total=total, completed=done, now=now)

    def step(self, progress: StepProgress) -> None:
        """Move the bar by a part of a case."""
        self._pace.add_step(progress)
        text = self._text(self._pace.current(progress))
        # the bar gives way first, then the name of the case
        room = self._console.width - len(self._pace.title) - len(text) - BAR_MARGIN
        name = shortened(progress.case, max(NARROWEST_NAME, len(progress.case) + min(room, 0)))
        self._draw(text.replace(progress.case, name, 1))

    def case(self, result: CaseResult) -> None:
        """Move the bar to the end of a case; say if it was not ok."""
        self._pace.add_case(result)
        if result.status != "ok":
            self.note(verdict(result))
        self._draw(self._text(self._pace.counted()))

    def ended(self, case: str, why: str | None) -> None:
        """Move the bar to the end of a case without a result."""
        self._pace.add_name(case)
        if why is not None:
            self.note(f"{case} {why}")
        self._draw(self._text(self._pace.counted()))

    def _text(self, now: str) -> str:
        return ", ".join(filter(None, (now, self._pace.speed())))

    def _draw(self, text: str) -> None:
        self._bar.update(self._task, completed=self._pace.cases, now=text)


class Lines:
    """Plain lines: one for each case, and in long cases one every ten seconds."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._last_line = 0.0

    @contextmanager
    def activity(self, text: str) -> Iterator[None]:
        """Print a text, a sign of life every half minute, and at the end how long it took."""
        began, over = time.monotonic(), threading.Event()

        def show() -> None:
            wait = SHORT_SECONDS
            while not over.wait(wait):
                so_far = time.monotonic() - began
                self.note(f"{text} ..." + (f" {clock(so_far)}" if wait > SHORT_SECONDS else ""))
                wait = SIGN_OF_LIFE_SECONDS

        shown = threading.Thread(target=show, daemon=True)
        shown.start()
        try:
            yield
        finally:
            over.set()
            shown.join()
        if time.monotonic() - began > SHORT_SECONDS:
            self.note(f"{text}: done in {clock(time.monotonic() - began)}")

    def note(self, text: str) -> None:
        """Print a line; a stderr that is closed or full must not fail the case that runs."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        self._last_line = time.monotonic()

    def begin(self, title: str, total: int, done: int) -> None:
        """Print how many cases there are, if any were done before."""
        self._pace = Pace(title, total, done)
        self._last_line = time.monotonic()
        if done:
            were = "was" if done == 1 else "were"
            self.note(f"{title} {done}/{counted(total, 'case')} {were} done before")

    def step(self, progress: StepProgress) -> None:
        """Print a line if the last one is older than ten seconds."""
        self._pace.add_step(progress)
        if time.monotonic() - self._last_line >= LINE_SECONDS:
            self._print(self._pace.current(progress))

    def case(self, result: CaseResult) -> None:
        """Print a line for a finished case."""
        self._pace.add_case(result)
        self._print(f"{self._pace.counted('')}{verdict(result)}")

    def ended(self, case: str, why: str | None) -> None:
        """Print a line for a case without a result."""
        self._pace.add_name(case)
        self._print(f"{self._pace.counted('')}{case} {why or 'was done by another runner'}")

    def _print(self, now: str) -> None:
        self.note(", ".join(filter(None, (f"{self._pace.title} {now}", self._pace.speed()))))


def verdict(result: CaseResult) -> str:
    """Return the name and status of a case, and the first line of the reason."""
    reason = (result.reason or "").partition("\n")[0]
    return f"{result.case} {result.status}" + (f": {reason}" if reason else "")
