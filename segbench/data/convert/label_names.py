"""The names of labels, from the files in which data sets keep them.

============  =========================================================================
file          what is read
============  =========================================================================
JSON, YAML    ``labels`` of a dataset.json (nnU-Net: name to value or values; Medical
              Segmentation Decathlon: value to name), or such a mapping alone
CSV, TSV      a column ``name``, and one of ``value``, ``index``, ``label`` or ``id``
============  =========================================================================

Values of one name are the values of this name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from segbench.data.convert.text_files import TABLES, read_structure, read_table
from segbench.errors import CaseError

LabelNames = Mapping[str, tuple[int, ...]]  # values by name, without the background
VALUE_COLUMNS = ("value", "index", "label", "id")


def read_label_names(file: Path) -> LabelNames:
    """Read names of labels.

    Raises
    ------
    CaseError
        If the file is none of the above, or a value is not a whole number.
    """
    if file.suffix.lower() in TABLES:
        return _table(file)
    facts = read_structure(file)
    labels = facts.get("labels", facts) if isinstance(facts, Mapping) else facts
    return names_of_mapping(labels, file.name)


def _table(file: Path) -> LabelNames:
    rows = read_table(file)
    columns = rows[0].keys() if rows else ()
    key = next((column for column in VALUE_COLUMNS if column in columns), None)
    if key is None or "name" not in columns:
        found = ", ".join(columns) or "none"
        raise CaseError(f"{file.name}: expected columns 'name' and 'value', found {found}")
    return _by_name((row["name"], _values(row[key], row["name"], file.name)) for row in rows)


def names_of_mapping(labels: Any, name: str) -> LabelNames:
    """Return the values by name of a mapping in either direction, without the background."""
    if not isinstance(labels, Mapping) or not labels:
        raise CaseError(f"{name}: expected labels as names and values, found {str(labels)[:60]!r}")
    if all(map(_is_whole, labels)):  # value to name
        return _by_name((str(text), (int(key),)) for key, text in labels.items())
    return _by_name((str(key), _values(value, str(key), name)) for key, value in labels.items())


def _by_name(pairs: Iterable[tuple[str, tuple[int, ...]]]) -> LabelNames:
    found: dict[str, tuple[int, ...]] = {}
    for name, values in pairs:
        if values != (0,):
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *values)))
    return found


def _values(value: Any, label: str, name: str) -> tuple[int, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(map(_is_whole, values)):
        raise CaseError(f"{name}: {label}: expected a whole number or several, found {value!r}")
    return tuple(int(each) for each in values)


def _is_whole(value: Any) -> bool:
    return str(value).strip().isdecimal()
