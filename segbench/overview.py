"""The result of a run in a few lines: how many cases, their mean scores, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from segbench.results import CaseResult, CaseSummary, Policy

SHOWN = 5  # failed and invalid cases
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
    problems: tuple[str, ...]  # a line for each failed or invalid case

    @classmethod
    def of(cls, cases: Sequence[CaseResult], policy: Policy = Policy()) -> Overview:
        """Count cases, and take means under a policy."""
        summaries = [found for case in cases if (found := case.summary(policy)) is not None]
        statuses = [case.status for case in cases]
        return cls(
            len(summaries),
            tuple((status, statuses.count(status)) for status in ("ok", "failed", "invalid")),
            tuple(_means(summaries)),
            tuple(
                f"{case.case} {case.status}: {_first_line(case.reason or '')}"
                for case in cases
                if case.status != "ok"
            ),
        )

    def lines(self) -> list[str]:
        """Return the overview as lines of text."""
        counts = ", ".join(f"{count} {status}" for status, count in self.counts)
        lines = [f"{_cases(sum(count for _, count in self.counts))}: {counts}"]
        if self.means:
            means = ", ".join(f"{name} {mean:.4f}" for name, mean in self.means)
            lines.append(f"means of {_cases(self.n_scored, 'scored ')}: {means}")
        lines += self.problems[:SHOWN]
        if len(self.problems) > SHOWN:
            lines.append(f"and {len(self.problems) - SHOWN} more")
        return lines

    def html(self) -> str:
        """Return the overview as HTML: counts, a table of means, failed and invalid cases."""
        first, *rest = self.lines()
        problems = rest[1:] if self.means else rest
        table = ""
        if self.means:
            head = "".join(f"<th>{name}</th>" for name, _ in self.means)
            row = "".join(f"<td>{mean:.4f}</td>" for _, mean in self.means)
            table = (
                f"<table><thead><tr><th>scored cases</th>{head}</tr></thead>"
                f"<tbody><tr><td>{self.n_scored}</td>{row}</tr></tbody></table>"
            )
        items = "".join(f"<li>{escape(line)}</li>" for line in problems)
        return f"<p>{escape(first)}</p>{table}" + (f"<ul>{items}</ul>" if items else "")


def _cases(count: int, kind: str = "") -> str:
    return f"{count} {kind}case" + ("s" if count != 1 else "")


def _first_line(reason: str) -> str:
    line = reason.partition("\n")[0]
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 1]}…"


def _means(summaries: Sequence[CaseSummary]) -> list[tuple[str, float]]:
    if not summaries:
        return []
    return [
        (name, sum(map(measure, summaries)) / len(summaries)) for name, measure in MEASURES.items()
    ]
