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

from segbench.core import Settings
from segbench.data.dataset import CaseFile, CaseSource
from segbench.errors import RunError
from segbench.messages import counted
from segbench.runs.config import RunConfig
from segbench.runs.job import JobSettings, ModelDescription
from segbench.runs.json_files import SCHEMA
from segbench.runs.manifest_json import Call, Data, GitState, Manifest, Protocol, Worker
from segbench.runs.run_folder import finished_cases, old_folder, read_manifest, write_manifest

IDENTITY = (
    *("protocol", "settings", "adapter", "adapter_source_sha256", "adapter_modules_sha256"),
    *("options", "boxes", "exact_sum"),
)
SOURCES = {"adapter_source_sha256", "adapter_modules_sha256"}
ABSENT = object()  # what stands for an option that was not given
PACKAGES = ("segbench", "numpy", "scipy", "connected-components-3d", "edt", "surface-distance")


def write_or_check(job: JobSettings, model: ModelDescription, cases: Sequence[CaseSource]) -> None:
    """Write the manifest, or check that the one in the folder is this run's and add this call.

    Raises
    ------
    RunError
        If the folder has another run, with every difference.
    """
    before = read_manifest(job.config.out)
    now = describe_run(job, model, cases)
    if before is not None:
        facts = asdict(now)
        _refuse_differences(job.config, before, {key: facts[key] for key in IDENTITY})
        now = replace(now, calls=(*before.calls, *now.calls))
    write_manifest(job.config.out, now)


def refuse_another_run(
    config: RunConfig, options: Mapping[str, str], source_sha256: str | None
) -> None:
    """Raise if the folder has another run, as far as that is known before a model is loaded.

    Raises
    ------
    RunError
        With every difference.
    """
    before = None if config.fresh else read_manifest(config.out)
    if before is not None:
        facts = {
            "protocol": asdict(_protocol(config.settings)),
            "settings": asdict(config.settings),
            "adapter_source_sha256": source_sha256,
            "options": dict(options),
            "boxes": config.boxes,
            "exact_sum": config.exact_sum,
        }
        _refuse_differences(config, before, facts)


def _protocol(settings: Settings) -> Protocol:
    return Protocol(settings.protocol, settings.version, settings.hash)


def describe_run(
    job: JobSettings, model: ModelDescription, cases: Sequence[CaseSource]
) -> Manifest:
    """Return the manifest of a run with this call only."""
    config, settings = job.config, job.config.settings
    return Manifest(
        schema=SCHEMA,
        protocol=_protocol(settings),
        settings=settings,
        adapter=model.info,
        adapter_source_sha256=job.source_sha256,
        adapter_modules_sha256=model.modules_sha256,
        options=dict(job.options),
        boxes=config.boxes,
        exact_sum=config.exact_sum,
        name=config.name or model.info.name,
        model=config.model,
        data=describe_data(config, cases),
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


def describe_data(config: RunConfig, cases: Sequence[CaseSource]) -> Data:
    """Return which cases there were; the result of each has the sha256 of its data."""
    lines = "".join(f"{_name_and_size(case)}\n" for case in cases)
    fingerprint = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
    places = tuple(map(str, config.data))
    references = str(config.references) if config.references else None
    if len({os.path.isabs(place) for place in places}) > 1:
        places = tuple(map(os.path.abspath, places))
    return Data(
        path=(os.path.commonpath(places) or ".") if places else "",
        files=places if len(places) > 1 else (),
        references=references,
        cases=len(cases),
        names_and_sizes_sha256=fingerprint,
    )


def _name_and_size(case: CaseSource) -> str:
    if not isinstance(case, CaseFile):
        return f"{case.name} {case.sha256()[0]}"
    try:
        return f"{case.name}.npz {case.file.stat().st_size}"
    except OSError:  # a broken link: refused when it is read
        return f"{case.name}.npz -1"


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


def _refuse_differences(config: RunConfig, before: Manifest, now: Mapping[str, Any]) -> None:
    """Raise if a run folder was made by something else than this call."""
    old = asdict(before)
    found = [line for key in now for line in _differences(key, old[key], now[key])]
    if not found:
        return
    source = old["adapter_source_sha256"]
    same_source = source is not None and source == now["adapter_source_sha256"]
    same_model = before.model == config.model
    if not same_model and not same_source:  # the same file may be given by another path
        found.insert(0, f"model was {before.model!r}, is now {config.model!r}")
    fresh = f"--fresh moves it to {old_folder(config.out)} and starts anew, or choose another --out"
    if same_model and {key for key in now if old[key] != now[key]} <= SOURCES:
        names = [file.stem for file in finished_cases(config.out)]
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise RunError(
            f"{config.out}: expected the source of {config.model} that made its "
            f"{counted(len(names), 'case')} ({shown}), found another; to run all again, {fresh}"
        )
    raise RunError(
        f"{config.out}: expected the run that its run.json describes, found another "
        f"({', '.join(found)}); {fresh}"
    )


def _differences(name: str, before: Any, now: Any) -> list[str]:
    if before == now:
        return []
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted(before.keys() | now.keys())
        return [
            line
            for key in keys
            for line in _differences(f"{name}.{key}", before.get(key, ABSENT), now.get(key, ABSENT))
        ]
    was, is_now = ("not given" if each is ABSENT else repr(each) for each in (before, now))
    return [f"{name} was {was}, is now {is_now}"]
