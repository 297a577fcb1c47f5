"""How a run was made: ``run.json``, and which of its facts a continued run must share."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from segbench.data.dataset import CaseFile
from segbench.errors import RunError
from segbench.runs.job import JobSettings, ModelDescription
from segbench.runs.json_files import SCHEMA
from segbench.runs.manifest_json import Call, Data, GitState, Manifest, Protocol, Worker
from segbench.runs.run_folder import read_manifest, write_manifest

IDENTITY = (
    *("protocol", "settings", "adapter", "adapter_source_sha256", "options", "boxes"),
    "exact_sum",
)
PACKAGES = ("segbench", "numpy", "scipy", "connected-components-3d", "edt", "surface-distance")


def write_or_check(job: JobSettings, model: ModelDescription, cases: Sequence[CaseFile]) -> None:
    """Write the manifest, or check that the one in the folder is this run's and add this call.

    Raises
    ------
    RunError
        If the folder has another run, with every difference.
    """
    before = read_manifest(job.config.out)
    now = describe_run(job, model, cases)
    if before is not None:
        _refuse_another_run(job.config.out, before, now)
        now = replace(now, calls=(*before.calls, *now.calls))
    write_manifest(job.config.out, now)


def describe_run(job: JobSettings, model: ModelDescription, cases: Sequence[CaseFile]) -> Manifest:
    """Return the manifest of a run with this call only."""
    config, settings = job.config, job.config.settings
    return Manifest(
        schema=SCHEMA,
        protocol=Protocol(settings.protocol, settings.version, settings.hash),
        settings=settings,
        adapter=model.info,
        adapter_source_sha256=job.source_sha256,
        options=dict(job.options),
        boxes=config.boxes,
        exact_sum=config.exact_sum,
        name=config.name or model.info.name,
        model=config.model,
        data=describe_data(config.data, config.references, cases),
        calls=(describe_call(job, model),),
    )


def describe_call(job: JobSettings, model: ModelDescription) -> Call:
    """Return what may differ between the calls of one run."""
    config = job.config
    return Call(
        command=config.command,
        predictions=config.predictions,
        policy=config.policy,
        jobs=config.jobs,
        threads=job.worker.threads,
        step_timeout=config.step_timeout,
        worker=cast(Worker, model.environment),  # of another process; checked when it is written
        versions={"python": platform.python_version()} | _versions(),
        platform=platform.platform(),
        processors=os.cpu_count(),
        git=git_state(Path(__file__).resolve().parents[2]),
        written=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def describe_data(folder: Path, references: Path | None, cases: Sequence[CaseFile]) -> Data:
    """Return which cases there were; the result of each has the sha256 of its file."""
    lines = "".join(f"{case.file.name} {_size(case.file)}\n" for case in cases)
    fingerprint = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
    return Data(str(folder), str(references) if references else None, len(cases), fingerprint)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # a broken link: refused when it is read
        return -1


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a bare checkout
            found[package] = "not installed"
    return found


def git_state(checkout: Path) -> GitState | None:
    """Return the commit of a checkout and whether it has changes; None if it is none."""
    if not (checkout / ".git").exists():
        return None
    commit = _git(checkout, "rev-parse", "HEAD")
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else GitState(commit, bool(changes))


def _git(checkout: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", checkout, *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _refuse_another_run(folder: Path, before: Manifest, now: Manifest) -> None:
    """Raise if a run folder was made by something else than this call.

    Raises
    ------
    RunError
        With every difference.
    """
    old, new = asdict(before), asdict(now)
    found = [line for key in IDENTITY for line in _differences(key, old[key], new[key])]
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
