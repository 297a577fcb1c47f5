"""The rows of a table in LaTeX: their heights, and which are on one page.

All lengths are in pt. A group is torn only if it is higher than a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, repeat

from segbench.report.tables.latex.columns import (
    BOLD,
    Chunk,
    Font,
    body_widths,
    count_keys,
    split_evenly,
    title_lines,
)
from segbench.report.tables.latex.text import count_lines
from segbench.report.tables.table import Cell, Row, Table

RULE = 5.0  # a rule and the space around it


@dataclass(frozen=True)
class Source:
    """A table, the line above each group (empty for none), and `body_widths`."""

    table: Table
    headings: tuple[str, ...]
    widths: tuple[float, ...]


@dataclass(frozen=True)
class Part:
    """One float: some columns and rows of a table."""

    table: Table
    headings: tuple[str, ...]  # the line above each group, empty for none
    titles: tuple[tuple[str, ...], ...]  # the lines of each column's title
    chunk: Chunk
    font: Font


@dataclass(frozen=True)
class _Block:
    """Rows of one group that are not torn."""

    group: int
    rows: tuple[Row, ...]
    height: float


def plain_source(table: Table) -> Source:
    """Return a table without headings."""
    return Source(table, ("",) * len(table.groups), body_widths(table))


def headed_source(plain: Source) -> Source | None:
    """Return the table with its first key as headings, None if groups have several or one row."""
    table = plain.table
    keys = [sorted({row[0].text for row in group}) for group in table.groups]
    if count_keys(table) < 2 or any(len(values) != 1 for values in keys):
        return None
    if len(table.rows) < 2 * len(keys):
        return None
    headings = tuple(_heading(table.columns[0].title, values[0]) for values in keys)
    rest = replace(_select(table, range(1, len(table.columns))), n_keys=max(table.n_keys - 1, 0))
    return Source(rest, headings, plain.widths[1:])


def _heading(title: str, value: str) -> str:
    return value if any(map(str.isalpha, value)) else f"{title}: {value}"


def _select(table: Table, indices: Sequence[int]) -> Table:
    groups = (
        tuple(tuple(row[index] for index in indices) for row in group) for group in table.groups
    )
    return replace(
        table, columns=tuple(table.columns[index] for index in indices), groups=tuple(groups)
    )


def split_rows(
    source: Source, chunk: Chunk, font: Font, *, room: float, notes: float
) -> list[Part]:
    """Return the parts of some columns of a table.

    ``room`` is the height of the tabular, ``notes`` that of the notes below the last part.
    """
    table = _select(source.table, chunk.indices)
    titles = tuple(
        title_lines(column.title, source.widths[index], font)
        for column, index in zip(table.columns, chunk.indices, strict=True)
    )
    whole = Part(table, source.headings, titles, chunk, font)
    # The heading may be repeated at the top of a page.
    room -= font.leading * (_head_lines(whole) + any(source.headings)) + 3 * RULE
    blocks = list(_blocks(whole, room - notes))
    heights = [block.height for block in blocks]
    heights[-1:] = [height + notes for height in heights[-1:]]
    headings = [source.headings[block.group] for block in blocks]
    pages = _split_at_headings(headings, heights, room) or split_evenly(heights, room)
    return [_page_of(whole, blocks[page.start : page.stop]) for page in pages]


def _split_at_headings(
    headings: Sequence[str], heights: Sequence[float], room: float
) -> list[range] | None:
    """Return pages that begin with a new heading, None if that needs more pages."""
    starts = [n for n, pair in enumerate(pairwise(["", *headings])) if pair[0] != pair[1]]
    runs = [range(*pair) for pair in pairwise([*starts, len(headings)])]
    sizes = [sum(heights[run.start : run.stop]) for run in runs]
    if not sizes or max(sizes) > room:
        return None
    pages = [runs[page.start : page.stop] for page in split_evenly(sizes, room)]
    if len(pages) > len(split_evenly(heights, room)):
        return None
    return [range(page[0].start, page[-1].stop) for page in pages]


def _page_of(whole: Part, blocks: Sequence[_Block]) -> Part:
    groups = [list(each) for _, each in groupby(blocks, lambda block: block.group)]
    rows = (tuple(row for block in group for row in block.rows) for group in groups)
    headings = tuple(whole.headings[group[0].group] for group in groups)
    return replace(whole, table=replace(whole.table, groups=tuple(rows)), headings=headings)


def _head_lines(part: Part) -> int:
    return max(
        len(lines) if width is None else count_lines(" ".join(lines), width / part.font.em)
        for lines, width in zip(part.titles, part.chunk.wrapped, strict=True)
    )


def _blocks(part: Part, last_room: float) -> Iterator[_Block]:
    """Yield each group, or its rows if it does not fit on the last page."""
    above = ""
    for number, (group, heading) in enumerate(zip(part.table.groups, part.headings, strict=True)):
        heights = [part.font.leading * _row_lines(row, part) for row in group]
        extra = RULE + (part.font.leading if heading != above else 0.0)
        above = heading
        if sum(heights) + extra <= last_room:
            yield _Block(number, group, sum(heights) + extra)
        else:
            yield from map(_Block, repeat(number), zip(group), heights)


def _row_lines(row: Row, part: Part) -> int:
    pairs = zip(row, part.chunk.wrapped, strict=True)
    rooms = ((cell, width / part.font.em) for cell, width in pairs if width is not None)
    return max((_cell_lines(*pair) for pair in rooms), default=1)


def _cell_lines(cell: Cell, room: float) -> int:
    return count_lines(cell.text, room / BOLD if cell.bold else room)
