"""Files that users write: JSON and YAML, where numbers stay text, and tables of fields."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from segbench.errors import CaseError
from segbench.messages import counted, named, one_line

YAML = (".yaml", ".yml")
TABLES = {".csv": ",", ".tsv": "\t"}


def read_structure(file: Path) -> Any:
    """Return what a JSON or YAML file holds; numbers, dates and words such as ``no`` are text.

    A patient called 007 is not 7, and a label called ``no`` is not false.

    Raises
    ------
    CaseError
        If it cannot be read, or a key is there twice, of which only the last would count.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        return _yaml(text, file) if file.suffix.lower() in YAML else _json(text)
    except (OSError, ValueError, RecursionError) as error:
        kind = "YAML" if file.suffix.lower() in YAML else "JSON"
        raise CaseError(
            f"{file.name}: expected {kind} as UTF-8 text, found {named(error)}"
        ) from None


def _json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _refuse_doubles(key for key, _ in pairs)
        return dict(pairs)

    return json.loads(
        text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=unique
    )


def _yaml(text: str, file: Path) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise CaseError(
            f"{file.name}: expected the package PyYAML to read it, found none; "
            "pip install 'segbench[convert]', or write the list as CSV or JSON"
        ) from None
    loader = yaml.SafeLoader(text)
    loader.yaml_implicit_resolvers = {  # all other scalars are texts
        first: [(tag, pattern) for tag, pattern in pairs if tag.endswith((":null", ":merge"))]
        for first, pairs in loader.yaml_implicit_resolvers.items()
    }
    try:
        node = loader.get_single_node()
        _refuse_double_keys(node)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(one_line(str(error))) from None


def _refuse_double_keys(node: Any) -> None:
    """Refuse a mapping of YAML with a key twice; PyYAML would keep the last."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if isinstance(getattr(node, "value", None), list) and id(node) not in seen:
            seen.add(id(node))  # an alias stands for the same node again
            pairs = [each for each in node.value if isinstance(each, tuple)]
            _refuse_doubles(str(key.value) for key, _ in pairs)
            waiting += [value for _, value in pairs] or node.value


def _refuse_doubles(keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"the key {key!r} twice in one mapping")
        seen.add(key)


def read_table(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV or TSV file, by column; column names in lower case.

    Columns without a name are left out, such as the row numbers that pandas writes.

    Raises
    ------
    CaseError
        If it cannot be read, a column is there twice, or a row has more fields than columns.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream, delimiter=_delimiter(file)) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(
            f"{file.name}: expected a table as UTF-8 text, found {named(error)}"
        ) from None
    columns = [column.strip().lower() for column in lines[0]] if lines else []
    try:
        _refuse_doubles(filter(None, columns))
    except ValueError:
        raise CaseError(
            f"{file.name}: expected each column once, found {', '.join(columns)}"
        ) from None
    return [_row(columns, line, number, file) for number, line in enumerate(lines[1:], 1)]


def _delimiter(file: Path) -> str:
    return TABLES[file.suffix.lower()]


def _row(columns: list[str], line: list[str], number: int, file: Path) -> dict[str, str]:
    fields = [field.strip() for field in line]
    if any(fields[len(columns) :]):
        raise CaseError(
            f"{file.name}: row {number}: expected {counted(len(columns), 'field')}, found "
            f"{len(fields)}; put a text with {_delimiter(file)!r} in quotes"
        )
    pairs = zip_longest(columns, fields[: len(columns)], fillvalue="")
    return {column: text for column, text in pairs if column}
