"""The paper's Tables 3 and 5: scores by modality and method, AUC and final."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from statistics import fmean

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.modalities import TABLE_3_STYLE, ModalityStyle
from segbench.report.published import OVERALL, PublishedRow, PublishedTable
from segbench.report.resampling import Resampling
from segbench.report.tables.means import (
    MEAN_OVER_MODALITIES,
    MeanRow,
    count_cell,
    mean_rows,
    mean_scores_by,
    number_columns,
    published_cells,
    published_method,
)
from segbench.report.tables.notes import common_notes, score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.table import Cell, Column, Table
from segbench.report.tables.uncertainty import (
    Split,
    uncertainty_notes,
    with_intervals,
    with_marks,
)

MEAN_OVER_CASES = "Mean over all cases"
_MEANS = (MEAN_OVER_MODALITIES, MEAN_OVER_CASES)
_SPLITS = (
    Split(("modality",)),
    Split(totals={"macro": MEAN_OVER_MODALITIES, "micro": MEAN_OVER_CASES}),
)
TITLES = {
    "table3": "Scores by modality and method",
    "table5": "Scores by modality and method, next to the challenge's test set",
}


def scores_by_modality(results: Results, resampling: Resampling | None = None) -> pd.DataFrame:
    """Return the mean scores by modality and method, over the common cases.

    The last modalities are "Mean over modalities", whose n is a number of modalities, and
    "Mean over all cases". With a resampling there are intervals.
    """
    cases, methods = common_cases(results).cases, results.methods["method"]
    codes = TABLE_3_STYLE.sort(cases["modality"])
    by_code = (((code,), cases[cases["modality"] == code]) for code in codes)
    by_modality = mean_scores_by(["modality"], by_code, methods)
    of_modalities = by_modality[by_modality["n"] > 0]
    means = [((MEAN_OVER_MODALITIES,), of_modalities), ((MEAN_OVER_CASES,), cases)]
    totals = mean_scores_by(["modality"], means, methods)
    frame = pd.concat([by_modality, totals], ignore_index=True)
    return with_intervals(frame, cases, _SPLITS, resampling)


def table_by_modality(
    results: Results,
    *,
    published: PublishedTable | None = None,
    name: str = "table3",
    style: ModalityStyle = TABLE_3_STYLE,
    options: TableOptions = TableOptions(),
) -> Table:
    """Return modality x method; published rows have neither intervals nor marks."""
    means = scores_by_modality(results, options.interval_resampling)
    marked = with_marks(means, common_cases(results).cases, _SPLITS, options)
    rows = mean_rows(results, marked, ("modality", "method"), decimals=options.decimals)
    by_key = {key: list(group) for key, group in groupby(rows, lambda row: row.keys[0].value)}
    codes = style.sort(key for key in by_key if key not in _MEANS)
    groups = (
        _titled(
            style.display_name(key),
            [*by_key[key], *_published_rows(published, key, codes, options.decimals)],
        )
        for key in (*codes, *_MEANS)
    )
    return Table(
        name=name,
        title=TITLES[name],
        columns=(
            *(Column("Modality"), Column("Method")),
            *number_columns("n"),
            *number_columns(*MEASURES.values(), intervals=options.intervals),
        ),
        groups=tuple(tuple(row.cells for row in group) for group in groups),
        notes=(
            f"In the layout of the paper's Table {name[-1]}. Means over n cases. AUC: area under "
            "the score over the clicks, without the box. Final: after the last click.",
            *uncertainty_notes(results, options),
            score_note(results),
            *common_notes(results),
            *([published.note] if published else []),
        ),
    )


def _titled(title: str, rows: Iterable[MeanRow]) -> list[MeanRow]:
    return [replace(row, keys=(Cell(title), *row.keys[1:])) for row in rows]


def _published_rows(
    published: PublishedTable | None, key: str, codes: Sequence[str], decimals: int
) -> list[MeanRow]:
    if published is None:
        return []
    if key == MEAN_OVER_MODALITIES:
        return _published_means([row for row in published.rows if row.modality in codes], decimals)
    code = OVERALL if key == MEAN_OVER_CASES else key
    rows = (row for row in published.rows if row.modality == code)
    return [_published_row([row], Cell(None), decimals) for row in rows]


def _published_means(rows: Sequence[PublishedRow], decimals: int) -> list[MeanRow]:
    by_method: dict[str, list[PublishedRow]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    return [
        _published_row(own, count_cell({"modality": MEAN_OVER_MODALITIES, "n": len(own)}), decimals)
        for own in by_method.values()
    ]


def _published_row(rows: Sequence[PublishedRow], n: Cell, decimals: int) -> MeanRow:
    means = (fmean(row.means[name] for row in rows) for name in MEASURES.values())
    keys = Cell(None), published_method(rows[0])
    return MeanRow(keys, n, published_cells(means, decimals))
