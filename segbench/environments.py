"""The interpreter an adapter runs with: segbench's, a named one, or one that uv builds for it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from segbench.adapter import wants_own_environment
from segbench.errors import AdapterError


def interpreter_of(file: Path, python: Path | None) -> Path:
    """Return the interpreter an adapter runs with: the named one, its own, or segbench's.

    Raises
    ------
    AdapterError
        If its PEP 723 environment cannot be built, with uv's words.
    """
    if python is not None:
        return python
    return _own_interpreter(file) if wants_own_environment(file) else Path(sys.executable)


def readiness(file: Path, needs: Sequence[str] = ()) -> str:
    """Return "ready", or what is still missing before the adapter can be loaded.

    Builds nothing and imports nothing. ``needs`` are the modules that an adapter without a
    PEP 723 header imports beyond what segbench brings.
    """
    if not wants_own_environment(file):
        missing = [name for name in needs if importlib.util.find_spec(name) is None]
        return f"needs {', '.join(missing)}" if missing else "ready"
    uv = _uv()
    if uv is None:
        return "needs uv, or --python"
    command = [uv, "sync", "--quiet", "--offline", "--check", "--script", str(file)]
    built = subprocess.run(command, capture_output=True, check=False).returncode == 0
    return "ready" if built else "not built, the first run does it"


def _uv() -> str | None:
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def _own_interpreter(file: Path) -> Path:
    uv = _uv()
    if uv is None:
        raise AdapterError(
            f"{file.name} declares its own dependencies (PEP 723), which needs uv: "
            "pip install uv, or name an interpreter that has them with --python"
        )
    _run([uv, "sync", "--quiet", "--script", str(file)], file)
    return Path(_run([uv, "python", "find", "--script", str(file)], file).strip())


def _run(command: list[str], file: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AdapterError(f"{file.name}: its environment cannot be built: {done.stderr.strip()}")
    return done.stdout
