"""The ``index.csv`` of a folder of cases: modality, patient and dataset by name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from segbench.data.convert.conversion_record import Conversion
from segbench.errors import CaseError
from segbench.files import write_text
from segbench.messages import named

NAME = "index.csv"
COLUMNS = ("name", "modality", "patient", "dataset")


def require_index(folder: Path) -> None:
    """Refuse a folder whose ``index.csv`` cannot be continued, before anything is converted.

    Raises
    ------
    CaseError
        As `write_index`.
    """
    _read(folder / NAME)


def write_index(folder: Path, conversions: Iterable[Conversion]) -> Path:
    """Write what is known of the cases that are there; rows and columns of others stay.

    A patient or dataset that somebody wrote there stays, too, unless the call states another.

    Raises
    ------
    CaseError
        If the file that is there cannot be read, or has no column ``name``.
    """
    file = folder / NAME
    columns, rows = _read(file)
    for each in conversions:
        if each.status != "refused":
            row = rows.setdefault(each.name, {"name": each.name})
            row.update(
                {column: getattr(each, column) for column in COLUMNS if getattr(each, column)}
            )
    text = io.StringIO()
    fields = [*columns, *(column for column in COLUMNS if column not in columns)]
    writer = csv.DictWriter(text, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[name] for name in sorted(rows))
    write_text(file, text.getvalue())
    return file


def _read(file: Path) -> tuple[list[str], dict[str, dict[str, str]]]:
    if not file.exists():
        return [], {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{file}: expected a table as UTF-8 text, found {named(error)}") from None
    columns = list(reader.fieldnames or ())
    if columns and "name" not in columns or any(None in row for row in rows):
        raise CaseError(f"{file}: expected a table with a column 'name', found another")
    return columns, {row["name"]: row for row in rows}
