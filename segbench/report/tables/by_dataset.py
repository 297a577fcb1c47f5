"""Scores by dataset: a dataset with several modalities has a group for each."""

from __future__ import annotations

from itertools import groupby

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.modalities import NOT_STATED, TABLE_3_STYLE
from segbench.report.resampling import Resampling
from segbench.report.tables.means import mean_rows, mean_scores_by, number_columns
from segbench.report.tables.notes import common_notes, score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.table import Column, Table
from segbench.report.tables.uncertainty import (
    Split,
    uncertainty_notes,
    with_intervals,
    with_marks,
)

_KEYS = ("modality", "dataset")
_SPLITS = (Split(_KEYS),)


def scores_by_dataset(results: Results, resampling: Resampling | None = None) -> pd.DataFrame:
    """Return the mean scores by modality, dataset and method, over the common cases.

    With a resampling there are intervals.
    """
    cases = common_cases(results).cases
    groups = [
        ((code, dataset), group)
        for code in TABLE_3_STYLE.sort(cases["modality"])
        for dataset, group in cases[cases["modality"] == code].groupby("dataset")
    ]
    frame = mean_scores_by(_KEYS, groups, results.methods["method"])
    return with_intervals(frame, cases, _SPLITS, resampling)


def table_by_dataset(results: Results, *, options: TableOptions = TableOptions()) -> Table | None:
    """Return modality and dataset x method, None if no case has a dataset."""
    means = scores_by_dataset(results, options.interval_resampling)
    if not means["dataset"].any():
        return None
    frame = with_marks(means, common_cases(results).cases, _SPLITS, options)
    printed = frame.assign(
        modality=frame["modality"].map(TABLE_3_STYLE.display_name),
        dataset=frame["dataset"].replace("", NOT_STATED),
    )
    rows = mean_rows(results, printed, (*_KEYS, "method"), decimals=options.decimals)
    groups = (list(group) for _, group in groupby(rows, lambda row: row.keys[:2]))
    return Table(
        name="datasets",
        title="Scores by dataset",
        columns=(
            *(Column("Modality"), Column("Dataset"), Column("Method")),
            *number_columns("n"),
            *number_columns(*MEASURES.values(), intervals=options.intervals),
        ),
        groups=tuple(tuple(row.cells for row in group) for group in groups),
        n_keys=2,
        notes=(
            "Means over n cases of a dataset.",
            *uncertainty_notes(results, options),
            score_note(results),
            *common_notes(results),
        ),
    )
