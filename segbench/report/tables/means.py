"""Means over cases as frames and as table rows, and the bold for the best of them (`bold_best`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from segbench.report.comparison import display_names
from segbench.report.frames import MEASURES, Results
from segbench.report.tables.table import Cell, Column, Row

Keys = tuple[Any, ...]


def mean(values: Iterable[float]) -> float:
    """Return the mean, exactly summed and so independent of the order; NaN for no values."""
    numbers = list(map(float, values))
    return fmean(numbers) if numbers else math.nan


def mean_scores_by(
    keys: Sequence[str],
    groups: Iterable[tuple[Keys, pd.DataFrame]],
    methods: Iterable[str],
    measures: Iterable[str] = MEASURES,
) -> pd.DataFrame:
    """Return one row per group and method: the keys, n and the means over the group's rows.

    A method without a row in a group has n 0 and NaN.
    """
    methods, measures = list(methods), list(measures)
    rows = []
    for values, group in groups:
        rows_of = group.groupby("method").indices
        columns = [group[name].to_numpy() for name in measures]
        for method in methods:
            own = rows_of.get(method, np.empty(0, dtype=np.intp))
            rows.append((*values, method, len(own), *(mean(column[own]) for column in columns)))
    frame = pd.DataFrame(rows, columns=[*keys, "method", "n", *measures])
    return frame.astype({"n": "int64", **dict.fromkeys(measures, "float64")})


@dataclass(frozen=True)
class MeanRow:
    """A row of means before `bold_best`; ``n`` is empty in published rows."""

    keys: tuple[Cell, ...]
    n: Cell
    means: tuple[float | None, ...]
    ranked: bool = False

    def cells(self, bold: Sequence[bool] = ()) -> Row:
        """Return the cells of the table row: keys, n, means."""
        flags = bold or (False,) * len(self.means)
        means = (Cell(value, bold=flag) for value, flag in zip(self.means, flags, strict=True))
        return (*self.keys, self.n, *means)


def mean_rows(
    results: Results, frame: pd.DataFrame, keys: Sequence[str], measures: Iterable[str] = MEASURES
) -> list[MeanRow]:
    """Return the rows of a frame of means, each method under the name that tables show."""
    ranked = dict(zip(results.methods["method"], results.methods["ranked"], strict=True))
    printed = frame.assign(method=frame["method"].map(display_names(results)))
    columns = (printed[list(names)].itertuples(index=False) for names in (keys, measures))
    return [
        MeanRow(tuple(map(Cell, row_keys)), Cell(n), tuple(map(known, means)), ranked[method])
        for row_keys, means, n, method in zip(
            *columns, frame["n"].tolist(), frame["method"], strict=True
        )
    ]


def curve_cells(curve: pd.DataFrame, measure: str, digits: int = 4) -> Row:
    """Return the cells of one method's curve: n, n at the box, and the mean in each row.

    The first row of ``curve`` is the mean at the box, over the cases with boxes only.
    """
    n_box, n, *_ = curve["n"].tolist()
    return (Cell(n), Cell(n_box), *(Cell(known(mean), digits=digits) for mean in curve[measure]))


def known(value: float) -> float | None:
    """Return a number, None for NaN: tables print a dash."""
    return None if math.isnan(value) else float(value)


def comparable(rows: Sequence[MeanRow]) -> bool:
    """Whether there can be a best: at least two ranked rows that are means of something."""
    return sum(row.ranked and bool(row.n.value) for row in rows) > 1


def bold_best(rows: Sequence[MeanRow]) -> tuple[Row, ...]:
    """Return table rows with the best ranked mean of each column in bold.

    Means that are equal as printed are all bold. Nothing is bold if the rows are not comparable.
    """
    if not comparable(rows):
        return tuple(row.cells() for row in rows)
    columns = zip(*(row.means for row in rows if row.ranked), strict=True)
    best = [_best_text(column) for column in columns]
    return tuple(row.cells(_equals_best(row, best)) for row in rows)


def _best_text(column: Sequence[float | None]) -> str | None:
    values = [value for value in column if value is not None]
    return Cell(max(values)).text if values else None


def _equals_best(row: MeanRow, best: Sequence[str | None]) -> list[bool]:
    pairs = zip(row.means, best, strict=True)
    return [row.ranked and Cell(value).text == text for value, text in pairs]


def number_columns(*titles: str) -> tuple[Column, ...]:
    """Return right-aligned columns."""
    return tuple(Column(title, "r") for title in titles)
