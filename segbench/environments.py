"""The interpreter an adapter runs with: segbench's, a named one, or one that uv builds for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
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


def _own_interpreter(file: Path) -> Path:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
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
