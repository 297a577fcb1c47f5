"""Logs of a training as csv files that survive a kill and a resume."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from segbench_adapters import kit

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
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *(row for row in whole if int(row[0]) <= steps)])
    with kit.atomic_write(path) as stream:
        stream.write(text.getvalue().encode())
