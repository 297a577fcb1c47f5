"""Write docs/schema/: ``python -m segbench.runs.json_schema docs/schema`` (``make schema``)."""

from __future__ import annotations

import sys
from pathlib import Path

from segbench.runs.case_json import StoredCase
from segbench.runs.json_files import json_schema
from segbench.runs.manifest_json import Manifest

FILES = {"case.json": StoredCase, "run.json": Manifest}


def write_schemas(folder: Path) -> None:
    """Write the JSON Schema of each kind of file."""
    for name, kind in FILES.items():
        (folder / name).write_text(json_schema(kind), encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
