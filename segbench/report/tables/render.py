"""Format a table as Markdown, CSV, HTML or plain text; ``latex`` formats it for LaTeX."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterable, Sequence

from segbench.report.tables.table import Cell, Column, Table, Value
from segbench.text_table import text_table, wrapped


def to_csv(table: Table) -> str:
    """Return CSV: repeated keys, floats in their shortest exact form, blank for missing values.

    A column with intervals is followed by one of their lower and one of their upper bounds.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(title for column in table.columns for title in _csv_titles(column))
    for row in table.rows:
        cells = zip(table.columns, row, strict=True)
        writer.writerow(value for column, cell in cells for value in _csv_values(column, cell))
    return stream.getvalue()


def _csv_titles(column: Column) -> list[str]:
    bounds = ("low", "high") if column.intervals else ()
    return [column.title, *(f"{column.title} {bound}" for bound in bounds)]


def _csv_values(column: Column, cell: Cell) -> list[Value]:
    bounds = (cell.interval or (None, None)) if column.intervals else ()
    return [cell.value, *bounds]


def to_text(table: Table) -> str:
    """Return aligned plain text for a terminal, with the notes."""
    header = [column.title for column in table.columns]
    lines = [[cell.text for cell in row] for group in table.printed_groups() for row in group]
    right = [number for number, column in enumerate(table.columns) if column.align == "r"]
    aligned = text_table([header, *lines], right=right, rule=True)
    return "\n".join([aligned, *filter(None, [wrapped(table.notes, hanging="  ")])]) + "\n"


def to_markdown(table: Table) -> str:
    """Return a GitHub table below its title, with the notes as a list."""
    lines = [f"### {escape_markdown(table.title)}", ""]
    lines.append(_markdown_line(escape_markdown(column.title) for column in table.columns))
    lines.append(_markdown_line("---:" if c.align == "r" else "---" for c in table.columns))
    for group in table.printed_groups():
        lines.extend(_markdown_line(map(_markdown_cell, row)) for row in group)
    lines.extend(["", *(f"- {escape_markdown(note)}" for note in table.notes)])
    return "\n".join(lines).rstrip() + "\n"


def escape_markdown(text: str) -> str:
    """Escape text for a Markdown table cell; underscores inside words are not escaped."""
    text = re.sub(r"([\\`*\[\]|])", r"\\\1", " ".join(text.split()))
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _markdown_line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(cell: Cell) -> str:
    text = escape_markdown(cell.value_text)
    text = f"<ins>{text}</ins>" if cell.underline else text  # GitHub removes <u>
    text = f"**{text}**" if cell.bold else text
    return " ".join(filter(None, (text, escape_markdown(cell.interval_text))))


def to_html(table: Table, *, level: int = 2) -> str:
    """Return an HTML section: heading of a level, table, notes."""
    head = "".join(
        f'<th scope="col" class="{_html_align(column)}">{html.escape(column.title)}</th>'
        for column in table.columns
    )
    bodies = "\n".join(
        "<tbody>\n" + "\n".join(_html_row(table, row) for row in group) + "\n</tbody>"
        for group in table.printed_groups()
    )
    return (
        f'<section id="{table.name}">\n<h{level}>{html.escape(table.title)}</h{level}>\n'
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n{bodies}\n</table></div>\n'
        + to_html_notes(table.notes)
        + "</section>\n"
    )


def to_html_notes(notes: Sequence[str]) -> str:
    """Return notes as a list, empty without notes."""
    lines = "".join(f"<li>{html.escape(note)}</li>\n" for note in notes)
    return f'<ul class="notes">\n{lines}</ul>\n' if notes else ""


def _html_row(table: Table, row: Sequence[Cell]) -> str:
    cells = (
        f'<td class="{_html_align(column)}">{_html_cell(cell)}</td>'
        for column, cell in zip(table.columns, row, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"


def _html_align(column: Column) -> str:
    # a mean without an interval stays below the other means, not below their intervals
    return "l" if column.intervals else column.align


def _html_cell(cell: Cell) -> str:
    text = html.escape(cell.value_text)
    text = f"<u>{text}</u>" if cell.underline else text
    text = f"<strong>{text}</strong>" if cell.bold else text
    return f"{text} <small>{cell.interval_text}</small>" if cell.interval else text
