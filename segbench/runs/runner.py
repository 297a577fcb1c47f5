"""All cases of one run: which are to do, one after another or many at a time, and their results.

A finished case is on disk before the next begins; running the same request again does what is
missing.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench import threads
from segbench.core import CaseResult, Policy, Settings, sum_in_order
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile, find_cases, sha256_of
from segbench.errors import CaseError, RunError
from segbench.models.environments import interpreter_of
from segbench.models.loading import adapter_name
from segbench.models.registry import SCHEMES, find, resolve_model, source_sha256
from segbench.models.worker_process import WorkerConfig
from segbench.runs import manifest, metrics_csv, run_folder
from segbench.runs.backends import PendingCases, share_out
from segbench.runs.run_case import CrashedCase, JobSettings, result_time, seat_of

KEEP = ("all", "final", "none")
BOXES = ("given", "none")


@dataclass(frozen=True)
class RunConfig:
    """What the user asks for; docs/run.md explains every field."""

    model: str
    data: Path
    out: Path
    name: str | None = None
    references: Path | None = None
    options: dict[str, str] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    limit: int | None = None
    jobs: int = 1
    threads: int | None = None  # of each model; None: see segbench.threads
    python: Path | None = None
    in_process: bool = False
    step_timeout: float = 900.0
    predictions: str = "all"
    boxes: str = "given"
    exact_sum: bool = False
    retry_failed: bool = False
    wait: bool = True  # for cases that another runner on the folder has
    policy: Policy = Policy()
    settings: Settings = Settings()
    command: str = ""


@dataclass(frozen=True)
class RunSummary:
    """What a run came to, over all of its cases, whoever did them."""

    run: run_folder.Run
    broken: tuple[CrashedCase, ...]
    elsewhere: tuple[str, ...]  # left to another runner on the same folder

    @property
    def clean(self) -> bool:
        """Whether every case was done and valid, and every step answered."""
        done = not self.broken and not self.elsewhere
        return done and all(case.status == "ok" for case in self.run.cases)


Watch = Callable[[CaseResult], None]


# ---- the run ---------------------------------------------------------------------------------


def default_out(model: str) -> Path:
    """Return where a run goes when nobody says: runs/<model>."""
    scheme, _, rest = model.partition(":")
    plain = re.sub(r"[^\w.-]+", "-", rest).strip("-") if scheme in SCHEMES else ""
    return Path("runs") / (plain or adapter_name(find(model)))


def run(
    request: RunConfig, watch: Watch = lambda _: None, *, todo: PendingCases | None = None
) -> RunSummary:
    """Do every case of the request that its folder does not have yet.

    Parameters
    ----------
    request : Request
        What to run, on what, and where the run folder is.
    watch : callable
        Called with each case as it is finished.
    todo : Todo, optional
        What `look` found, if it has just been asked.

    Raises
    ------
    CaseError
        If there is no case to run.
    AdapterNotFound, AdapterError
        If the model cannot be found or loaded.
    RunError
        If the folder holds another run, or a case it has done has changed since.
    """
    todo = todo or look(request)
    plan = make_plan(request)
    _enrol(request, plan)
    broken: list[CrashedCase] = []
    for result in share_out(todo, plan, request.jobs, wait=request.wait):
        if isinstance(result, CrashedCase):
            broken.append(result)
        else:
            watch(result)
        _log(request.out, result)
    return _conclude(request, todo, broken)


def look(request: RunConfig) -> PendingCases:
    """Find out what is to do, without loading a model or writing anything.

    Raises
    ------
    RunError
        If a case that is done has changed since, or is not in the data.
    """
    _refuse_strangers(request)
    cases = find_cases(
        request.data,
        references=request.references,
        patterns=request.patterns,
        limit=request.limit,
    )
    done = [case for case in cases if _is_done(case, request)]
    names = {case.name for case in done}
    todo = tuple(case for case in cases if case.name not in names)
    stamps = {case.name: result_time(request.out, case.name) for case in todo}
    return PendingCases(
        cases=todo,
        done=tuple(sorted(names)),
        largest_mb=max(map(_size_mb, todo), default=0.0),
        stamps={name: stamp for name, stamp in stamps.items() if stamp is not None},
    )


def _refuse_strangers(request: RunConfig) -> None:
    """Raise if the folder holds cases of another run or of other data: means would mix silently."""
    done = {file.stem for file in (request.out / "cases").glob("[!.]*.json")}
    if done and run_folder.read_manifest(request.out) is None:
        raise RunError(
            f"{request.out} holds {len(done)} cases and no run.json that says how they were made; "
            "choose another --out, or remove them"
        )
    strangers = sorted(done - {case.name for case in find_cases(request.data)})
    if strangers:
        raise RunError(
            f"{request.out} holds {len(strangers)} cases that are not in {request.data}, "
            f"{strangers[0]} first; choose another --out, or remove them from {request.out}/cases"
        )


def _is_done(source: CaseFile, request: RunConfig) -> bool:
    file = run_folder.case_file(request.out, source.name)
    if not file.exists():
        return False
    before = run_folder.read_case_result(file)
    if request.retry_failed and before.status != "ok":
        return False
    _refuse_change(source.file, before.file_sha256, request.out)
    if source.reference_file is not None or before.reference_sha256 is not None:
        reference = source.reference_file or source.file
        _refuse_change(reference, before.reference_sha256 or before.file_sha256, request.out)
    return True


def _refuse_change(file: Path, expected: str, out: Path) -> None:
    """Raise if a file is not the one it was; none is expected of what could not be read."""
    found = sha256_of(file) if expected else expected
    if found != expected:
        raise RunError(
            f"{file} is not the file that {out} was made with: expected sha256 {expected}, "
            f"found {found}; put it back, choose another --out, or remove the case from {out}/cases"
        )


def _size_mb(source: CaseFile) -> float:
    """Return what the arrays of a case take: image, reference, answers made, judged and stored."""
    try:
        with ChallengeFile(source.file) as file:
            voxels, labels = file.size("imgs"), file.size("gts") or file.size("imgs")
    except CaseError:
        return 0.0
    return (voxels + 8 * labels) / 2**20


def make_plan(request: RunConfig) -> JobSettings:
    """Find the adapter and its interpreter, and share the processors between the jobs."""
    if request.predictions not in KEEP:
        raise RunError(f"predictions: expected one of {KEEP}, found {request.predictions!r}")
    if request.boxes not in BOXES:
        raise RunError(f"boxes: expected one of {BOXES}, found {request.boxes!r}")
    if request.in_process and request.jobs > 1:
        raise RunError("in_process is for one case at a time: expected jobs 1")
    adapter, implied = resolve_model(request.model)
    environment = WorkerConfig(
        python=interpreter_of(adapter, request.python),
        step_timeout=request.step_timeout,
        threads=threads.of_each_model(request.jobs, request.threads),
    )
    return JobSettings(
        out=request.out,
        adapter=adapter,
        options=tuple(sorted((implied | request.options).items())),
        environment=environment,
        in_process=request.in_process,
        predictions=request.predictions,
        boxes=request.boxes,
        exact_sum=request.exact_sum,
        settings=request.settings,
        parent=os.getpid() if request.jobs > 1 else None,
    )


def _enrol(request: RunConfig, plan: JobSettings) -> None:
    """Write the manifest, or see that the one there is this run's and note this call in it."""
    before = run_folder.read_manifest(request.out)
    facts = _facts(request, plan)
    if before is not None:
        manifest.refuse_another_run(request.out, before, facts)
    calls = [*(before or {}).get("calls", ()), _call(request, plan)]
    run_folder.write_manifest(request.out, {**facts, "calls": calls})


