"""Logs of a training as csv files that survive a kill and a resume."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Row = Sequence[object]


def append_row(path: Path, columns: Row, row: Row) -> None:
    """Append one row to a csv file; a new file gets a header first."""
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([columns, row] if is_new else [row])


def drop_rows_after(path: Path, steps: int) -> None:
    """Drop the rows of steps that will be repeated, and incomplete rows."""
    if not path.is_file() or not path.stat().st_size:
        return
    columns, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    whole = (row for row in rows if len(row) == len(columns))  # the last may be cut off
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *(row for row in whole if int(row[0]) <= steps)])
    temporary.replace(path)
