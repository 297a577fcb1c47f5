"""How far a run is, how fast it goes, and how long the rest will take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from segbench.core import sum_in_order
from segbench.results import CaseResult


@dataclass(frozen=True)
class StepProgress:
    """How far a case is: it has been read, or one more of its steps is done."""

    case: str
    done: int
    total: int
    has_boxes: bool
    seconds: float = 0.0  # of the model, in the step that is done

    @property
    def doing(self) -> str:
        """The step that runs now, as users count: ``box``, ``click 2 of 5``."""
        n_clicks = self.total - self.has_boxes
        click = min(self.done + 1 - self.has_boxes, n_clicks)
        return f"click {click} of {n_clicks}" if click else "box"


@dataclass
class Pace:
    """How many cases and steps are done, how fast, and how long the rest will take."""

    title: str = ""
    total: int = 0
    done_before: int = 0
    began: float = field(default_factory=time.monotonic)
    finished: int = 0
    running: dict[str, StepProgress] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # of finished cases
    n_steps: int = 0
    seconds: float = 0.0

    def add_step(self, progress: StepProgress) -> None:
        """Count one more step of a case that runs; one that arrives late counts nothing."""
        if progress.case in self.names:
            return
        self.running[progress.case] = progress
        if progress.done:
            self.n_steps += 1
            self.seconds += progress.seconds

    def add_case(self, result: CaseResult) -> None:
        """Count a finished case."""
        if result.case not in self.running:  # its steps were not seen
            self.n_steps += len(result.seconds)
            self.seconds += sum_in_order(result.seconds.values())
        self.add_name(result.case)

    def add_name(self, case: str) -> None:
        """Count a case as ended."""
        self.finished += 1
        self.names.add(case)
        self.running.pop(case, None)

    def counted(self, unit: str = "cases") -> str:
        """Return how many cases are done, such as ``3/41 cases``."""
        return f"{self.done_before + self.finished}/{self.total} {unit}"

    @property
    def cases(self) -> float:
        """Cases that are done, those of earlier calls and parts of running ones included."""
        return self.done_before + self._cases_of_this_call

    @property
    def _cases_of_this_call(self) -> float:
        return self.finished + sum(each.done / each.total for each in [*self.running.values()])

    def current(self, progress: StepProgress) -> str:
        """Return which case and step runs now, such as ``3/41 CT_x, click 2 of 5``."""
        number = min(self.done_before + self.finished + 1, self.total)
        return f"{number}/{self.total} {progress.case}, {progress.doing}"

    def speed(self) -> str:
        """Return the time per step and the time left, as far as they are known."""
        parts = []
        if self.n_steps:
            parts.append(f"{self.seconds / self.n_steps:.2f} s a step")
        if self._cases_of_this_call:
            elapsed = time.monotonic() - self.began
            left = (self.total - self.cases) * elapsed / self._cases_of_this_call
            parts.append(f"{clock(left)} left")
        return ", ".join(parts)


def clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