def _facts(request: RunConfig, plan: JobSettings) -> dict[str, Any]:
    seat = seat_of(plan)
    everything = find_cases(request.data, references=request.references)
    return {
        "name": request.name or seat.info.name,
        "model": request.model,
        "protocol": manifest.describe_protocol(request.settings),
        "settings": vars(request.settings),
        "adapter": manifest.describe_adapter(seat.info),
        "adapter_source_sha256": source_sha256(plan.adapter),
        "options": dict(plan.options),
        "boxes": request.boxes,
        "exact_sum": request.exact_sum,
        "data": manifest.describe_data(request.data, request.references, everything),
    }


def _call(request: RunConfig, plan: JobSettings) -> dict[str, Any]:
    """Return what may differ between the calls that made a run, this one's part."""
    return {
        "command": request.command,
        "predictions": request.predictions,
        "policy": vars(request.policy),
        "jobs": request.jobs,
        "threads": plan.environment.threads,
        "step_timeout": request.step_timeout,
        "worker": seat_of(plan).surroundings,
        **manifest.describe_machine(),
    }


def _conclude(request: RunConfig, todo: PendingCases, broken: Sequence[CrashedCase]) -> RunSummary:
    run_ = run_folder.read_run(request.out)
    table = metrics_csv.table(run_.cases, request.policy, request.settings)
    run_folder.write_text(request.out / "metrics.csv", table)
    finished = {case.case for case in run_.cases} | {case.case for case in broken}
    elsewhere = tuple(case.name for case in todo.cases if case.name not in finished)
    return RunSummary(run_, tuple(broken), elsewhere)


def _log(out: Path, result: CaseResult | CrashedCase) -> None:
    if isinstance(result, CrashedCase):
        line = f"{result.case} broken\n{result.traceback}"
    else:
        spent = sum_in_order(result.seconds.values())
        line = f"{result.case} {result.status} {spent:.1f}s {result.reason or ''}".rstrip()
    with (out / "run.log").open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")
