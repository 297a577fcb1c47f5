"""Scores without and with the time limit."""

from __future__ import annotations

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.tables.means import mean_rows, mean_scores_by, number_columns
from segbench.report.tables.notes import case_difference_notes, coverage_notes, score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.table import Cell, Column, Table
from segbench.results import Policy


def scores_with_time_limit(results: Results) -> pd.DataFrame:
    """Return the mean scores by method without ("raw") and with ("limited") the time limit.

    The limit is the policy's, or the protocol's if that has none; the means are over the common
    cases, of which ``n_over_time`` are above the limit.
    """
    limits = {"raw": None, "limited": float(results.methods["seconds_per_label"].iloc[0])}
    cases = {
        scores: common_cases(results.with_policy(Policy(results.policy.failures, limit))).cases
        for scores, limit in limits.items()
    }
    over_time = cases["limited"].groupby("method")["over_time"].sum()
    frame = pd.concat(
        [
            mean_scores_by(
                ["scores"], (((name,), group) for name, group in cases.items()), [method]
            )
            for method in results.methods["method"]
        ],
        ignore_index=True,
    )
    n_over_time = frame["method"].map(over_time).fillna(0).astype("int64")
    return frame.assign(n_over_time=n_over_time)


def time_limit_table(results: Results, *, options: TableOptions = TableOptions()) -> Table | None:
    """Return the scores without and with the time limit, None if no case is above it."""
    if not results.cases["over_time"].any():
        return None
    frame = scores_with_time_limit(results)
    rows = [
        (*row.cells, Cell(n))
        for row, n in zip(
            mean_rows(results, frame, ("method", "scores"), decimals=options.decimals),
            frame["n_over_time"].tolist(),
            strict=True,
        )
    ]
    limit = results.methods["seconds_per_label"].iloc[0]
    return Table(
        name="time-limit",
        title="Scores without and with the time limit",
        columns=(
            *(Column("Method"), Column("Scores")),
            *number_columns("n", *MEASURES.values(), "Cases above the limit"),
        ),
        groups=tuple(zip(rows[::2], rows[1::2], strict=True)),
        notes=(
            f"Means over n cases. Raw: without the limit. Limited: a case above {limit:g} s per "
            "label in total scores 0 at every step.",
            score_note(results),
            *coverage_notes(results),
            *case_difference_notes(results),
        ),
    )
