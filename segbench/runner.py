"""All cases of one run: which are to do, one after another or many at a time, and their results.

A finished case is on disk before the next begins; running the same request again does what is
missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from segbench import manifest, official, results
from segbench.adapter import find, source_sha256
from segbench.challenge import ChallengeFile
from segbench.core import CaseResult, Policy, Settings
from segbench.dataset import CaseFile, find_cases, sha256_of
from segbench.environments import interpreter_of
from segbench.errors import CaseError, RunError
from segbench.evaluation import Broken, Plan, close_seats, run_case, seat_of
from segbench.workplace import Environment

KEEP = ("all", "final", "none")
RESTARTS = 3  # of the pool, when one of its processes was killed (out of memory, say)


@dataclass(frozen=True)
class Request:
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
    python: Path | None = None
    in_process: bool = False
    step_timeout: float = 900.0
    predictions: str = "all"
    exact_sum: bool = False
    retry_failed: bool = False
    policy: Policy = Policy()
    settings: Settings = Settings()
    command: str = ""


@dataclass(frozen=True)
class Todo:
    """Which cases a run would do, which it has, and what the largest of them takes in memory."""

    cases: tuple[CaseFile, ...]
    done: tuple[str, ...]
    largest_mb: float


@dataclass(frozen=True)
class Outcome:
    """What a run came to, over all of its cases, whoever did them."""

    run: results.Run
    broken: tuple[Broken, ...]
    elsewhere: tuple[str, ...]  # being done by another runner on the same folder

    @property
    def clean(self) -> bool:
        """Whether every case of the run was valid and every step answered."""
        return not self.broken and all(case.status == "ok" for case in self.run.cases)


Watch = Callable[[CaseResult], None]


# ---- the run ---------------------------------------------------------------------------------


def default_out(model: str) -> Path:
    """Return where a run goes when nobody says: runs/<model>."""
    return Path("runs") / Path(model).stem


def run(request: Request, watch: Watch = lambda _: None, *, todo: Todo | None = None) -> Outcome:
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
    _enrol(request, plan, todo)
    broken = []
    for result in _work(todo.cases, plan, request.jobs):
        if isinstance(result, Broken):
            broken.append(result)
        elif result is not None:
            watch(result)
        _log(request.out, result)
    return _conclude(request, todo, broken)


def look(request: Request) -> Todo:
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
    return Todo(todo, tuple(sorted(names)), max(map(_size_mb, todo), default=0.0))


def _refuse_strangers(request: Request) -> None:
    """Raise if the folder holds cases of other data: their means would mix silently."""
    done = {file.stem for file in (request.out / "cases").glob("[!.]*.json")}
    strangers = sorted(done - {case.name for case in find_cases(request.data)})
    if strangers:
        raise RunError(
            f"{request.out} holds {len(strangers)} cases that are not in {request.data}, "
            f"{strangers[0]} first; choose another --out, or remove them from {request.out}/cases"
        )


def _is_done(source: CaseFile, request: Request) -> bool:
    file = results.case_file(request.out, source.name)
    if not file.exists():
        return False
    before = results.read_case_result(file)
    if request.retry_failed and before.status != "ok":
        return False
    _refuse_change(source.file, before.file_sha256, request.out)
    if source.reference_file is not None:
        _refuse_change(source.reference_file, before.reference_sha256, request.out)
    return True


def _refuse_change(file: Path, expected: str | None, out: Path) -> None:
    found = sha256_of(file) if expected else expected
    if found != expected:
        raise RunError(
            f"{file} is not the file that {out} was made with: expected sha256 {expected}, "
            f"found {found}; put it back, choose another --out, or remove the case from {out}/cases"
        )


def _size_mb(source: CaseFile) -> float:
    """Return what the arrays of a case take: image, reference, six answers, one being compared."""
    try:
        with ChallengeFile(source.file) as file:
            voxels, labels = file.size("imgs"), file.size("gts") or file.size("imgs")
    except CaseError:
        return 0.0
    return (voxels + 8 * labels) / 2**20


def make_plan(request: Request) -> Plan:
    """Find the adapter and its interpreter, and share the processors between the jobs."""
    if request.predictions not in KEEP:
        raise RunError(f"predictions: expected one of {KEEP}, found {request.predictions!r}")
    adapter = find(request.model)
    environment = Environment(
        python=interpreter_of(adapter, request.python),
        step_timeout=request.step_timeout,
        threads=max(1, (os.cpu_count() or 1) // request.jobs),
    )
    return Plan(
        out=request.out,
        adapter=adapter,
        options=tuple(sorted(request.options.items())),
        environment=environment,
        in_process=request.in_process,
        predictions=request.predictions,
        exact_sum=request.exact_sum,
        settings=request.settings,
    )


def _enrol(request: Request, plan: Plan, todo: Todo) -> None:
    """Write the manifest, or see that the one there is this run's; make room for retries."""
    before = results.read_manifest(request.out)
    facts = _facts(request, plan)
    if before is not None:
        manifest.refuse_another_run(request.out, before, facts)
    results.write_manifest(request.out, facts)
    for case in todo.cases:  # only failed ones that are to be tried again have a file here
        results.case_file(request.out, case.name).unlink(missing_ok=True)


