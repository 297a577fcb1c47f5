"""Find the file of an adapter by name, and its source files.

An adapter is one file, or one folder with an ``__init__.py``, that defines ``make_adapter``. A
file without a PEP 723 header runs with the interpreter of segbench, a file with one in the
environment that the header declares.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import os
from pathlib import Path

from segbench.errors import AdapterNotFound
from segbench.models.adapter_source import adapter_name, parse_source
from segbench.models.adapter_source import has_own_environment as has_own_environment

PACKAGE = Path(__file__).resolve().parents[1]
SEARCH_PATH = (PACKAGE.parent / "adapters", PACKAGE / "_adapters")  # in a checkout, in a wheel
# prefix of --model -> the option of the adapter `container` that gets the rest
SCHEMES = {"container": "image", "command": "command"}


def adapter_names() -> list[str]:
    """Return the name of every adapter that can be found."""
    return sorted({adapter_name(file) for folder in SEARCH_PATH for file in _adapter_files(folder)})


def _adapter_files(folder: Path) -> list[Path]:
    return [*folder.glob("[!_]*.py"), *folder.glob("[!_]*/__init__.py")]


def find_adapter(name: str) -> Path:
    """Return the file of an adapter, by name or by path; a hyphen counts as an underscore.

    Raises
    ------
    AdapterNotFound
        With the most similar known name.
    """
    known = {
        adapter_name(file): file for folder in SEARCH_PATH[::-1] for file in _adapter_files(folder)
    }
    by_name = known.get(name.replace("-", "_"))
    if by_name is not None:
        return by_name
    for path in (Path(name), Path(name) / "__init__.py"):
        if path.suffix == ".py" and path.is_file():
            return path.resolve()
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise AdapterNotFound(
        f"no adapter {name!r}{hint} Known: {', '.join(sorted(known))}; "
        "or give a path to a .py file or to a folder with an __init__.py"
    )


def source_sha256(file: Path) -> str:
    """Return the sha256 of an adapter's Python source: see ``sources_of``."""
    digest = hashlib.sha256()
    for source in sources_of(file):
        digest.update(Path(os.path.relpath(source, file.parent)).as_posix().encode() + b"\0")
        digest.update(source.read_bytes() + b"\0")
    return digest.hexdigest()


def sources_of(file: Path) -> list[Path]:
    """Return an adapter's file, or all Python files of its folder, and their relative imports."""
    sources: set[Path] = set()
    file = file.absolute()
    pending = [*file.parent.rglob("*.py")] if file.name == "__init__.py" else [file]
    while pending:
        source = pending.pop()
        if source not in sources:
            sources.add(source)
            pending += _relative_imports(source)
    return sorted(sources)


def _relative_imports(file: Path) -> list[Path]:
    modules = []
    for node in ast.walk(parse_source(file)):
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(file.parents):
            package = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            modules += [package, *(package / alias.name for alias in node.names)]
    sources = [source for each in modules for source in (Path(f"{each}.py"), each / "__init__.py")]
    return [source for source in sources if source.is_file()]
