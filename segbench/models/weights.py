"""List adapters: the environment, the licence and the weights of each.

This is declared in a file next to the adapter: ``NAME.toml`` next to ``NAME.py``, or ``model.toml``
in its folder (docs/models.md). The adapter is not imported, because its environment may not be
installed. An adapter without a declaration has no weights; its licence is the one in its
``AdapterInfo``.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_data_path

from segbench.errors import AdapterError
from segbench.messages import named
from segbench.models.adapter_source import adapter_name, licence_in_source
from segbench.models.environments import refuse_invalid_header
from segbench.models.registry import adapter_names, find_adapter

RECORD_FILE = "fetched.json"  # repository, revision and checksums, next to the files
FOLDER_VARIABLE = "SEGBENCH_MODELS_FOLDER"
SHA256 = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


@dataclass(frozen=True)
class WeightFile:
    """One file of a model's weights; ``sha256`` is None if it is not known."""

    path: str  # in the repository and in the folder of the weights
    sha256: str | None = None


@dataclass(frozen=True)
class Weights:
    """One set of weights that an adapter can use."""

    name: str
    licence: str
    files: tuple[WeightFile, ...]
    option: str = "weights"  # of the adapter, whose value is the path
    use: str = ""  # the value of the option, a path in the folder; "" is the only file
    repo: str | None = None  # on the Hugging Face hub
    revision: str | None = None  # a commit; None if it is not known
    page: str | None = None  # a web page; the only source if there is no repo
    bundled: bool = False  # is next to the adapter
    note: str = ""

    @property
    def source(self) -> str:
        """Where the weights come from, as a short text."""
        if self.bundled:
            return "segbench itself"
        if self.repo is None:
            return self.page or "not stated"
        return f"{self.repo}@{self.revision[:10] if self.revision else 'not pinned'}"


@dataclass(frozen=True)
class ModelEntry:
    """What is known of one adapter without importing it."""

    name: str
    file: Path
    licence: str
    needs: tuple[str, ...]
    weights: tuple[Weights, ...]

    def folder(self, weights: Weights, folder: Path) -> Path:
        """Return the folder of a set of weights, whether it exists or not."""
        return self.file.parent if weights.bundled else folder / self.name / weights.name

    def weights_path(self, weights: Weights, folder: Path) -> Path:
        """Return the path that is the value of the adapter's option."""
        only = weights.files[0].path if len(weights.files) == 1 else ""
        return self.folder(weights, folder) / (weights.use or only)

    def takes_folder(self, weights: Weights) -> bool:
        """Whether the adapter's option is the path of a folder, not of a file."""
        paths = [item.path for item in weights.files]
        return weights.use not in paths if weights.use else len(paths) > 1


def default_weights_folder() -> Path:
    """Return the folder for downloaded weights; the variable is that of ``models --folder``."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else user_data_path("segbench") / "models"


def find_model_entry(name: str) -> ModelEntry:
    """Return the entry of an adapter, by name or path.

    Raises
    ------
    AdapterNotFound
        There is no such adapter.
    AdapterError
        Its declaration is not valid.
    """
    return entry_of(find_adapter(name))


def entry_of(file: Path) -> ModelEntry:
    """Return the entry of an adapter's file.

    Raises
    ------
    AdapterError
        Its declaration or its PEP 723 header is not valid, or its source is not text.
    """
    refuse_invalid_header(file)
    if declaration_file(file).is_file():
        return read_declaration(file)
    return ModelEntry(adapter_name(file), file, licence_in_source(file), (), ())


def read_declaration(file: Path) -> ModelEntry:
    """Return the entry that an adapter's declaration describes; the adapter may be missing."""
    declaration = declaration_file(file)
    try:
        table = tomllib.loads(declaration.read_text(encoding="utf-8"))
        weights = tuple(map(_parse_weights, _list_of(dict, "weights", table.pop("weights", []))))
        needs = _list_of(str, "needs", table.pop("needs", []))
        licence = _text("licence", table.pop("licence"))
        entry = ModelEntry(adapter_name(file), file, licence, tuple(needs), weights)
    except AdapterError as error:
        raise AdapterError(f"{declaration}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise AdapterError(
            f"{declaration}: expected what docs/models.md describes, found {named(error)}"
        ) from None
    if table:
        raise AdapterError(
            f"{declaration}: expected licence, needs and weights, found {', '.join(sorted(table))}"
        )
    return entry


def declaration_file(file: Path) -> Path:
    """Return the file of an adapter's declaration, whether it exists or not."""
    return file.with_name("model.toml" if file.name == "__init__.py" else f"{file.stem}.toml")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise AdapterError(f"{name}: expected text, found {value!r}")
    return value


def _list_of(kind: type[T], name: str, values: object) -> list[T]:
    if not isinstance(values, list) or not all(isinstance(each, kind) for each in values):
        kinds = "text" if kind is str else f"tables, such as [[{name}]]"
        raise AdapterError(f"{name}: expected a list of {kinds}, found {values!r}")
    return values


def _parse_weights(table: dict[str, Any]) -> Weights:
    items = _list_of(dict, "files", table.pop("files"))
    files = tuple(WeightFile(_text("path", item["path"]), item.get("sha256")) for item in items)
    for key, value in table.items():
        if key != "bundled":
            _text(key, value)
    for item in files:
        if item.sha256 is not None and not SHA256.fullmatch(item.sha256):
            raise AdapterError(
                f"{item.path}: expected a sha256 in hexadecimal, found {item.sha256!r}"
            )
    if not files:
        raise AdapterError(f"{table['name']}: expected files, found none")
    return Weights(files=files, **table)


def model_entries() -> list[ModelEntry]:
    """Return the entry of every adapter that can be found."""
    return [find_model_entry(name) for name in adapter_names()]


def state_of(entry: ModelEntry, weights: Weights, folder: Path) -> str:
    """Return whether a set of weights is complete.

    A file is damaged if its size differs from the recorded one; its contents are not read.
    """
    target = entry.folder(weights, folder)
    missing = [item.path for item in weights.files if not (target / item.path).is_file()]
    if missing:
        return "not there" if len(missing) == len(weights.files) else f"lacks {missing[0]}"
    sizes = {path: item["bytes"] for path, item in read_record(target).get("files", {}).items()}
    for path in (item.path for item in weights.files if item.path in sizes):
        if (target / path).stat().st_size != sizes[path]:
            return f"damaged: {path}"
    return "in place" if sizes or weights.bundled else "in place, put there by hand"


def read_record(target: Path) -> Mapping[str, Any]:
    """Return the record of a download; empty if there is none or it cannot be read.

    The weights are then treated like weights that a user has copied there.
    """
    try:
        record = json.loads((target / RECORD_FILE).read_text(encoding="utf-8"))
        return {
            "revision": str(record["revision"]),
            "files": {
                path: {"sha256": str(item["sha256"]), "bytes": int(item["bytes"])}
                for path, item in record["files"].items()
            },
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
