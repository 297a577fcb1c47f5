"""The interpreter of an adapter: that of segbench, a given one, or one that uv builds."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from segbench.activity import Activity, silent
from segbench.errors import AdapterError
from segbench.files import write_text
from segbench.messages import named, one_line
from segbench.models.adapter_source import adapter_name, read_source
from segbench.models.registry import has_own_environment

HEADER = re.compile(r"^# /// script\s*\n(?P<toml>(?:#.*\n)*?)# ///\s*$", re.MULTILINE)

MAX_CHARACTERS = 400  # of uv's message; its log has the rest


def find_interpreter(
    file: Path, python: Path | None, *, path: str | None = None, activity: Activity = silent
) -> Path:
    """Return the interpreter of an adapter, and build its environment if necessary.

    Parameters
    ----------
    file : Path
        The adapter; the PEP 723 header declares its environment.
    python : Path, optional
        An interpreter that takes precedence. Without it, and without a header, the result is the
        interpreter of segbench.
    path : str, optional
        The folders of uv, as in ``PATH``; by default those of ``PATH`` and the folder of the
        interpreter of segbench.
    activity : Activity
        Says that an environment is built.

    Raises
    ------
    AdapterError
        If the environment cannot be built, with the beginning of uv's message and its log.
    """
    if python is not None:
        return python
    if not has_own_environment(file):
        return Path(sys.executable)
    return _environment_interpreter(file, path, activity)


def readiness(file: Path, needs: Sequence[str] = (), *, path: str | None = None) -> str:
    """Return "ready", or what is missing before the adapter can be loaded.

    Builds nothing and imports nothing. ``needs`` are the modules that an adapter without a
    PEP 723 header imports in addition to the dependencies of segbench; ``path`` is that of
    `find_interpreter`.
    """
    if not has_own_environment(file):
        missing = [name for name in needs if importlib.util.find_spec(name) is None]
        return f"needs {', '.join(missing)}" if missing else "ready"
    if _is_built(file):
        return "ready"
    return "needs uv, or --python" if _find_uv(path) is None else "not built, the first run does it"


def _find_uv(path: str | None) -> str | None:
    if path is not None:
        return shutil.which("uv", path=path)
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def lock_of(file: Path) -> Path:
    """Return the file of an adapter's locked versions, whether it exists or not.

    A list of versions without URLs and hashes, so that it works with pip and uv, and with every
    build of torch.
    """
    return file.with_name("model.lock" if file.name == "__init__.py" else f"{file.stem}.lock")


def _environment_interpreter(file: Path, path: str | None, activity: Activity) -> Path:
    folder = _environment_folder(file)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not _is_built(file):
        uv = _find_uv(path)
        if uv is None:
            raise AdapterError(
                f"{file.name}: expected uv, which builds the environment that its header (PEP 723) "
                "declares, found none; pip install uv, or name an interpreter that has the "
                "packages with --python"
            )
        name = adapter_name(file)
        with activity(f"building the environment of {name} with uv (once, can take minutes)"):
            _build(file, folder, python, uv)
    return python


def _build(file: Path, folder: Path, python: Path, uv: str) -> None:
    """Build the environment of the header, in the versions of the lock if there is one."""
    requires_python = _declared(file).get("requires-python", "")
    version = ["--python", requires_python] if requires_python else []
    lock = ["--constraints", str(lock_of(file))] if lock_of(file).exists() else []
    _run([uv, "venv", "--quiet", "--allow-existing", *version, str(folder)], file)
    packages = ["--requirements", str(file), *lock]
    _run([uv, "pip", "install", "--quiet", "--python", str(python), *packages], file)
    (folder / "built").touch()


def _is_built(file: Path) -> bool:
    return (_environment_folder(file) / "built").exists()


def _environment_folder(file: Path) -> Path:
    """Return the folder of the environment: another header or lock has another folder."""
    lock = lock_of(file).read_bytes() if lock_of(file).exists() else b""
    digest = hashlib.sha256(_header(file).encode() + lock).hexdigest()[:16]
    return user_cache_path("segbench") / "environments" / f"{adapter_name(file)}-{digest}"


def refuse_invalid_header(file: Path) -> None:
    """Refuse an adapter whose PEP 723 header says nothing that uv can build.

    Raises
    ------
    AdapterError
        If the header has no end, is no TOML, or has other types than PEP 723 says; or if the file
        cannot be read.
    """
    if has_own_environment(file):
        _declared(file)


def _declared(file: Path) -> dict[str, Any]:
    """Return what an adapter's PEP 723 header declares."""
    try:
        table = tomllib.loads(_header(file))
    except tomllib.TOMLDecodeError as error:
        raise AdapterError(
            f"{file.name}: expected TOML in its PEP 723 header, found {named(error)}"
        ) from None
    packages = table.get("dependencies", [])
    if not isinstance(packages, list) or not all(isinstance(each, str) for each in packages):
        raise AdapterError(
            f"{file.name}: expected dependencies in its PEP 723 header to be a list of text, found "
            f"{packages!r}"
        )
    version = table.get("requires-python", "")
    if not isinstance(version, str):
        raise AdapterError(
            f"{file.name}: expected requires-python in its PEP 723 header to be text, found "
            f"{version!r}"
        )
    return table


def _header(file: Path) -> str:
    """Return the TOML of an adapter's PEP 723 header.

    Raises
    ------
    AdapterError
        If the header has no end.
    """
    match = HEADER.search(read_source(file))
    if match is None:
        raise AdapterError(
            f"{file.name}: expected its PEP 723 header to end with '# ///', found no such line"
        )
    return re.sub("^# ?", "", match["toml"], flags=re.MULTILINE)


def _run(command: list[str], file: Path) -> None:
    unwrapped = os.environ | {"UV_NO_WRAP": "1"}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=unwrapped)
    if process.returncode != 0:
        folder = _environment_folder(file)
        log = folder.with_name(f"{folder.name}.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        write_text(log, process.stderr)
        raise AdapterError(
            f"{file.name}: expected an environment that uv can build, found "
            f"{_first_paragraph(process.stderr)}; {log} has all that uv says"
        )


def _first_paragraph(message: str) -> str:
    """Return the error and its causes in one line; hints of uv come below an empty line."""
    paragraph = message.strip().partition("\n\n")[0]
    text = one_line(re.sub(r"^[ │×╰─▶├]+", "", paragraph, flags=re.MULTILINE))
    text = text.removeprefix("error: ").rstrip(".") or "an exit status other than 0"
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} ..."
