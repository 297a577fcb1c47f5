"""The columns of a table in LaTeX: their widths, and which fit next to each other.

Widths are estimated from the text. All lengths are in pt, widths of text alone in em.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segbench.report.tables.latex.text import break_text, text_width
from segbench.report.tables.table import Cell, Table

EM = {8: 8.5, 7: 7.98, 6: 7.37}  # by font size; relative to their size small fonts are wide
LEADING = {8: 9.5, 7: 8.4, 6: 7.3}
BOLD = 1.16  # width of bold text relative to normal text
MIN_TEXT_WIDTH = 70.0  # of a column that wraps
MAX_NAME_WIDTH = 90.0  # a longer name may wrap, too


@dataclass(frozen=True)
class Font:
    """Font size and half the gap between columns; ``stacked``: long titles have two lines."""

    size: int
    gap: float
    stacked: bool

    @property
    def em(self) -> float:
        """The width of an em."""
        return EM[self.size]

    @property
    def leading(self) -> float:
        """The distance from line to line."""
        return LEADING[self.size]


@dataclass(frozen=True)
class Chunk:
    """Columns that are next to each other, and which of them wrap their text."""

    indices: tuple[int, ...]
    widths: tuple[float, ...]
    wraps: tuple[bool, ...]
    width: float  # with the gaps

    @property
    def wrapped(self) -> tuple[float | None, ...]:
        """The width of each column that wraps, None for the others."""
        pairs = zip(self.widths, self.wraps, strict=True)
        return tuple(width if wraps else None for width, wraps in pairs)


def body_widths(table: Table) -> tuple[float, ...]:
    """Return the width in em of the widest cell of each column, without its title."""
    numbers = range(len(table.columns))
    rows = table.rows
    return tuple(max((cell_width(row[number]) for row in rows), default=0.0) for number in numbers)


def cell_width(cell: Cell) -> float:
    """Return the width of a cell in em."""
    return text_width(cell.text) * (BOLD if cell.bold else 1.0)


def title_lines(title: str, body_width: float, font: Font) -> tuple[str, ...]:
    """Return a column's title, in two lines if ``font.stacked`` and its cells are narrower."""
    pieces = [list(word) for word in break_text(title, text_width(title))]
    for word in pieces[:-1]:
        word[-1] += " "
    flat = [piece for word in pieces for piece in word]
    if not font.stacked or len(flat) < 2 or text_width(title) <= body_width:
        return (title,)
    splits = [("".join(flat[:n]).strip(), "".join(flat[n:])) for n in range(1, len(flat))]
    return min(splits, key=lambda lines: max(map(text_width, lines)))


def fit_columns(table: Table, widths: Sequence[float], font: Font, room: float) -> list[Chunk]:
    """Return the columns in as few chunks as fit in ``room``; every chunk begins with the keys.

    A chunk is wider than ``room`` only if one column and the keys are. ``widths`` is
    `body_widths`.
    """
    natural = _natural_widths(table, widths, font)
    floors = list(map(_floor, (column.align for column in table.columns), natural))
    n_keys = min(count_keys(table), len(floors) - 1)
    sizes = [floor + 2 * font.gap for floor in floors]
    free = room + 2 * font.gap - sum(sizes[:n_keys])
    return [
        _chunk(
            [*range(n_keys), *(n_keys + number for number in part)],
            list(zip(floors, natural, strict=True)),
            font.gap,
            room,
        )
        for part in split_evenly(sizes[n_keys:], free)
    ]


def count_keys(table: Table) -> int:
    """Return the number of first columns that name a row: keys, and names such as the method."""
    aligns = "".join(column.align for column in table.columns)
    return max(table.n_keys, len(aligns) - len(aligns.lstrip("l")))


def _natural_widths(table: Table, widths: Sequence[float], font: Font) -> list[float]:
    return [
        font.em * max(width, *map(text_width, title_lines(column.title, width, font)))
        for column, width in zip(table.columns, widths, strict=True)
    ]


def _floor(align: str, natural: float) -> float:
    return min(natural, {"p": MIN_TEXT_WIDTH, "l": MAX_NAME_WIDTH}.get(align, natural))


def _chunk(
    indices: Sequence[int], limits: Sequence[tuple[float, float]], gap: float, room: float
) -> Chunk:
    """Return a chunk; the columns share the room left by their smallest widths."""
    low, high = zip(*(limits[index] for index in indices), strict=True)
    gaps = 2 * gap * (len(indices) - 1)
    spare, wanted = max(0.0, room - gaps - sum(low)), sum(high) - sum(low)
    share = min(1.0, spare / wanted) if wanted else 1.0
    widths = [least + share * (most - least) for least, most in zip(low, high, strict=True)]
    wraps = (width < most - 0.01 for width, most in zip(widths, high, strict=True))
    return Chunk(tuple(indices), tuple(widths), tuple(wraps), sum(widths) + gaps)


def split_evenly(sizes: Sequence[float], room: float) -> list[range]:
    """Return consecutive parts that fit in ``room``, as few and as equal as possible.

    A size above ``room`` is a part of its own.
    """
    parts = _fill(sizes, room)
    low, high = 0.0, room
    for _ in range(10):
        middle = (low + high) / 2
        tighter = _fill(sizes, middle)
        if len(tighter) == len(parts):
            parts, high = tighter, middle
        else:
            low = middle
    return parts


def _fill(sizes: Sequence[float], room: float) -> list[range]:
    starts, used = [0], 0.0
    for index, size in enumerate(sizes):
        used += size
        if used > room and index > starts[-1]:
            starts.append(index)
            used = size
    return [range(*pair) for pair in zip(starts, [*starts[1:], len(sizes)], strict=True)]
