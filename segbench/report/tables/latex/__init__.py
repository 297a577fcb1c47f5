r"""Tables as LaTeX for ``\input``: plain floats with booktabs rules, no resizing.

A fragment fits in one and in two columns: a table wider than a column is a ``table*``. A table
that does not fit has a smaller font, text columns that wrap, or is turned. One longer than a page
has numbered parts under one number, each with the head. ``text`` escapes and measures text,
``columns`` and ``rows`` divide a table, ``layout`` chooses the form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from segbench.report.tables.latex.layout import (
    COLUMN_WIDTH,
    NOTE_EM,
    NOTE_LEADING,
    NOTE_SIZE,
    Layout,
    lay_out,
)
from segbench.report.tables.latex.rows import Part
from segbench.report.tables.latex.text import break_text, escape_latex, text_width
from segbench.report.tables.table import Cell, Table

__all__ = ["escape_latex", "to_latex"]

MAX_WAITING_FLOATS = 15  # LaTeX stops if too many (before 2015: 18) wait for a page


def to_latex(table: Table) -> str:
    r"""Return a table for ``\input``: booktabs rules, caption, label, notes below.

    Its first line names the packages that it needs.
    """
    layout = lay_out(table)
    rotating = ",rotating" if layout.turned else ""
    lines = [rf"% needs \usepackage{{array,booktabs{rotating}}}; fits in one and in two columns"]
    for number in range(len(layout.parts)):
        if number and number % MAX_WAITING_FLOATS == 0:
            lines.append(r"\clearpage")
        lines.extend(_float(table, layout, number))
    if layout.notes_in_text:
        lines.extend(_notes_in_text(table))
    return "\n".join(lines) + "\n"


def _float(table: Table, layout: Layout, number: int) -> Iterator[str]:
    part = layout.parts[number]
    environment, position = _environment(layout)
    yield rf"\begin{{{environment}}}{position}"
    yield r"\centering"
    yield from _caption(table, number, len(layout.parts))
    yield rf"\fontsize{{{part.font.size}}}{{{part.font.leading}}}\selectfont"
    yield rf"\setlength{{\tabcolsep}}{{{part.font.gap:g}pt}}"
    yield r"\begin{lrbox}{0}% the notes are as wide as the table"
    yield from _tabular(part, fixed=len(layout.parts) > 1)
    yield r"\end{lrbox}"
    yield r"\usebox{0}"
    yield from _notes_below(part.chunk.width, _notes(table, layout, number))
    yield rf"\end{{{environment}}}"


def _environment(layout: Layout) -> tuple[str, str]:
    """Return the float and its position; all parts of a table have the same."""
    if layout.turned:
        return "sidewaystable*", ""
    if any(part.chunk.width > COLUMN_WIDTH for part in layout.parts):
        return "table*", "[tbp]"
    return "table", "[htbp]"


def _caption(table: Table, number: int, n_parts: int) -> Iterator[str]:
    title, label = escape_latex(table.title), f"tab:segbench-{table.name}"
    if n_parts > 1:
        title += f", part~{number + 1} of~{n_parts}"
    if number:
        label += f"-part{number + 1}"
        yield r"\addtocounter{table}{-1}% parts have one number; the anchors of hyperref differ"
        yield rf"\def\theHtable{{\thetable.{number + 1}}}"
    yield rf"\caption{{{title}}}\label{{{label}}}"
    yield r"\vspace{4pt}"


def _tabular(part: Part, *, fixed: bool) -> Iterator[str]:
    chunk, columns = part.chunk, part.table.columns
    specification = "".join(
        _column("r" if column.align == "r" else "l", width, wraps=wraps, fixed=fixed)
        for column, width, wraps in zip(columns, chunk.widths, chunk.wraps, strict=True)
    )
    yield rf"\begin{{tabular}}{{@{{}}{specification}@{{}}}}"
    yield r"\toprule"
    yield from _head(part)
    yield r"\midrule"
    yield from _body(part)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _column(align: str, width: float, *, wraps: bool, fixed: bool) -> str:
    """Return the type of a column; with ``fixed`` widths it is the same in all parts."""
    if wraps:
        return rf">{{\raggedright\arraybackslash}}p{{{width:.1f}pt}}"
    return rf"w{{{align}}}{{{width:.1f}pt}}" if fixed else align


def _head(part: Part) -> Iterator[str]:
    """Yield the lines of the titles; a title of one line is in the last, next to the rule."""
    n_lines = max(map(len, part.titles))
    padded = [("",) * (n_lines - len(lines)) + lines for lines in part.titles]
    for titles in zip(*padded, strict=True):
        yield _line(map(_text, titles, _rooms(part)))


def _body(part: Part) -> Iterator[str]:
    above = ""
    for number, group in enumerate(part.table.printed_groups()):
        heading = part.headings[number]
        if number:
            yield r"\midrule"
        if heading != above:
            text = rf"\textit{{{escape_latex(heading)}}}"
            yield rf"\multicolumn{{{len(part.titles)}}}{{@{{}}l}}{{{text}}} \\"
        above = heading
        yield from (_line(map(_cell, row, _rooms(part))) for row in group)


def _line(cells: Iterable[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _rooms(part: Part) -> list[float | None]:
    """Return the width in em of each column that wraps."""
    return [None if width is None else width / part.font.em for width in part.chunk.wrapped]


def _cell(cell: Cell, room: float | None) -> str:
    text = _text(cell.value_text, room)
    if cell.underline:
        text = rf"\underline{{{text}}}" if room is None else rf"\emph{{{text}}}"  # would not wrap
    text = rf"\textbf{{{text}}}" if cell.bold else text
    return f"{text} {escape_latex(cell.interval_text)}" if cell.interval else text


def _text(text: str, room: float | None) -> str:
    if room is None or text_width(text) <= room:
        return escape_latex(text)
    words = break_text(text, room)
    return " ".join(r"\allowbreak ".join(map(escape_latex, pieces)) for pieces in words)


def _notes(table: Table, layout: Layout, number: int) -> tuple[str, ...]:
    """Return the notes below a part: all below the last, below the others where they are."""
    n_parts = len(layout.parts)
    if not table.notes or layout.notes_in_text:
        return ()
    return table.notes if number == n_parts - 1 else (f"The notes are below part {n_parts}.",)


def _notes_below(width: float, notes: Sequence[str]) -> Iterator[str]:
    if notes:
        note_width = r"\wd0" if width > COLUMN_WIDTH else f"{COLUMN_WIDTH:g}pt"
        yield r"\par\vspace{3pt}"
        yield rf"\begin{{minipage}}{{{note_width}}}"
        yield from _note_lines(notes, max(width, COLUMN_WIDTH))
        yield r"\end{minipage}"


def _note_lines(notes: Sequence[str], width: float) -> Iterator[str]:
    yield rf"\fontsize{{{NOTE_SIZE}}}{{{NOTE_LEADING}}}\selectfont\raggedright"
    yield from (rf"{_text(note, width / NOTE_EM)}\par" for note in notes)


def _notes_in_text(table: Table) -> Iterator[str]:
    yield r"\par{\setlength{\parindent}{0pt}"
    yield rf"Notes to Table~\ref{{tab:segbench-{table.name}}}:\par"
    yield from _note_lines(table.notes, COLUMN_WIDTH)
    yield "}"
