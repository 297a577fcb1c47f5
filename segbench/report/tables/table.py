"""The one table model; ``render`` draws it in every format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Value = str | int | float | None

ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """A column; ``align`` is l or r, or p for text that may wrap."""

    title: str
    align: str = "l"


@dataclass(frozen=True)
class Cell:
    """A value and how it is printed; CSV holds the bare value, floats exactly."""

    value: Value
    bold: bool = False
    mark: str = ""  # a unit or footnote sign, printed behind the value
    digits: int = 4

    @property
    def text(self) -> str:
        """The value as people read it: floats rounded, a missing value as a dash."""
        if self.value is None:
            return ABSENT
        if isinstance(self.value, float):
            return f"{self.value:.{self.digits}f}{self.mark}"
        return f"{self.value}{self.mark}"


Row = tuple[Cell, ...]


@dataclass(frozen=True)
class Table:
    """Rows in groups (a rule is drawn between two groups), and what must be said below them.

    The first ``keys`` columns name a row; a key equal to that of the row above is not printed
    again, except in CSV.
    """

    name: str  # the stem of its files
    title: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[Row, ...], ...]
    keys: int = 1
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, whatever group they are in."""
        return tuple(row for group in self.groups for row in group)

    def printed_groups(self) -> Iterator[list[Row]]:
        """Yield the groups with repeated keys blanked."""
        for group in self.groups:
            above: tuple[Row | None, ...] = (None, *group)
            yield [
                self._without_repeats(row, last) for row, last in zip(group, above, strict=False)
            ]

    def _without_repeats(self, row: Row, above: Row | None) -> Row:
        same = 0
        while above and same < self.keys and row[same].value == above[same].value:
            same += 1
        return (Cell(""),) * same + row[same:]
