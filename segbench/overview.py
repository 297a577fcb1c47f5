"""The result of a run in a few lines: how many cases, their mean scores, what failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from segbench.core import Settings, mean_scores
from segbench.messages import are, counted
from segbench.results import CaseResult, CaseSummary, Policy, area_under_clicks

SHOWN = 5  # reasons of failed and invalid cases
SHOWN_NAMES = 3  # of cases with one reason
SHOWN_LABELS = 10
WIDEST = 200  # characters of a reason
MEASURES = {
    "DSC AUC": lambda summary: summary.dsc_auc,
    "NSD AUC": lambda summary: summary.nsd_auc,
    "DSC final": lambda summary: summary.dsc_final,
    "NSD final": lambda summary: summary.nsd_final,
}


@dataclass(frozen=True)
class Overview:
    """The finished cases of a run, counted, and the means of those that are scored."""

    n_scored: int
    counts: tuple[tuple[str, int], ...]  # by status
    means: tuple[tuple[str, float], ...]  # by measure; empty if no case is scored
    scale: str  # what a reader of the means must know
    problems: tuple[str, ...]  # a line for each reason of failed and invalid cases
    unknown_labels: str  # a line on labels that the cases do not have, or nothing

    @classmethod
    def of(
        cls,
        cases: Sequence[CaseResult],
        policy: Policy = Policy(),
        settings: Settings = Settings(),
        name: str = "the model",
    ) -> Overview:
        """Count cases, and take means under a policy."""
        summaries = [
            found
            for case in cases
            if (found := case.summary(policy, settings.n_clicks)) is not None
        ]
        statuses = [case.status for case in cases]
        return cls(
            len(summaries),
            tuple((status, statuses.count(status)) for status in ("ok", "failed", "invalid")),
            tuple(_means(summaries)),
            scale_text(settings, gated=any(_has_gated_step(case, settings) for case in cases)),
            tuple(problem_lines(cases)),
            unknown_labels_text(name, cases),
        )

    def lines(self) -> list[str]:
        """Return the overview as lines of text."""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts)
        lines = [f"{counted(sum(count for _, count in self.counts), 'case')}: {counts}"]
        if self.means:
            means = ", ".join(f"{name} {mean:.4f}" for name, mean in self.means)
            lines.append(f"means of {counted(self.n_scored, 'scored case')}: {means}")
            lines.append(self.scale)
        return [*lines, *self._rest()]

    def _rest(self) -> list[str]:
        more = len(self.problems) - SHOWN
        return [
            *self.problems[:SHOWN],
            *([f"and {counted(more, 'further reason')}"] if more > 0 else []),
            *([self.unknown_labels] if self.unknown_labels else []),
        ]

    def html(self) -> str:
        """Return the overview as HTML: counts, a table of means, failed and invalid cases."""
        first = self.lines()[0]
        table = ""
        if self.means:
            head = "".join(f"<th>{name}</th>" for name, _ in self.means)
            row = "".join(f"<td>{mean:.4f}</td>" for _, mean in self.means)
            table = (
                f"<table><thead><tr><th>scored cases</th>{head}</tr></thead>"
                f"<tbody><tr><td>{self.n_scored}</td>{row}</tr></tbody></table>"
                f"<p>{escape(self.scale)}</p>"
            )
        items = "".join(f"<li>{escape(line)}</li>" for line in self._rest())
        return f"<p>{escape(first)}</p>{table}" + (f"<ul>{items}</ul>" if items else "")


def problem_lines(cases: Sequence[CaseResult]) -> list[str]:
    """Return a line for each reason of failed and invalid cases, with the cases that have it."""
    names: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        if case.status != "ok":
            names.setdefault((case.status, first_line(case.reason)), []).append(case.case)
    return [_problem_line(status, reason, same) for (status, reason), same in names.items()]


def _problem_line(status: str, reason: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{status}: {names[0]}: {reason}"
    shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
    return f"{status}: {counted(len(names), 'case')}: {reason}: {shown}"


def first_line(reason: str | None) -> str:
    """Return the first line of a reason, not too long; run.log has all of it."""
    line, _, rest = (reason or "").partition("\n")
    short = line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"
    return f"{short} (all of it in run.log)" if rest or short != line else line


def common_failure(cases: Sequence[CaseResult]) -> str | None:
    """Return why all cases failed, if all did for one reason, in whichever step."""
    if not cases or any(case.status != "failed" for case in cases):
        return None
    reasons = {re.sub(r"^step \d+: ", "", first_line(case.reason)) for case in cases}
    return reasons.pop() if len(reasons) == 1 else None


def unknown_labels_text(name: str, cases: Sequence[CaseResult]) -> str:
    """Return which labels a model returned that the cases do not have; empty if none."""
    found = [{label for step in case.steps for label in step.unknown_labels} for case in cases]
    labels = sorted(set().union(*found))
    if not labels:
        return ""
    shown = ", ".join(map(str, labels[:SHOWN_LABELS]))
    shown += ", ..." if len(labels) > SHOWN_LABELS else ""
    noun, they = ("a label", "it counts") if len(labels) == 1 else ("labels", "they count")
    n_cases = sum(map(bool, found))
    return (
        f"{name} returned {noun} that the case does not have: {shown} (in "
        f"{counted(n_cases, 'case')}); {they} as wrong voxels where the case has a label"
    )


def left_to_others_text(names: Sequence[str]) -> str:
    """Return how many cases other runners have."""
    return f"{counted(len(names), 'case')} {are(len(names))} left to another runner"


def scale_text(settings: Settings, *, gated: bool) -> str:
    """Return the maximum of AUC and, if it has set an NSD to 0, the gate."""
    highest = area_under_clicks([1.0] * settings.n_clicks)
    gate = f"; NSD counts only in steps whose mean DSC is above {settings.nsd_gate:g}"
    return f"AUC: at most {highest:g}{gate if gated else ''}"


def is_gated(dsc: float, nsd: float, settings: Settings) -> bool:
    """Whether the gate has set the mean NSD of a step to 0 although its mean DSC is not 0."""
    return nsd == 0 < dsc <= settings.nsd_gate


def _has_gated_step(case: CaseResult, settings: Settings) -> bool:
    return any(is_gated(*mean_scores(step.scores), settings) for step in case.steps if step.scores)


def _means(summaries: Sequence[CaseSummary]) -> list[tuple[str, float]]:
    if not summaries:
        return []
    return [
        (name, sum(map(measure, summaries)) / len(summaries)) for name, measure in MEASURES.items()
    ]
