"""What a run folder has after `segbench.evaluate`, shown in a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from segbench.core import Settings
from segbench.overview import Overview, left_to_others_text
from segbench.results import CaseResult, FailurePolicy, Policy
from segbench.runs.run_case import CrashedCase

if TYPE_CHECKING:
    from segbench.report.frames import Results


@dataclass(frozen=True, repr=False)
class RunResult:
    """What a run folder has after `evaluate`, with the cases of all calls.

    It shows itself in a few lines, and as a table in a notebook.

    Attributes
    ----------
    folder : Path
        The run folder.
    name : str
        The name of the run in tables.
    case_results : tuple of CaseResult
        The raw facts of every finished case, in name order.
    asked_for : frozenset of str
        Names of the cases that this call was asked for.
    crashed : tuple of CrashedCase
        Cases on which segbench itself failed in this call; the next call tries them again.
    left_to_others : tuple of str
        Names of cases that another runner on the folder has locked.
    policy : Policy
        How failed steps and slow cases were scored in ``metrics.csv``, and are when this is shown.
    settings : Settings
        The protocol of the run.
    """

    folder: Path
    name: str
    case_results: tuple[CaseResult, ...]
    asked_for: frozenset[str]
    crashed: tuple[CrashedCase, ...] = ()
    left_to_others: tuple[str, ...] = ()
    policy: Policy = Policy()
    settings: Settings = Settings()

    @property
    def all_ok(self) -> bool:
        """Whether every case asked for is done and valid, without a failed step."""
        done = not self.crashed and not self.left_to_others
        asked_for = (case for case in self.case_results if case.case in self.asked_for)
        return done and all(case.status == "ok" for case in asked_for)

    def __repr__(self) -> str:
        """Return a few lines: means, failures, and where the folder is."""
        lines = self._overview.lines()
        return "\n".join([f"run {self.name} in {self.folder}", *lines, *self._not_done()])

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        overview = self._overview.html()
        rest = "".join(f"<p>{escape(line)}</p>" for line in self._not_done())
        folder = escape(str(self.folder))
        return f"<p><b>{escape(self.name)}</b> in <code>{folder}</code></p>{overview}{rest}"

    @property
    def _overview(self) -> Overview:
        return Overview.of(self.case_results, self.policy, self.settings, self.name)

    def _not_done(self) -> list[str]:
        lines = [f"{case.case} crashed: a fault of segbench, see run.log" for case in self.crashed]
        if self.left_to_others:
            lines.append(left_to_others_text(self.left_to_others))
        return lines

    def frames(
        self, *, failures: FailurePolicy | None = None, time_limit: float | None = None
    ) -> Results:
        """Return the finished cases of the folder as pandas frames, as `segbench.load` does.

        What is not given is that of the result's own policy.
        """
        from segbench.report.frames import load  # pandas takes a while to import

        return load(
            self.folder,
            failures=failures or self.policy.failures,
            time_limit=self.policy.time_limit if time_limit is None else time_limit,
        )
