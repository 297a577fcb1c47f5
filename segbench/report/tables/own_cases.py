"""Scores over all cases of each method, where the methods have not the same cases."""

from __future__ import annotations

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.resampling import Resampling
from segbench.report.tables.means import mean_rows, mean_scores_by, number_columns
from segbench.report.tables.notes import score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.table import Cell, Column, Table
from segbench.report.tables.uncertainty import Split, with_intervals


def scores_over_own_cases(results: Results, resampling: Resampling | None = None) -> pd.DataFrame:
    """Return the mean scores of each method over all cases that it has scored.

    ``n_common`` of the n cases are compared in the other tables. With a resampling there are
    intervals.
    """
    scored = results.cases[results.cases["scored"]]
    frame = mean_scores_by([], [((), scored)], results.methods["method"])
    n_common = common_cases(results).cases["method"].value_counts()
    frame = frame.assign(n_common=frame["method"].map(n_common).fillna(0).astype("int64"))
    return with_intervals(frame, scored, (Split(),), resampling)


def own_cases_table(results: Results, *, options: TableOptions = TableOptions()) -> Table | None:
    """Return the scores of each method over its own cases, None if all cases are common."""
    frame = scores_over_own_cases(results, options.interval_resampling)
    if (frame["n"] == frame["n_common"]).all():
        return None
    rows = mean_rows(results, frame, ("method",), decimals=options.decimals)
    counts = frame["n_common"].tolist()
    return Table(
        name="own-cases",
        title="Scores over the cases of each method",
        columns=(
            Column("Method"),
            *number_columns("n"),
            *number_columns(*MEASURES.values(), intervals=options.intervals),
            *number_columns("Common cases"),
        ),
        groups=(tuple((*row.cells, Cell(n)) for row, n in zip(rows, counts, strict=True)),),
        notes=(
            "Means over all n scored cases of a method. The cases of the methods differ, so these "
            "rows cannot be compared with each other.",
            score_note(results),
        ),
    )
