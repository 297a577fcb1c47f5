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

from platformdirs import user_cache_path

from segbench.activity import Activity, silent
from segbench.errors import AdapterError
from segbench.models.adapter_source import adapter_name
from segbench.models.registry import has_own_environment

HEADER = re.compile(r"^# /// script\s*\n(?P<toml>(?:#.*\n)*?)# ///\s*$", re.MULTILINE)


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
        If the environment cannot be built, with the message of uv.
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
                f"{file.name} declares its own dependencies (PEP 723), which needs uv: "
                "pip install uv, or name an interpreter that has them with --python"
            )
        name = adapter_name(file)
        with activity(f"building the environment of {name} with uv (once, can take minutes)"):
            _build(file, folder, python, uv)
    return python


def _build(file: Path, folder: Path, python: Path, uv: str) -> None:
    """Build the environment of the header, in the versions of the lock if there is one."""
    requires_python = tomllib.loads(_header(file)).get("requires-python", "")
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


def _header(file: Path) -> str:
    """Return the TOML of an adapter's PEP 723 header.

    Raises
    ------
    AdapterError
        If the header has no end.
    """
    match = HEADER.search(file.read_text(encoding="utf-8"))
    if match is None:
        raise AdapterError(f"{file.name}: expected its PEP 723 header to end with '# ///'")
    return re.sub("^# ?", "", match["toml"], flags=re.MULTILINE)


def _run(command: list[str], file: Path) -> None:
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise AdapterError(
            f"{file.name}: its environment cannot be built: {process.stderr.strip()}"
        )
