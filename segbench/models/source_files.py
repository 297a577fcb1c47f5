"""What an adapter's code is: its source files, and other modules of its author that it loads.

Standard library only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

from segbench.models.adapter_source import adapter_package, parse_source

HERE = Path(__file__).resolve().parents[1]
SEGBENCH = (HERE, HERE.with_name("segbench_adapters"))
INSTALLED = {"site-packages", "dist-packages"}
# a module's source is that of its import: when the file is edited, the loaded one stays
_digests: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()
_loaded_for: dict[Path, set[str]] = {}  # adapter -> modules; another load finds them imported


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


@dataclass(frozen=True)
class Imports:
    """What is imported, and from which folders a module can be, before an adapter is loaded."""

    modules: frozenset[str]
    folders: tuple[Path, ...]


def imports_now() -> Imports:
    """Return the state of this process's imports."""
    # an editable installation has a finder with the folders of its packages, if not a path
    finders = [module for name, module in list(sys.modules.items()) if "__editable___" in name]
    mapped = [path for each in finders for path in getattr(each, "MAPPING", {}).values()]
    folders = tuple(Path(path).resolve() for path in [*sys.path, *mapped])
    return Imports(frozenset(sys.modules), folders)


def own_modules_sha256(file: Path, before: Imports) -> str | None:
    """Return a sha256 of the names and contents of the modules that an adapter has loaded.

    Counted are modules of its author that are not among `sources_of`: those from the adapter's
    folder, ``PYTHONPATH`` or an editable installation, but not those that are installed, of the
    standard library or of segbench. None if there are none.
    """
    names = _loaded_for.setdefault(file, set())
    names |= sys.modules.keys() - before.modules
    counted_already = {source.resolve() for source in sources_of(file)}
    found = {
        module.__name__: _digest(module, source)
        for module, source in _modules_with_source(names, adapter_package(file))
        if source not in counted_already
        and _is_own(source, (file.resolve().parent, *before.folders))
    }
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(found.items()))
    return hashlib.sha256(lines.encode()).hexdigest() if found else None


def _modules_with_source(names: set[str], package: str) -> Iterator[tuple[ModuleType, Path]]:
    """Yield the loaded modules among ``names`` and in a package, with the files of their source."""
    for name, module in list(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if isinstance(source, str) and (name in names or name.startswith(f"{package}.")):
            path = Path(source).resolve()
            if path.suffix == ".py" and path.is_file() and name != "__main__":
                yield module, path


def _is_own(source: Path, folders: tuple[Path, ...]) -> bool:
    """Whether a module in one of the folders is its author's, and not installed."""
    standard = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")]
    others = [*standard, *SEGBENCH]
    if INSTALLED & set(source.parts) or any(each in source.parents for each in others):
        return False
    return any(each in source.parents for each in folders)


def _digest(module: ModuleType, source: Path) -> str:
    if module not in _digests:
        _digests[module] = hashlib.sha256(source.read_bytes()).hexdigest()
    return _digests[module]
