"""Means over cases as frames and as table rows.

A frame of means may have further columns for each measure, such as ``dsc_auc``: ``dsc_auc_low`` and
``dsc_auc_high``, an interval, and ``dsc_auc_mark``, how the mean is printed (``uncertainty``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from segbench.report.comparison import display_names
from segbench.report.frames import MEASURES, Results
from segbench.report.published import PUBLISHED_MARK, PublishedRow
from segbench.report.tables.table import Cell, Column, Row

Keys = tuple[Any, ...]
Curve = list[dict[Any, Any]]  # the rows of one method, from the box to the last click
MEAN_OVER_MODALITIES = "Mean over modalities"  # its n is a number of modalities
BOLD, UNDERLINE = "bold", "underline"
PUBLISHED_DECIMALS = 4


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
    """A row of means in parts; ``n`` is empty in published rows."""

    keys: tuple[Cell, ...]
    n: Cell
    means: tuple[Cell, ...]

    @property
    def cells(self) -> Row:
        """The cells of the table row: keys, n, means."""
        return (*self.keys, self.n, *self.means)


def mean_rows(
    results: Results,
    frame: pd.DataFrame,
    keys: Sequence[str],
    measures: Iterable[str] = MEASURES,
    *,
    decimals: int = 4,
) -> list[MeanRow]:
    """Return the rows of a frame of means, each method under the name that tables show."""
    measures = list(measures)
    printed = frame.assign(method=frame["method"].map(display_names(results)))
    return [
        MeanRow(
            tuple(Cell(row[key]) for key in keys),
            count_cell(row),
            tuple(mean_cell(row, measure, decimals) for measure in measures),
        )
        for row in printed.to_dict("records")
    ]


def mean_cell(row: Mapping[Any, Any], measure: str, decimals: int) -> Cell:
    """Return the cell of a mean: with its interval and mark, if the row has them."""
    value = known(row[measure])
    if value is None:
        return Cell(None)
    low, high = (row.get(f"{measure}_{bound}", math.nan) for bound in ("low", "high"))
    mark = row.get(f"{measure}_mark")
    return Cell(
        value,
        digits=decimals,
        bold=mark == BOLD,
        underline=mark == UNDERLINE,
        interval=None if math.isnan(low) else (low, high),
    )


def count_cell(row: Mapping[Any, Any]) -> Cell:
    """Return the cell of n: of cases, or of modalities for a mean over them."""
    n = row["n"]
    if row.get("modality") != MEAN_OVER_MODALITIES:
        return Cell(n)
    return Cell(n, suffix=" modality" if n == 1 else " modalities")


def curves_by(frame: pd.DataFrame, keys: Sequence[str]) -> dict[Keys, Curve]:
    """Return the rows of a frame of means that have equal keys, by these, in the frame's order."""
    curves: dict[Keys, Curve] = {}
    for row in frame.to_dict("records"):
        curves.setdefault(tuple(row[key] for key in keys), []).append(row)
    return curves


def curve_cells(curve: Curve, measure: str, decimals: int = 4) -> Row:
    """Return the cells of one method's curve: n, n at the box, and the mean in each row.

    The first row of ``curve`` is the mean at the box, over the cases with boxes only.
    """
    counts = count_cell(curve[1]), count_cell(curve[0])
    return (*counts, *(mean_cell(row, measure, decimals) for row in curve))


def published_method(row: PublishedRow) -> Cell:
    """Return the cell of a published method, with the mark of published rows."""
    return Cell(row.method, suffix=f" {PUBLISHED_MARK}")


def published_cells(means: Iterable[float], decimals: int) -> Row:
    """Return the cells of published means, which have four decimals in the paper."""
    return tuple(Cell(mean, digits=min(decimals, PUBLISHED_DECIMALS)) for mean in means)


def known(value: float) -> float | None:
    """Return a number, None for NaN: tables print a dash."""
    return None if math.isnan(value) else float(value)


def number_columns(*titles: str, intervals: bool = False) -> tuple[Column, ...]:
    """Return right-aligned columns."""
    return tuple(Column(title, "r", intervals=intervals) for title in titles)
