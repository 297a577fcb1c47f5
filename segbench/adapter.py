"""The contract a model fulfils to be benchmarked, and how a name becomes an adapter.

An adapter is one file, or one folder with an ``__init__.py``, that defines
``make_adapter(**options)``; options are strings. A file without a PEP 723 header runs with
segbench's interpreter, one with a header in the environment the header declares.

Standard library and numpy only, syntax of Python 3.9: this module also runs in the worker.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib.util
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from segbench.core import AdapterInfo, Answer, Image, Interactions, LabelMap
from segbench.errors import AdapterError, AdapterNotFound

HERE = Path(__file__).resolve().parent
SEARCH_PATH = (HERE.parent / "adapters", HERE / "_adapters")  # a checkout, then a wheel
SCHEMES = {"container": "image", "command": "command"}  # of --model -> an option of container
PEP_723 = re.compile(r"^# /// script\s*$", re.MULTILINE)


class Adapter(Protocol):
    """One model, able to segment one image at a time, prompt by prompt.

    With an attribute ``outlives_worker`` that is true it is closed also when its process is made
    to end: it holds what is no child of it, a container.
    """

    info: AdapterInfo

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Begin a new image; everything known of the last one is void."""

    def step(self, said: Interactions) -> LabelMap:
        """Return the label map after all that was said so far.

        The answer must be the same whether or not earlier steps were asked of this instance.
        """

    def close(self) -> None:
        """Release device memory and processes."""


class Seat(Protocol):
    """Something that can be asked: an adapter here, in a process, or in a container."""

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Show a new image; a failure to take it shows in the answers."""

    def ask(self, said: Interactions) -> Answer:
        """Return what the model answers, in an array that does not change afterwards.

        A failure is an answer, never an exception.
        """


# ---- from a name to a file -------------------------------------------------------------------


def names() -> list[str]:
    """Return the name of every adapter that can be found."""
    return sorted({name_of(file) for folder in SEARCH_PATH for file in _adapter_files(folder)})


def _adapter_files(folder: Path) -> list[Path]:
    return [*folder.glob("[!_]*.py"), *folder.glob("[!_]*/__init__.py")]


def name_of(file: Path) -> str:
    """Return the name of an adapter by its file."""
    return (file.parent if file.name == "__init__.py" else file).stem


def find(name: str) -> Path:
    """Return the file of an adapter: by name (hyphen = underscore), or by path to it.

    Raises
    ------
    AdapterNotFound
        With the nearest of the known names.
    """
    known = {name_of(file): file for folder in SEARCH_PATH[::-1] for file in _adapter_files(folder)}
    by_name = known.get(name.replace("-", "_"))
    if by_name is not None:
        return by_name
    for path in (Path(name), Path(name) / "__init__.py"):
        if path.suffix == ".py" and path.is_file():
            return path.resolve()
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise AdapterNotFound(
        f"no adapter {name!r}{hint} Known: {', '.join(sorted(known))}; "
        "or give a path to a .py file or to a folder with an __init__.py"
    )


def resolve(model: str) -> tuple[Path, dict[str, str]]:
    """Return the file of what ``--model`` names, and the options that its scheme stands for.

    ``container:IMAGE`` and ``command:TEMPLATE`` are served by the adapter ``container``.
    """
    scheme, colon, rest = model.partition(":")
    if colon and scheme in SCHEMES:
        return find("container"), {SCHEMES[scheme]: rest}
    return find(model), {}


def wants_own_environment(file: Path) -> bool:
    """Whether the adapter file declares its dependencies in a PEP 723 header."""
    return PEP_723.search(file.read_text(encoding="utf-8")) is not None


def source_sha256(file: Path) -> str:
    """Return the sha256 of an adapter's Python source: see ``sources_of``."""
    digest = hashlib.sha256()
    for source in sources_of(file):
        digest.update(source.relative_to(file.parent).as_posix().encode() + b"\0")
        digest.update(source.read_bytes() + b"\0")
    return digest.hexdigest()


def sources_of(file: Path) -> list[Path]:
    """Return all files of an adapter's folder; or its file and what it imports from beside it."""
    if file.name == "__init__.py":
        return sorted(file.parent.rglob("*.py"))
    found: set[Path] = set()
    left = [file]
    while left:
        source = left.pop()
        if source not in found:
            found.add(source)
            left += _imported_from_beside(source)
    return sorted(found)


def _imported_from_beside(file: Path) -> list[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:  # loading it will say so
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names += [node.module] if node.module else [alias.name for alias in node.names]
    beside = (file.with_name(f"{name}.py") for name in names)
    return [source for source in beside if source.is_file()]


# ---- from a file to an adapter ---------------------------------------------------------------


def load(file: Path, options: Mapping[str, str]) -> Adapter:
    """Import ``file`` in this process and make its adapter.

    Raises
    ------
    AdapterError
        If it defines no ``make_adapter`` or does not take the options.
    """
    module = import_file(file)
    make = getattr(module, "make_adapter", None)
    if make is None:
        raise AdapterError(f"{file}: expected a function make_adapter, found none")
    try:
        adapter: Adapter = make(**options)
    except TypeError as error:
        given = ", ".join(f"{key}={value}" for key, value in options.items()) or "none"
        raise AdapterError(f"{name_of(file)}: options given: {given}; {error}") from error
    if not isinstance(getattr(adapter, "info", None), AdapterInfo):
        raise AdapterError(f"{file}: expected adapter.info to be an AdapterInfo")
    return adapter


def import_file(file: Path) -> ModuleType:
    """Import an adapter's file in this process under the name that belongs to it.

    A single file is a package too, of its folder: ``from ._shared import ...`` finds a module that
    lies beside it, and each adapter has its own.
    """
    name = f"segbench_adapter_{name_of(file)}"
    places = [str(file.parent)]
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=places)
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and relative imports look it up
    spec.loader.exec_module(module)
    return module


class LocalSeat:
    """An adapter in this process, for debugging: a crash or a hang of the model is ours, too."""

    def __init__(self, file: Path, options: Mapping[str, str]) -> None:
        self._adapter = load(file, options)
        self.info = self._adapter.info
        self.surroundings: dict[str, Any] = {"versions": {"numpy": np.__version__}}
        self._shown: tuple[Image, tuple[int, ...]] | None = None

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember what to show; the first question shows it."""
        self._shown = (image, labels)

    def ask(self, said: Interactions) -> Answer:
        """Ask the adapter; what it raises becomes a failure."""
        began = time.perf_counter()
        try:
            if self._shown is not None:
                self._adapter.start(*self._shown)
                self._shown = None
            labels = np.array(self._adapter.step(said))  # a copy: the adapter may reuse its own
        except Exception as error:  # whatever a model raises is that model's failure
            return Answer(None, time.perf_counter() - began, f"raised {describe(error)}")
        return Answer(labels, time.perf_counter() - began)

    def close(self) -> None:
        """Close the adapter."""
        self._adapter.close()


def describe(error: BaseException) -> str:
    """Return an exception as one line: its kind and its words."""
    return f"{type(error).__name__}: {error}".strip()
