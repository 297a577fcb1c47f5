"""JSON files of a run folder, read into dataclasses whose annotations say what a file may contain.

pydantic checks the values. Text is parsed by the standard library, which can read back a path or a
message that is not valid Unicode.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from segbench.errors import RunError
from segbench.messages import named

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    File = TypeVar("File", bound=DataclassInstance)

SCHEMA: Final = 2
CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
EARLY_FORMAT = (
    ", an early format whose prompts have other names; run the cases again into another folder"
)
_adapter = cache(TypeAdapter)


def read_json(file: Path, kind: type[File]) -> File:
    """Read a JSON file into a dataclass.

    Raises
    ------
    RunError
        If it cannot be read, is of another schema, or a value is not what its field expects; with
        the file, the expectation and the finding.
    """
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file}: expected JSON, found {named(error)}") from None
    return _checked(facts, kind, file)


def to_json(facts: Mapping[str, Any], kind: type[File], file: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    RunError
        If `read_json` would refuse it, with the reason.
    """
    text = json.dumps(facts, indent=1) + "\n"
    _checked(json.loads(text), kind, file)
    return text


def _checked(facts: Any, kind: type[File], file: Path) -> File:
    try:
        return _validated(facts, kind)
    except RunError as error:
        raise RunError(f"{file}: {error}") from None


def _validated(facts: Any, kind: type[File]) -> File:
    found = facts.get("schema") if isinstance(facts, dict) else None
    if found != SCHEMA:
        reason = EARLY_FORMAT if found == 1 else ""
        raise RunError(f"expected schema {SCHEMA}, found {found}{reason}")
    try:
        value: File = _adapter(kind).validate_python(facts)
    except ValidationError as error:
        raise RunError(_first_line(error)) from None
    for difference in _differences(facts, value):
        raise RunError(difference)
    return value


def _first_line(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{place}: expected a value, found none"
    if first["type"] == "union_tag_invalid":
        return f"{place}: expected {first['ctx']['expected_tags']}, found {first['ctx']['tag']!r}"
    if first["type"] == "value_error":  # of our own checks, which say what they found
        return ": ".join(filter(None, (place, str(first["ctx"]["error"]))))
    expected = re.sub(r"^\w+ should( be| have)?", "expected", first["msg"])
    reason = expected.replace("Unexpected", "unknown")
    return f"{place}: {reason}, found {str(first['input'])[:80]!r}"


def _differences(found: Any, read: Any, place: str = "") -> Iterator[str]:
    """Yield where reading has filled in a default, or converted a value, as "2" for the number."""
    read = vars(read) if is_dataclass(read) else read
    if isinstance(read, dict):
        for key, value in read.items():
            if str(key) not in found:
                yield f"{place}{key}: expected a value, found none"
            yield from _differences(found.get(str(key)), value, f"{place}{key}.")
    elif isinstance(read, tuple):
        for index, value in enumerate(read):
            yield from _differences(found[index], value, f"{place}{index}.")
    elif found != read or isinstance(found, bool) != isinstance(read, bool):
        yield f"{place[:-1]}: expected {read!r}, found {found!r}"
