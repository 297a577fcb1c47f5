"""A table as data; ``render`` formats it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Value = str | int | float | None

ABSENT = "–"
BOUND_DIGITS = 3  # at most: the fourth decimal of a bound changes with the seed


@dataclass(frozen=True)
class Column:
    """A column; ``align`` is l (left), r (right) or p (text that may wrap).

    If ``intervals`` is set, CSV has two further columns for the bounds.
    """

    title: str
    align: str = "l"
    intervals: bool = False


@dataclass(frozen=True)
class Cell:
    """A value and its format; CSV has the value and the interval only, floats exactly."""

    value: Value
    bold: bool = False
    suffix: str = ""  # a unit or footnote sign, printed after the value
    digits: int = 4
    underline: bool = False
    interval: tuple[float, float] | None = None
    probability: bool = False  # one that would be printed as 0 is printed as <0.0001

    @property
    def text(self) -> str:
        """The printed value, followed by the interval if there is one."""
        return " ".join(filter(None, (self.value_text, self.interval_text)))

    @property
    def value_text(self) -> str:
        """The value: a rounded float, a dash for a missing value."""
        if self.value is None:
            return ABSENT
        if isinstance(self.value, float):
            if self.probability and self.value < 0.5 * 10**-self.digits:
                return f"<{10**-self.digits:.{self.digits}f}{self.suffix}"
            return f"{self.value:.{self.digits}f}{self.suffix}"
        return f"{self.value}{self.suffix}"

    @property
    def interval_text(self) -> str:
        """The interval in brackets, empty without one."""
        if self.interval is None:
            return ""
        low, high = (f"{bound:.{min(self.digits, BOUND_DIGITS)}f}" for bound in self.interval)
        return f"[{low}, {high}]"


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows in groups, with a rule between two groups, and notes below them.

    The first ``n_keys`` columns identify a row. A key equal to that of the row above is printed
    only in CSV.
    """

    name: str  # the stem of its file names
    title: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[Row, ...], ...]
    n_keys: int = 1
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all groups."""
        return tuple(row for group in self.groups for row in group)

    def printed_groups(self) -> Iterator[list[Row]]:
        """Yield the groups with blanks for repeated keys."""
        for group in self.groups:
            above: tuple[Row | None, ...] = (None, *group)
            yield [self._without_repeats(*pair) for pair in zip(group, above, strict=False)]

    def _without_repeats(self, row: Row, above: Row | None) -> Row:
        n_same = 0
        while above and n_same < self.n_keys and row[n_same].value == above[n_same].value:
            n_same += 1
        return (Cell(""),) * n_same + row[n_same:]
