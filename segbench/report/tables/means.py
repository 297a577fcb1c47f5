"""Means over cases as table rows, and the bold for the best of them (`bold_best`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean

from segbench.report.methods import CaseKey, Method, ScoredCase
from segbench.report.tables.table import Cell, Column, Row
from segbench.results import CaseSummary

Measure = Callable[[CaseSummary], float]
Means = tuple[float | None, ...]
MEASURES: dict[str, Measure] = {
    "DSC AUC": attrgetter("dsc_auc"),
    "NSD AUC": attrgetter("nsd_auc"),
    "DSC Final": attrgetter("dsc_final"),
    "NSD Final": attrgetter("nsd_final"),
}


@dataclass(frozen=True)
class MeanRow:
    """One method's means in one group of a table, before `bold_best`.

    ``n`` is the number of cases or modalities, empty if unknown; ``case_keys`` is None for
    published rows.
    """

    keys: tuple[Cell, ...]
    n: Cell
    means: Means
    case_keys: frozenset[CaseKey] | None = None
    ranked: bool = False

    def cells(self, bold: Sequence[bool] = ()) -> Row:
        """Return the cells of the table row: keys, n, means."""
        flags = bold or (False,) * len(self.means)
        means = (Cell(value, bold=flag) for value, flag in zip(self.means, flags, strict=True))
        return (*self.keys, self.n, *means)


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, exactly summed and so independent of the order; None for no values."""
    return fmean(values) if values else None


def means_of(cases: Sequence[ScoredCase], measures: Sequence[str] = tuple(MEASURES)) -> Means:
    """Return the mean of each measure over cases."""
    return tuple(mean([MEASURES[name](case.summary) for case in cases]) for name in measures)


def mean_of_means(parts: Sequence[Means], n_measures: int = len(MEASURES)) -> Means:
    """Return the unweighted mean over parts, such as the modalities, for each measure."""
    columns: Sequence[Means] = list(zip(*parts, strict=True)) or [()] * n_measures
    return tuple(mean([value for value in column if value is not None]) for column in columns)


def mean_row(
    method: Method,
    keys: Sequence[str],
    cases: Sequence[ScoredCase],
    measures: Sequence[str] = tuple(MEASURES),
) -> MeanRow:
    """Return a method's means over some of its cases."""
    key_cells = tuple(map(Cell, keys))
    case_keys = frozenset(case.key for case in cases)
    return MeanRow(key_cells, Cell(len(cases)), means_of(cases, measures), case_keys, method.ranked)


def comparable(rows: Sequence[MeanRow]) -> bool:
    """Whether there can be a best: at least two ranked rows, all over the same cases."""
    ranked = [row for row in rows if row.ranked]
    return len(ranked) > 1 and len({row.case_keys for row in ranked}) == 1


def bold_best(rows: Sequence[MeanRow]) -> tuple[Row, ...]:
    """Return table rows with the best ranked mean of each column in bold.

    Means that are equal as printed are all bold. Nothing is bold if the rows are not comparable.
    """
    if not comparable(rows):
        return tuple(row.cells() for row in rows)
    columns = zip(*(row.means for row in rows if row.ranked), strict=True)
    best = [_best_text(column) for column in columns]
    return tuple(row.cells(_equals_best(row, best)) for row in rows)


def _best_text(column: Means) -> str | None:
    known = [value for value in column if value is not None]
    return Cell(max(known)).text if known else None


def _equals_best(row: MeanRow, best: Sequence[str | None]) -> list[bool]:
    pairs = zip(row.means, best, strict=True)
    return [row.ranked and Cell(value).text == text for value, text in pairs]


def number_columns(*titles: str) -> tuple[Column, ...]:
    """Return right-aligned columns."""
    return tuple(Column(title, "r") for title in titles)