def _facts(request: Request, plan: Plan) -> dict[str, Any]:
    seat = seat_of(plan)
    everything = find_cases(request.data, references=request.references)
    return {
        "name": request.name or seat.info.name,
        "model": request.model,
        "protocol": manifest.describe_protocol(request.settings),
        "settings": vars(request.settings),
        "adapter": manifest.describe_adapter(seat.info),
        "adapter_source_sha256": source_sha256(plan.adapter),
        "options": request.options,
        "exact_sum": request.exact_sum,
        "data": manifest.describe_data(request.data, request.references, everything),
        "predictions": request.predictions,
        "policy": vars(request.policy),
        "threads": plan.environment.threads,
        "step_timeout": request.step_timeout,
        "worker": seat.surroundings,
        "command": request.command,
        **manifest.describe_machine(),
    }


def _work(cases: Sequence[CaseFile], plan: Plan, jobs: int) -> Iterator[CaseResult | Broken | None]:
    if jobs == 1 or plan.in_process:
        yield from (run_case(case, plan) for case in cases)
        return
    close_seats()  # each job opens its own
    left = {case.name: case for case in cases}
    for _ in range(RESTARTS):
        pool = Parallel(n_jobs=jobs, return_as="generator_unordered")
        try:
            for name, result in pool(delayed(_named)(case, plan) for case in list(left.values())):
                del left[name]
                yield result
            return
        except TerminatedWorkerError:
            left = {n: c for n, c in left.items() if not results.case_file(plan.out, n).exists()}
    for name in left:
        yield Broken(name, f"its process was killed {RESTARTS} times; is there enough memory?")


def _named(source: CaseFile, plan: Plan) -> tuple[str, CaseResult | Broken | None]:
    return source.name, run_case(source, plan)


def _conclude(request: Request, todo: Todo, broken: Sequence[Broken]) -> Outcome:
    run_ = results.read_run(request.out)
    table = official.table(run_.cases, request.policy, request.settings)
    results.write_text(request.out / "metrics.csv", table)
    finished = {case.case for case in run_.cases} | {case.case for case in broken}
    elsewhere = tuple(case.name for case in todo.cases if case.name not in finished)
    return Outcome(run_, tuple(broken), elsewhere)


def _log(out: Path, result: CaseResult | Broken | None) -> None:
    if result is None:
        return
    if isinstance(result, Broken):
        line = f"{result.case} broken\n{result.traceback}"
    else:
        spent = sum(result.seconds.values())
        line = f"{result.case} {result.status} {spent:.1f}s {result.reason or ''}".rstrip()
    with (out / "run.log").open("a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")
