"""Scores over all cases of each method, where the methods have not the same cases."""

from __future__ import annotations

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.tables.means import mean_rows, mean_scores_by, number_columns
from segbench.report.tables.table import Cell, Column, Table


def scores_over_own_cases(results: Results) -> pd.DataFrame:
    """Return the mean scores of each method over all cases that it has scored.

    ``n_common`` of the n cases are compared in the other tables.
    """
    scored = results.cases[results.cases["scored"]]
    frame = mean_scores_by([], [((), scored)], results.methods["method"])
    n_common = common_cases(results).cases["method"].value_counts()
    return frame.assign(n_common=frame["method"].map(n_common).fillna(0).astype("int64"))


def own_cases_table(results: Results) -> Table | None:
    """Return the scores of each method over its own cases, None if all cases are common."""
    frame = scores_over_own_cases(results)
    if (frame["n"] == frame["n_common"]).all():
        return None
    rows = mean_rows(results, frame, ("method",))
    counts = frame["n_common"].tolist()
    return Table(
        name="own-cases",
        title="Scores over the cases of each method",
        columns=(Column("Method"), *number_columns("n", *MEASURES.values(), "Common cases")),
        groups=(tuple((*row.cells(), Cell(n)) for row, n in zip(rows, counts, strict=True)),),
        notes=(
            "Means over all n scored cases of a method. The cases of the methods differ, so these "
            "rows cannot be compared with each other.",
        ),
    )
