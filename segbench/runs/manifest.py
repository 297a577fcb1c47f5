"""How a run was made: the facts of ``run.json``, and which of them a continued run must share."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from segbench.core import AdapterInfo, Settings
from segbench.data.dataset import CaseFile
from segbench.errors import RunError

IDENTITY = (
    "protocol",
    "settings",
    "adapter",
    "adapter_source_sha256",
    "options",
    "boxes",
    "exact_sum",
)
PACKAGES = ("segbench", "numpy", "scipy", "connected-components-3d", "edt", "surface-distance")


def describe_protocol(settings: Settings) -> dict[str, Any]:
    """Return the protocol's name, version and content hash."""
    return {"name": settings.protocol, "version": settings.version, "hash": settings.hash}


def describe_adapter(info: AdapterInfo) -> dict[str, Any]:
    """Return what the adapter says of itself, as JSON has it."""
    return {**asdict(info), "prompts": list(info.prompts)}


def describe_data(
    folder: Path, references: Path | None, cases: Sequence[CaseFile]
) -> dict[str, Any]:
    """Return which cases there were; each done case carries the sha256 of its file besides."""
    lines = "".join(f"{case.file.name} {_size(case.file)}\n" for case in cases)
    fingerprint = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
    return {
        "path": str(folder),
        "references": str(references) if references else None,
        "cases": len(cases),
        "names_and_sizes_sha256": fingerprint,
    }


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # a link to nowhere: refused when it is read
        return -1


def describe_machine() -> dict[str, Any]:
    """Return the versions, the machine and the state of the source that make the run."""
    return {
        "versions": {"python": platform.python_version()} | _versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "git": git_state(Path(__file__).resolve().parents[2]),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a bare checkout
            found[package] = "not installed"
    return found


def git_state(checkout: Path) -> dict[str, Any] | None:
    """Return the commit of a checkout and whether it has changes; None if it is no checkout."""
    if not (checkout / ".git").exists():
        return None
    commit = _git(checkout, "rev-parse", "HEAD")
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "changed": bool(changes)}


def _git(checkout: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", checkout, *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def refuse_another_run(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise if a run folder was made by something else than what would continue it now.

    Raises
    ------
    RunError
        With every difference by name.
    """
    found = [line for key in IDENTITY for line in _differences(key, before.get(key), now[key])]
    if found:
        raise RunError(
            f"{folder} holds another run; choose another --out, or remove it. Different: "
            + "; ".join(found)
        )


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if before == now:
        return []
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted(before.keys() | now.keys())
        return [
            line
            for key in keys
            for line in _differences(f"{name}.{key}", before.get(key), now.get(key))
        ]
    return [f"{name} was {before!r}, is now {now!r}"]
