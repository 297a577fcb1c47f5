"""Write docs/schema/: ``python -m segbench.runs.json_schema docs/schema`` (``make schema``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from segbench.runs.case_json import StoredCase
from segbench.runs.derived_json import StoredDerived
from segbench.runs.manifest_json import Manifest

FILES: dict[str, type] = {
    "case.json": StoredCase,
    "derived.json": StoredDerived,
    "run.json": Manifest,
}


def write_schemas(folder: Path) -> None:
    """Write the JSON Schema of each kind of file."""
    for name, kind in FILES.items():
        (folder / name).write_text(json_schema(kind), encoding="utf-8")


def json_schema(kind: type) -> str:
    """Return the JSON Schema of a file, as text."""
    schema = TypeAdapter(kind).json_schema(schema_generator=_FileSchema)
    tidy = json.loads(json.dumps(schema), object_hook=_with_short_description)
    return json.dumps({"$schema": _FileSchema.schema_dialect, **tidy}, indent=2) + "\n"


class _FileSchema(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:
        """Leave out titles that only repeat the name of a field."""
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Require fields with a default, too: the default is for Python, a file has every field."""
        return field["type"] == "dataclass-field" or super().field_is_required(field, total)


def _with_short_description(described: dict[str, Any]) -> dict[str, Any]:
    """Reduce a description to the first paragraph of the docstring, in one line."""
    if "description" in described:
        first, _, _ = str(described["description"]).partition("\n\n")
        described["description"] = " ".join(first.split())
    return described


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
