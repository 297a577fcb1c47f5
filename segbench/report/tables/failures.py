"""Failed steps and invalid cases, with their reasons."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.report.methods import Method
from segbench.report.tables.table import Cell, Column, Row, Table, Value
from segbench.results import CaseResult

MAX_FAILURES = 20  # per method; the case files have all of them
MAX_REASON_LENGTH = 160


def failures_table(methods: Sequence[Method]) -> Table | None:
    """Return failed steps and invalid cases with their reasons, None if there are none."""
    groups = tuple(rows for method in methods if (rows := _method_rows(method)))
    if not groups:
        return None
    return Table(
        name="failures",
        title="Failed steps and invalid cases",
        columns=(Column("Method"), Column("Case", "p"), Column("Step"), Column("Reason", "p")),
        groups=groups,
        n_keys=2,
    )


def _method_rows(method: Method) -> tuple[Row, ...]:
    rows = [row for case in method.case_results for row in _case_rows(method.display_name, case)]
    if len(rows) > MAX_FAILURES:
        more = f"+{len(rows) - MAX_FAILURES} more, in the run's case files"
        rows[MAX_FAILURES:] = [_row(method.display_name, more, None, "")]
    return tuple(rows)


def _case_rows(label: str, case: CaseResult) -> list[Row]:
    if case.status == "invalid":
        return [_row(label, case.case, "invalid", case.reason or "")]
    return [
        _row(label, case.case, step.step, step.failure)
        for step in case.steps
        if step.failure is not None
    ]


def _row(label: str, case: str, step: Value, reason: str) -> Row:
    text = " ".join(reason.split())
    short = text if len(text) <= MAX_REASON_LENGTH else text[:MAX_REASON_LENGTH] + "…"
    return tuple(map(Cell, (label, case, step, short)))
