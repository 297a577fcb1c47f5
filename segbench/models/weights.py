"""What is installed: each adapter's environment, its licence, and where its weights come from.

An adapter says so in a file beside it, read without importing it, for its environment may not be
there: ``NAME.toml`` beside ``NAME.py``, or ``model.toml`` in its folder (docs/models.md). An
adapter without one has no weights; its licence is what stands in its ``AdapterInfo``.
"""

from __future__ import annotations

import ast
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.errors import AdapterError
from segbench.models.environments import readiness
from segbench.models.loading import adapter_name
from segbench.models.registry import find, names

RECORD = "fetched.json"  # what was downloaded from where, beside the files
SHA256 = re.compile(r"[0-9a-f]{64}")
HEADINGS = ("MODEL", "ENVIRONMENT", "CODE", "WEIGHTS", "LICENCE OF THE WEIGHTS", "FROM", "STATE")


@dataclass(frozen=True)
class WeightFile:
    """One file of a model's weights; ``sha256`` is None where it is not known."""

    path: str  # in the repository, and in the weights' folder here
    sha256: str | None = None


@dataclass(frozen=True)
class Weights:
    """One set of weights that an adapter can use."""

    name: str
    licence: str
    files: tuple[WeightFile, ...]
    option: str = "weights"  # of the adapter: takes the path
    use: str = ""  # the path that the option takes, within the folder; "" is the only file
    repo: str | None = None  # on the hub
    revision: str | None = None  # a commit there; None where it is not known
    page: str | None = None  # for a reader; the only source where there is no repo
    bundled: bool = False  # lies beside the adapter
    note: str = ""

    @property
    def source(self) -> str:
        """Where they come from, in a few words."""
        if self.bundled:
            return "comes with segbench"
        if self.repo is None:
            return self.page or "not stated"
        return f"{self.repo}@{self.revision[:10] if self.revision else 'not pinned'}"


@dataclass(frozen=True)
class Model:
    """One adapter as it can be known without importing it."""

    name: str
    file: Path
    licence: str
    needs: tuple[str, ...]
    weights: tuple[Weights, ...]

    def folder(self, weights: Weights, folder: Path) -> Path:
        """Return where a set of weights lies, or would lie."""
        return self.file.parent if weights.bundled else folder / self.name / weights.name

    def usable(self, weights: Weights, folder: Path) -> Path:
        """Return the path that the adapter's option takes."""
        only = weights.files[0].path if len(weights.files) == 1 else ""
        return self.folder(weights, folder) / (weights.use or only)


def default_folder() -> Path:
    """Return where downloaded weights go when nobody says."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "segbench" / "models"


# ---- the declaration -------------------------------------------------------------------------


def model(name: str) -> Model:
    """Return what is known of an adapter, by name or path.

    Raises
    ------
    AdapterNotFound, AdapterError
        There is none, or what stands beside it cannot be understood.
    """
    file = find(name)
    if declaration_of(file).is_file():
        return declared(file)
    return Model(adapter_name(file), file, stated_licence(file), (), ())


def declared(file: Path) -> Model:
    """Return what stands beside an adapter's file; nobody looks whether that one is there."""
    declaration = declaration_of(file)
    try:
        said = tomllib.loads(declaration.read_text(encoding="utf-8"))
        weights = tuple(_weights(each) for each in said.pop("weights", []))
        found = Model(
            adapter_name(file), file, said.pop("licence"), tuple(said.pop("needs", ())), weights
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AdapterError(f"{declaration}: {type(error).__name__}: {error}") from None
    if said:
        raise AdapterError(f"{declaration}: unknown: {', '.join(sorted(said))}")
    return found


def declaration_of(file: Path) -> Path:
    """Return where an adapter's declaration would lie."""
    return file.with_name("model.toml" if file.name == "__init__.py" else f"{file.stem}.toml")


def _weights(said: dict[str, Any]) -> Weights:
    files = tuple(WeightFile(each["path"], each.get("sha256")) for each in said.pop("files"))
    for each in files:
        if each.sha256 is not None and not SHA256.fullmatch(each.sha256):
            raise ValueError(f"{each.path}: expected a sha256 in hexadecimal: {each.sha256!r}")
    if not files:
        raise ValueError(f"{said['name']}: names no files")
    return Weights(files=files, **said)


def stated_licence(file: Path) -> str:
    """Return the licence in the file's AdapterInfo, if it stands there as a plain text."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "AdapterInfo":
            for keyword in node.keywords:
                if keyword.arg == "licence" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return "not stated"


# ---- what is there ---------------------------------------------------------------------------


def models() -> list[Model]:
    """Return every adapter that can be found."""
    return [model(name) for name in names()]


def state_of(found: Model, weights: Weights, folder: Path) -> str:
    """Return whether a set of weights is in place; sizes are compared, contents are not.

    A file is taken for damaged if it is not as large as when it was fetched.
    """
    place = found.folder(weights, folder)
    missing = [each.path for each in weights.files if not (place / each.path).is_file()]
    if missing:
        return "not there" if len(missing) == len(weights.files) else f"lacks {missing[0]}"
    sizes = {path: facts["bytes"] for path, facts in record_of(place).get("files", {}).items()}
    for each in weights.files:
        if (place / each.path).stat().st_size != sizes.get(each.path, -1) and each.path in sizes:
            return f"damaged: {each.path}"
    return "in place" if sizes or weights.bundled else "in place, put there by hand"


def record_of(place: Path) -> Mapping[str, Any]:
    """Return what is recorded of a download; empty if nothing is, or nothing that can be read.

    The files are then looked at as if somebody had put them there by hand.
    """
    try:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        return {
            "revision": str(record["revision"]),
            "files": {
                path: {"sha256": str(facts["sha256"]), "bytes": int(facts["bytes"])}
                for path, facts in record["files"].items()
            },
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def listing(folder: Path) -> str:
    """Return the table of all adapters, one line for each set of weights, and where those go."""
    rows = [HEADINGS]
    for found in models():
        start = (found.name, readiness(found.file, found.needs), found.licence)
        for weights in found.weights:
            state = state_of(found, weights, folder)
            rows.append((*start, weights.name, weights.licence, weights.source, state))
            start = ("", "", "")
        if not found.weights:
            rows.append((*start, "none", "", "", ""))
    return f"{aligned(rows)}\n\nweights go to {folder}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
