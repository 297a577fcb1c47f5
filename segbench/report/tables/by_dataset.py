"""Scores by dataset: a dataset with several modalities has a group for each."""

from __future__ import annotations

from itertools import groupby

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.modalities import NOT_STATED, TABLE_3_STYLE
from segbench.report.tables.means import bold_best, mean_rows, mean_scores_by, number_columns
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Column, Table


def scores_by_dataset(results: Results) -> pd.DataFrame:
    """Return the mean scores by modality, dataset and method, over the common cases."""
    cases = common_cases(results).cases
    groups = [
        ((code, dataset), group)
        for code in TABLE_3_STYLE.sort(cases["modality"])
        for dataset, group in cases[cases["modality"] == code].groupby("dataset")
    ]
    return mean_scores_by(["modality", "dataset"], groups, results.methods["method"])


def table_by_dataset(results: Results) -> Table | None:
    """Return modality and dataset x method, None if no case has a dataset."""
    frame = scores_by_dataset(results)
    if not frame["dataset"].any():
        return None
    printed = frame.assign(
        modality=frame["modality"].map(TABLE_3_STYLE.display_name),
        dataset=frame["dataset"].replace("", NOT_STATED),
    )
    rows = mean_rows(results, printed, ("modality", "dataset", "method"))
    groups = (list(group) for _, group in groupby(rows, lambda row: row.keys[:2]))
    return Table(
        name="datasets",
        title="Scores by dataset",
        columns=(
            *(Column("Modality"), Column("Dataset"), Column("Method")),
            *number_columns("n", *MEASURES.values()),
        ),
        groups=tuple(map(bold_best, groups)),
        n_keys=2,
        notes=("Means over n cases of a dataset.", *common_notes(results)),
    )
