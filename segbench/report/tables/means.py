"""Means over cases, and which of them may be called the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean

from segbench.core import CaseSummary
from segbench.report.methods import CaseKey, Method, Scored
from segbench.report.tables.table import Cell, Column, Row

Measure = Callable[[CaseSummary], float]
Means = tuple[float | None, ...]
MEASURES: dict[str, Measure] = {
    "DSC AUC": attrgetter("dsc_auc"),
    "NSD AUC": attrgetter("nsd_auc"),
    "DSC Final": attrgetter("dsc_final"),
    "NSD Final": attrgetter("nsd_final"),
}


@dataclass(frozen=True)
class Line:
    """One method's means within one group of a table, before the best are marked.

    ``n`` is what the means are over, None where that is not known; ``cases`` is None where they
    are not ours.
    """

    keys: tuple[Cell, ...]
    n: Cell
    means: Means
    cases: frozenset[CaseKey] | None = None
    ranked: bool = False

    def row(self, bold: Sequence[bool] = ()) -> Row:
        """Return the line as a table row: its keys, n, its means."""
        flags = bold or (False,) * len(self.means)
        cells = (Cell(value, bold=flag) for value, flag in zip(self.means, flags, strict=True))
        return (*self.keys, self.n, *cells)


def mean(values: Sequence[float]) -> float | None:
    """Return the exactly summed mean, the same in any order of cases; None over nothing."""
    return fmean(values) if values else None


def means_of(scored: Sequence[Scored], measures: Sequence[str] = tuple(MEASURES)) -> Means:
    """Return the mean over cases of each measure."""
    return tuple(mean([MEASURES[name](one.summary) for one in scored]) for name in measures)


def mean_of_means(parts: Sequence[Means], width: int = len(MEASURES)) -> Means:
    """Return the unweighted mean of parts, such as the modalities, measure by measure."""
    columns: Sequence[Means] = list(zip(*parts, strict=True)) or [()] * width
    return tuple(mean([value for value in column if value is not None]) for column in columns)


def line_of(method: Method, keys: Sequence[str], scored: Sequence[Scored]) -> Line:
    """Return a method's means over some of its cases."""
    cells = tuple(map(Cell, keys))
    cases = frozenset(one.key for one in scored)
    return Line(cells, Cell(len(scored)), means_of(scored), cases, method.ranked)


def comparable(lines: Sequence[Line]) -> bool:
    """Whether a best may be named: at least two ranked lines, all over the same cases."""
    ranked = [line for line in lines if line.ranked]
    return len(ranked) > 1 and len({line.cases for line in ranked}) == 1


def with_best(lines: Sequence[Line]) -> tuple[Row, ...]:
    """Return lines as rows, the best ranked mean of each column bold, ties as printed too."""
    if not comparable(lines):
        return tuple(line.row() for line in lines)
    tops = [
        _best_text(column) for column in zip(*(x.means for x in lines if x.ranked), strict=True)
    ]
    return tuple(line.row(_flags(line, tops)) for line in lines)


def _best_text(column: Means) -> str | None:
    known = [value for value in column if value is not None]
    return Cell(max(known)).text if known else None


def _flags(line: Line, tops: Sequence[str | None]) -> list[bool]:
    pairs = zip(line.means, tops, strict=True)
    return [line.ranked and Cell(value).text == top for value, top in pairs]


def numbers(*titles: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(Column(title, "r") for title in titles)
