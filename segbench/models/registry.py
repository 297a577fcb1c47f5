"""Find the file of an adapter by name.

An adapter is one file, or one folder with an ``__init__.py``, that defines ``make_adapter``. A
file without a PEP 723 header runs with the interpreter of segbench, a file with one in the
environment that the header declares.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from segbench.errors import AdapterNotFound
from segbench.messages import nearest
from segbench.models.adapter_source import adapter_name
from segbench.models.adapter_source import has_own_environment as has_own_environment
from segbench.models.source_files import source_sha256 as source_sha256
from segbench.models.source_files import sources_of as sources_of

PACKAGE = Path(__file__).resolve().parents[1]
SEARCH_PATH = (PACKAGE.parent / "adapters", PACKAGE / "_adapters")  # in a checkout, in a wheel
# prefix of --model -> the option of the adapter `container` that gets the rest
SCHEMES = {"container": "image", "command": "command"}
WEIGHTS_SUFFIXES = {".pth", ".pt", ".ckpt", ".safetensors", ".onnx", ".bin", ".h5", ".pkl", ".tar"}


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
    raise AdapterNotFound(
        f"model {name!r}: expected an adapter's name, or the path of a .py file or of a folder "
        f"with an __init__.py, found {_what_is(name)}; {_advice(name, known)}"
    )


def _advice(name: str, known: Iterable[str]) -> str:
    """Return what to do about a value that names no adapter."""
    path = Path(name)
    if path.suffix in WEIGHTS_SUFFIXES:
        return "an adapter is a .py file that loads such weights: docs/adapters.md"
    is_path = bool(path.suffix) or len(path.parts) > 1
    suggested = {each: each for each in known}
    for file in _adapter_files(path.parent):
        near = file.parent if file.name == "__init__.py" else file
        suggested[near.name if is_path else near.stem] = str(near)
    most_similar = nearest(path.name, suggested)
    hint = f"did you mean {suggested[most_similar]!r}? " if most_similar else ""
    return f"{hint}segbench models lists the names"


def _what_is(name: str) -> str:
    """Return what is in the place of a path that is no adapter's."""
    path = Path(name)
    if path.is_dir():
        return "a folder without it"
    if path.is_file():
        return "another file"
    return "no such file" if path.suffix or len(path.parts) > 1 else "none of that name"
