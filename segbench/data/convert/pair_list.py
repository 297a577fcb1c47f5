"""Scans from a list that the user writes: CSV, TSV, YAML or JSON.

Columns: ``image`` and ``labels`` (paths, relative to the folder of the list), and any of ``name``,
``patient``, ``dataset``, ``modality`` and ``channel``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.data.convert.readers import modality_in, stem_of
from segbench.data.convert.scan import Found, Scan, Stated, case_name, stated_modality
from segbench.data.convert.text_files import TABLES, read_structure, read_table
from segbench.errors import CaseError

SUFFIXES = (".csv", ".tsv", ".yaml", ".yml", ".json")
REQUIRED = ("image", "labels")
COLUMNS = (*REQUIRED, "name", "patient", "dataset", "modality", "channel")


def scans_of_list(file: Path, stated: Stated) -> Found:
    """Return the scans of a list.

    Raises
    ------
    CaseError
        If a column is unknown, or a row has no image or no labels.
    """
    rows = read_table(file) if file.suffix.lower() in TABLES else _structure(file)
    if not rows:
        raise CaseError(f"{file.name}: expected a row for each scan, found none")
    scans = [_scan(row, number, file, stated) for number, row in enumerate(rows, 1)]
    return Found(f"the list {file.name}", tuple(scans))


def _structure(file: Path) -> list[dict[str, str]]:
    rows = read_structure(file)
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise CaseError(
            f"{file.name}: expected a list of mappings with the keys image and labels, found "
            "another structure"
        )
    return [
        {str(key): _text(value, f"{file.name}: row {number}: {key}") for key, value in row.items()}
        for number, row in enumerate(rows, 1)
    ]


def _text(value: Any, here: str) -> str:
    if value is not None and not isinstance(value, str):
        raise CaseError(f"{here}: expected a text or a number, found {value!r}")
    return (value or "").strip()


def _scan(row: Mapping[str, str], number: int, file: Path, stated: Stated) -> Scan:
    here = f"{file.name}: row {number}"
    unknown = [column for column in row if column not in COLUMNS]
    if unknown:
        raise CaseError(f"{here}: expected columns {', '.join(COLUMNS)}, found {unknown[0]!r}")
    for column in REQUIRED:
        if not row.get(column):
            raise CaseError(f"{here}: expected a path as {column!r}, found none")
    image, labels = (file.parent / row[column] for column in REQUIRED)
    modality = stated_modality(row["modality"]) if row.get("modality") else stated.modality
    modality = modality or modality_in(image, series=stated.series)
    dataset = row.get("dataset") or stated.dataset
    return Scan(
        row.get("name") or case_name(stem_of(image), modality=modality, dataset=dataset),
        image,
        labels,
        modality,
        row.get("patient") or stated.patient,
        dataset,
        _channel(row.get("channel", ""), here) if row.get("channel") else stated.channel,
    )


def _channel(text: str, here: str) -> int:
    if not text.isdecimal():
        raise CaseError(f"{here}: expected a channel as a number from 0 on, found {text!r}")
    return int(text)
