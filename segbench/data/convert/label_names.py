"""The names of labels, from the files in which data sets keep them.

============  =========================================================================
file          what is read
============  =========================================================================
JSON, YAML    ``labels`` of a dataset.json (nnU-Net: name to value or values; Medical
              Segmentation Decathlon: value to name), or such a mapping alone
CSV, TSV      a column ``name``, and one of ``value``, ``index``, ``label`` or ``id``
============  =========================================================================
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.errors import CaseError
from segbench.messages import named, one_line

LabelNames = Mapping[str, tuple[int, ...]]  # values by name, without the background
VALUE_COLUMNS = ("value", "index", "label", "id")
YAML = (".yaml", ".yml")
TABLES = {".csv": ",", ".tsv": "\t"}


def read_label_names(file: Path) -> LabelNames:
    """Read names of labels.

    Raises
    ------
    CaseError
        If the file is none of the above, or a value is not a whole number.
    """
    if file.suffix.lower() in TABLES:
        return names_of_mapping(_table(file), file.name)
    facts = read_structure(file)
    labels = facts.get("labels", facts) if isinstance(facts, Mapping) else facts
    return names_of_mapping(labels, file.name)


def read_structure(file: Path) -> Any:
    """Return what a JSON or YAML file holds."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        return _yaml(text, file) if file.suffix.lower() in YAML else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        kind = "YAML" if file.suffix.lower() in YAML else "JSON"
        raise CaseError(
            f"{file.name}: expected {kind} as UTF-8 text, found {named(error)}"
        ) from None


def _yaml(text: str, file: Path) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise CaseError(
            f"{file.name}: expected the package PyYAML to read it, found none; "
            "pip install 'segbench[convert]', or write the list as CSV or JSON"
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(one_line(str(error))) from None


def read_table(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV or TSV file, by column; column names in lower case."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, delimiter=TABLES[file.suffix.lower()])
            return [_clean(row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(
            f"{file.name}: expected a table as UTF-8 text, found {named(error)}"
        ) from None


def _clean(row: Mapping[str | None, str | None]) -> dict[str, str]:
    return {key.strip().lower(): (value or "").strip() for key, value in row.items() if key}


def _table(file: Path) -> dict[str, str]:
    rows = read_table(file)
    columns = rows[0].keys() if rows else ()
    key = next((column for column in VALUE_COLUMNS if column in columns), None)
    if key is None or "name" not in columns:
        found = ", ".join(columns) or "none"
        raise CaseError(f"{file.name}: expected columns 'name' and 'value', found {found}")
    return {row["name"]: row[key] for row in rows}


def names_of_mapping(labels: Any, name: str) -> LabelNames:
    """Return the values by name of a mapping in either direction, without the background."""
    if not isinstance(labels, Mapping) or not labels:
        raise CaseError(f"{name}: expected labels as names and values, found {str(labels)[:60]!r}")
    found: dict[str, tuple[int, ...]]
    if all(_is_whole(key) for key in labels):  # value to name
        found = {str(text): (int(key),) for key, text in labels.items()}
    else:
        found = {str(key): _values(value, str(key), name) for key, value in labels.items()}
    return {key: values for key, values in found.items() if values != (0,)}


def _values(value: Any, label: str, name: str) -> tuple[int, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(map(_is_whole, values)):
        raise CaseError(f"{name}: {label}: expected a whole number or several, found {value!r}")
    return tuple(int(each) for each in values)


def _is_whole(value: Any) -> bool:
    return str(value).strip().isdigit()
