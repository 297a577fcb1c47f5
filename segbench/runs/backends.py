"""The cases of a run, one after another or many at a time, beside other runners on the folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from segbench import threads
from segbench.core import CaseResult
from segbench.data.dataset import CaseFile
from segbench.runs.run_case import CrashedCase, JobSettings, close_seats, result_time, run_case

SECONDS_TO_WAIT = 2.0  # between looks at cases that another runner has

Pair = tuple[CaseFile, CaseResult | CrashedCase | None]


@dataclass(frozen=True)
class PendingCases:
    """Which cases a run would do, which it has, and what the largest of them takes in memory."""

    cases: tuple[CaseFile, ...]
    done: tuple[str, ...]
    largest_mb: float
    stamps: dict[str, int]  # of old results that are to be replaced


def share_out(
    todo: PendingCases, plan: JobSettings, jobs: int, *, wait: bool
) -> Iterator[CaseResult | CrashedCase]:
    """Yield every case as it is finished, those last that another runner had and gave up."""
    taken = []
    for source, result in _first_pass(todo, plan, jobs):
        if result is None:
            taken.append(source)
        else:
            yield result
    once_more = _inline if jobs == 1 else _alone
    while taken and wait:
        time.sleep(SECONDS_TO_WAIT)
        left, taken = taken, []
        for source in left:
            _, result = once_more(source, plan, todo)
            if result is not None:
                yield result
            elif result_time(plan.out, source.name) == todo.stamps.get(source.name):
                taken.append(source)


def _first_pass(todo: PendingCases, plan: JobSettings, jobs: int) -> Iterator[Pair]:
    """Yield each case with its result, None if another runner has it."""
    if jobs == 1:
        yield from (_inline(case, plan, todo) for case in todo.cases)
        return
    close_seats()  # each job opens its own
    left = {case.name: case for case in todo.cases}
    while left:
        try:
            for source, result in _pool(list(left.values()), todo, plan, jobs):
                del left[source.name]
                yield source, result
        except TerminatedWorkerError:
            yield from _after_a_crash(left, todo, plan)


def _pool(
    cases: list[CaseFile], todo: PendingCases, plan: JobSettings, jobs: int
) -> Iterator[Pair]:
    with parallel_config(backend="loky", inner_max_num_threads=threads.OF_SEGBENCH):
        pool = Parallel(n_jobs=jobs, return_as="generator_unordered")
    yield from pool(delayed(_inline)(case, plan, todo) for case in cases)


def _after_a_crash(
    left: dict[str, CaseFile], todo: PendingCases, plan: JobSettings
) -> Iterator[Pair]:
    """Do the cases that were being done when a job died, each in a process of its own.

    So the one that kills its process is found, and the others are not lost with it.
    """
    suspects = [
        case for name, case in left.items() if (plan.out / "cases" / f".{name}.lease").exists()
    ]
    for case in suspects or list(left.values())[:1]:
        del left[case.name]
        yield _alone(case, plan, todo)


def _inline(source: CaseFile, plan: JobSettings, todo: PendingCases) -> Pair:
    return source, run_case(source, plan, todo.stamps.get(source.name))


def _alone(source: CaseFile, plan: JobSettings, todo: PendingCases) -> Pair:
    """Do one case in a process that does nothing else."""
    with ProcessPoolExecutor(1, env=threads.variables(threads.OF_SEGBENCH)) as pool:
        try:
            return pool.submit(_inline, source, plan, todo).result()  # type: ignore[no-any-return]
        except TerminatedWorkerError as error:
            return source, CrashedCase(source.name, f"the process that did this case died: {error}")
