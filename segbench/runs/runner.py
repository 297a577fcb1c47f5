"""All cases of one run: on which backend they run, and what the run has at the end.

A finished case is on disk before the next starts; the same call again runs what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segbench.core import sum_in_order
from segbench.files import write_text
from segbench.models.resolve import resolve_model
from segbench.results import CaseResult
from segbench.runs import manifest, metrics_csv, run_folder
from segbench.runs.backends import open_backend
from segbench.runs.backends.base import Backend
from segbench.runs.config import RunConfig
from segbench.runs.job import job_settings
from segbench.runs.pending_cases import PendingCase, PendingCases, find_pending, result_time
from segbench.runs.progress import OpenProgress, no_progress
from segbench.runs.run_case import CrashedCase

POLL_SECONDS = 2.0  # between two looks at cases that another runner has locked


@dataclass(frozen=True)
class RunSummary:
    """The result of a call: the whole run folder, with the cases of all runners."""

    run: run_folder.Run
    crashed: tuple[CrashedCase, ...]
    left_to_others: tuple[str, ...]  # cases that another runner on the folder has locked

    @property
    def all_ok(self) -> bool:
        """Whether every case is done and valid, without a failed step."""
        done = not self.crashed and not self.left_to_others
        return done and all(case.status == "ok" for case in self.run.case_results)


def run(config: RunConfig, open_progress: OpenProgress = no_progress) -> RunSummary:
    """Run every selected case that the run folder does not have yet.

    Parameters
    ----------
    config : RunConfig
        What to run, on which data, and where the run folder is.
    open_progress : callable
        From a title, the number of cases and the number of those done to a context manager of the
        function that gets each finished case; see `segbench.runs.progress`.

    Raises
    ------
    CaseError
        If there is no case to run.
    AdapterNotFound, AdapterError
        If the model cannot be found or loaded.
    RunError
        If the folder has another run, or a case that is done has changed since.
    """
    resolve_model(config.model, config.option)  # what is unknown is refused before cases are read
    cases = find_pending(config)
    job = job_settings(config)  # may build the environment of the adapter
    backend = open_backend(job)
    n_cases, n_done = len(cases.pending) + len(cases.done), len(cases.done)
    crashed = []
    with open_progress(config.name or config.model, n_cases, n_done) as show:
        manifest.write_or_check(job, backend.describe_model(), cases.all)
        for result in run_cases(cases.pending, backend, config):
            if isinstance(result, CrashedCase):
                crashed.append(result)
            else:
                show(result)
            _log(config, result)
    return finish(config, cases, crashed)


def run_cases(
    pending: Sequence[PendingCase], backend: Backend, config: RunConfig
) -> Iterator[CaseResult | CrashedCase]:
    """Yield every case as it is finished, last those that another runner had and gave up."""
    while pending:
        locked = []
        for case, result in backend.run(pending):
            if result is not None:
                yield result
            elif _is_left(case, config):
                locked.append(case)
        pending = locked if config.wait else ()
        if pending:
            time.sleep(POLL_SECONDS)


def finish(config: RunConfig, cases: PendingCases, crashed: Sequence[CrashedCase]) -> RunSummary:
    """Write ``metrics.csv`` and return what the run folder has now."""
    run = run_folder.read_run(config.out)
    table = metrics_csv.table(run.case_results, config.policy, config.settings)
    write_text(config.out / "metrics.csv", table)
    names = {case.case for case in crashed}
    left = (
        case.name for case in cases.pending if case.name not in names and _is_left(case, config)
    )
    return RunSummary(run, tuple(crashed), tuple(left))


def _is_left(case: PendingCase, config: RunConfig) -> bool:
    """Whether no runner has finished a case since it was found pending."""
    return result_time(config.out, case.name) == case.replaces


def _log(config: RunConfig, result: CaseResult | CrashedCase) -> None:
    if isinstance(result, CrashedCase):
        line = f"{result.case} crashed\n{result.traceback}"
    else:
        seconds = sum_in_order(result.seconds.values())
        line = f"{result.case} {result.status} {seconds:.1f}s {result.reason or ''}".rstrip()
    with (config.out / "run.log").open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")
