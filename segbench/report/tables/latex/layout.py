"""How a table fits on pages of LaTeX: its font, upright or turned, its parts.

The limits are those of the smallest usual page, so one file fits in every class. All lengths are
in pt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from segbench.report.tables.latex.columns import Font, fit_columns
from segbench.report.tables.latex.rows import (
    RULE,
    Part,
    Source,
    headed_source,
    plain_source,
    split_rows,
)
from segbench.report.tables.latex.text import count_lines
from segbench.report.tables.table import Cell, Row, Table

COLUMN_WIDTH = 215.0  # of one of two columns
TEXT_WIDTH = 341.0  # article in one column has 345
TEXT_HEIGHT = 535.0  # llncs has 549
CAPTION_SPACE, CAPTION_EM, CAPTION_LEADING = 20.0, 10.0, 12.0
NOTE_SIZE, NOTE_EM, NOTE_LEADING = 7, 7.98, 8.4
MAX_NOTES = 0.6  # of the page; longer notes are text below the float
MAX_CHARACTERS = 400  # of a cell, so that a row is not higher than a page

SMALLEST = Font(6, gap=3.0, stacked=True)
FONTS = (  # of equal size; a table has headings before it has a smaller size
    (Font(8, gap=5.0, stacked=False), Font(8, gap=4.0, stacked=True)),
    (Font(7, gap=4.0, stacked=True), Font(7, gap=3.0, stacked=True)),
    (SMALLEST,),
)


@dataclass(frozen=True)
class Layout:
    """A table's parts; the notes are below the last, or in the text if they are long."""

    turned: bool
    parts: tuple[Part, ...]
    notes_in_text: bool

    @property
    def cost(self) -> float:
        """The number of pages; pages that are harder to read cost more."""
        room = _page(self.turned)[0] + 0.1
        n_too_wide = sum(part.chunk.width > room for part in self.parts)
        drawbacks = {
            1.5: self.turned,
            1.8: self.parts[0].font == SMALLEST,
            1.3: self.parts[0].chunk != self.parts[-1].chunk,  # the columns are split
        }
        penalty = prod(factor for factor, applies in drawbacks.items() if applies)
        return len(self.parts) * penalty + 1000 * n_too_wide


def lay_out(table: Table) -> Layout:
    """Return the layout of a table that needs the fewest pages, upright and large if possible."""
    plain = plain_source(replace(table, groups=tuple(map(_cut_cells, table.groups))))
    headed = headed_source(plain)
    sources = (plain, headed) if headed else (plain,)
    layouts: list[Layout] = []
    for turned, fonts, source in product((False, True), FONTS, sources):
        layouts.extend(_layout(source, font, turned) for font in fonts)
        if any(layout.cost == 1 for layout in layouts):
            break
    return min(layouts, key=lambda layout: layout.cost)


def _page(turned: bool) -> tuple[float, float]:
    """Return width and height."""
    return (TEXT_HEIGHT, TEXT_WIDTH) if turned else (TEXT_WIDTH, TEXT_HEIGHT)


def _cut_cells(group: Sequence[Row]) -> tuple[Row, ...]:
    return tuple(tuple(map(_cut_cell, row)) for row in group)


def _cut_cell(cell: Cell) -> Cell:
    if isinstance(cell.value, str) and len(cell.value) > MAX_CHARACTERS:
        return replace(cell, value=cell.value[:MAX_CHARACTERS] + "…")
    return cell


def _layout(source: Source, font: Font, turned: bool) -> Layout:
    width, height = _page(turned)
    chunks = fit_columns(source.table, source.widths, font, width)
    room = height - _caption_height(source.table, chunks[0].width)
    notes = _notes_height(source.table, chunks[-1].width)
    in_text = notes > MAX_NOTES * room
    below = [0.0] * (len(chunks) - 1) + [0.0 if in_text else notes]
    parts = (
        split_rows(source, chunk, font, room=room, notes=notes)
        for chunk, notes in zip(chunks, below, strict=True)
    )
    return Layout(turned, tuple(sum(parts, [])), in_text)


def _caption_height(table: Table, width: float) -> float:
    """Return the height of the caption and of the line that says on which part the notes are."""
    text = f"Table 10: {table.title}, part 1 of 9"
    width = COLUMN_WIDTH if width <= COLUMN_WIDTH else TEXT_WIDTH
    return CAPTION_SPACE + CAPTION_LEADING * count_lines(text, width / CAPTION_EM) + NOTE_LEADING


def _notes_height(table: Table, width: float) -> float:
    room = max(width, COLUMN_WIDTH) / NOTE_EM
    return RULE + NOTE_LEADING * sum(count_lines(note, room) for note in table.notes)
