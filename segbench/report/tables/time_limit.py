"""Scores without and with the time limit."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.report.methods import Method
from segbench.report.tables.means import MEASURES, mean_row, number_columns
from segbench.report.tables.notes import case_difference_notes, coverage_notes
from segbench.report.tables.table import Cell, Column, Row, Table
from segbench.results import Policy


def time_limit_table(methods: Sequence[Method]) -> Table | None:
    """Return the scores without and with the time limit, None if no case is above it."""
    if not any(method.n_over_time for method in methods):
        return None
    limit = methods[0].time_limit
    return Table(
        name="time-limit",
        title="Scores without and with the time limit",
        columns=(
            *(Column("Method"), Column("Scores")),
            *number_columns("n", *MEASURES, "Cases above the limit"),
        ),
        groups=tuple((_row(method, None), _row(method, limit)) for method in methods),
        notes=(
            f"Means over n cases. Raw: without the limit. Limited: a case above {limit:g} s per "
            "label in total scores 0 at every step.",
            *coverage_notes(methods),
            *case_difference_notes(methods),
        ),
    )


def _row(method: Method, limit: float | None) -> Row:
    keys = (method.display_name, "raw" if limit is None else "limited")
    cases = method.with_policy(Policy(method.policy.failures, limit)).scored_cases
    return (*mean_row(method, keys, cases).cells(), Cell(method.n_over_time))
