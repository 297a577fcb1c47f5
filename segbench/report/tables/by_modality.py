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
from segbench.report.published import OVERALL, PUBLISHED_MARK, PublishedRow, PublishedTable
from segbench.report.tables.means import (
    MeanRow,
    bold_best,
    comparable,
    mean_rows,
    mean_scores_by,
    number_columns,
)
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Cell, Column, Table

MEAN_OVER_MODALITIES = "Mean over modalities"
MEAN_OVER_CASES = "Mean over all cases"
_MEANS = (MEAN_OVER_MODALITIES, MEAN_OVER_CASES)
TITLES = {
    "table3": "Scores by modality and method",
    "table5": "Scores by modality and method, next to the challenge's test set",
}


def scores_by_modality(results: Results) -> pd.DataFrame:
    """Return the mean scores by modality and method, over the common cases.

    The last modalities are "Mean over modalities", whose n is a number of modalities, and
    "Mean over all cases".
    """
    cases, methods = common_cases(results).cases, results.methods["method"]
    codes = TABLE_3_STYLE.sort(cases["modality"])
    by_code = (((code,), cases[cases["modality"] == code]) for code in codes)
    by_modality = mean_scores_by(["modality"], by_code, methods)
    of_modalities = by_modality[by_modality["n"] > 0]
    means = [((MEAN_OVER_MODALITIES,), of_modalities), ((MEAN_OVER_CASES,), cases)]
    return pd.concat([by_modality, mean_scores_by(["modality"], means, methods)], ignore_index=True)


def table_by_modality(
    results: Results,
    *,
    published: PublishedTable | None = None,
    name: str = "table3",
    style: ModalityStyle = TABLE_3_STYLE,
) -> Table:
    """Return modality x method, with the best run in bold; published rows are never bold."""
    rows = mean_rows(results, scores_by_modality(results), ("modality", "method"))
    by_key = {key: list(group) for key, group in groupby(rows, lambda row: row.keys[0].value)}
    codes = style.sort(key for key in by_key if key not in _MEANS)
    groups = [
        _titled(style.display_name(key), [*by_key[key], *_published_rows(published, key, codes)])
        for key in (*codes, *_MEANS)
    ]
    return Table(
        name=name,
        title=TITLES[name],
        columns=(Column("Modality"), Column("Method"), *number_columns("n", *MEASURES.values())),
        groups=tuple(map(bold_best, groups)),
        notes=(
            f"In the layout of the paper's Table {name[-1]}. Means over n cases. AUC: area under "
            "the score over the clicks, without the box. Final: after the last click.",
            *_best_notes(groups),
            *common_notes(results),
            *([published.note] if published else []),
        ),
    )


def _titled(title: str, rows: Iterable[MeanRow]) -> list[MeanRow]:
    count = _modality_count if title == MEAN_OVER_MODALITIES else (lambda n: n)
    return [replace(row, keys=(Cell(title), *row.keys[1:]), n=count(row.n)) for row in rows]


def _modality_count(n: Cell) -> Cell:
    return replace(n, suffix=" modality" if n.value == 1 else " modalities")


def _published_rows(
    published: PublishedTable | None, key: str, codes: Sequence[str]
) -> list[MeanRow]:
    if published is None:
        return []
    if key == MEAN_OVER_MODALITIES:
        return _published_means([row for row in published.rows if row.modality in codes])
    code = OVERALL if key == MEAN_OVER_CASES else key
    return [_published_row([row], Cell(None)) for row in published.rows if row.modality == code]


def _published_means(rows: Sequence[PublishedRow]) -> list[MeanRow]:
    by_method: dict[str, list[PublishedRow]] = {}
    for row in rows:
        by_method.setdefault(row.method, []).append(row)
    return [_published_row(own, Cell(len(own))) for own in by_method.values()]


def _published_row(rows: Sequence[PublishedRow], n: Cell) -> MeanRow:
    method = Cell(rows[0].method, suffix=f" {PUBLISHED_MARK}")
    means = (fmean(row.means[name] for row in rows) for name in MEASURES.values())
    return MeanRow((Cell(None), method), n, tuple(means))


def _best_notes(groups: Iterable[Sequence[MeanRow]]) -> list[str]:
    if not any(map(comparable, groups)):
        return []
    return ["Bold: the best ranked run of each group; runs equal as printed are all bold."]
