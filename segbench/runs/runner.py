"""All cases of one run: on which backend they run, and what the run has at the end.

A finished case is on disk before the next starts; the same call again runs what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from segbench.core import Case, sum_in_order
from segbench.errors import RunError
from segbench.files import write_text
from segbench.messages import counted
from segbench.models.given import PREFIX, GivenModel, factory_file
from segbench.models.registry import has_own_environment, source_sha256
from segbench.models.resolve import resolve_model
from segbench.results import CaseResult
from segbench.runs import manifest, metrics_csv, run_folder
from segbench.runs.backends import open_backend
from segbench.runs.backends.base import Backend
from segbench.runs.case_locks import locked_cases
from segbench.runs.config import RunConfig
from segbench.runs.job import JobSettings, job_settings, job_settings_of
from segbench.runs.pending_cases import PendingCase, PendingCases, find_pending, result_time
from segbench.runs.progress import NoProgress, Progress
from segbench.runs.run_case import CrashedCase

OpenProgress = Callable[[], AbstractContextManager[Progress]]
SILENT = NoProgress()
POLL_SECONDS = 2.0  # between two looks at cases that another runner has locked


@contextmanager
def no_progress() -> Iterator[Progress]:
    """Yield what shows nothing."""
    yield NoProgress()


@dataclass(frozen=True)
class RunSummary:
    """The result of a call: the whole run folder, with the cases of all runners."""

    run: run_folder.Run
    crashed: tuple[CrashedCase, ...]
    left_to_others: tuple[str, ...]  # cases that another runner on the folder has locked
    asked_for: frozenset[str]  # names of the cases that this call was asked for

    @property
    def results(self) -> tuple[CaseResult, ...]:
        """The finished cases of those that this call was asked for."""
        return tuple(case for case in self.run.case_results if case.case in self.asked_for)

    @property
    def all_ok(self) -> bool:
        """Whether every case asked for is done and valid, without a failed step."""
        return self.all_done and all(case.status == "ok" for case in self.results)

    @property
    def all_done(self) -> bool:
        """Whether every case asked for has a result."""
        return not self.crashed and not self.left_to_others


def run(
    config: RunConfig,
    open_progress: OpenProgress = no_progress,
    *,
    given: GivenModel | None = None,
    arrays: Sequence[Case] = (),
) -> RunSummary:
    """Run every selected case that the run folder does not have yet.

    Parameters
    ----------
    config : RunConfig
        What to run, on which data, and where the run folder is.
    open_progress : callable
        Returns a context manager of what shows the progress.
    given : GivenModel, optional
        A model of a Python caller, instead of ``config.model``.
    arrays : sequence of Case
        Cases of a Python caller, instead of ``config.data``.

    Raises
    ------
    CaseError
        If there is no case to run.
    AdapterNotFound, AdapterError
        If the model cannot be found or loaded.
    RunError
        If the folder has another run, or a case that is done has changed since.
    """
    with open_progress() as progress, _open_job(config, given, arrays, progress) as (job, cases):
        crashed = []
        backend = open_backend(job)
        with progress.activity(f"loading {model_title(config)}"):
            model = backend.describe_model()
        if given is not None:
            model = replace(model, info=given.identify(model.info))
        if config.fresh:
            _move_away(config.out, progress)
        manifest.write_or_check(job, model, cases.all)
        progress.begin(config.name or model.info.name, len(cases.asked_for), len(cases.done))
        for result in run_cases(cases.pending, backend, config, progress):
            if isinstance(result, CrashedCase):
                crashed.append(result)
                progress.ended(result.case, f"crashed: {result.summary}")
            else:
                progress.case(result)
            _log(config, result)
    return finish(config, cases, crashed)


@contextmanager
def _open_job(
    config: RunConfig, given: GivenModel | None, arrays: Sequence[Case], progress: Progress
) -> Iterator[tuple[JobSettings, PendingCases]]:
    """Check the request, then yield how its model is loaded, and its cases.

    What is unknown is refused before cases are read, and both before an environment is built.
    """
    if given is None:
        file, options = resolve_model(config.model, config.option, say=progress.note)
        with progress.activity("looking for cases"):
            cases = find_pending(config, arrays)
        manifest.refuse_another_run(config, options, source_sha256(file))
        if config.in_process and has_own_environment(file):
            progress.note(
                f"{file.name}: expected to run in an environment of its own (PEP 723); "
                "--in-process uses the interpreter of segbench"
            )
        yield job_settings(config, progress.activity), cases
        return
    _refuse_to_continue(config, given)
    with progress.activity("looking for cases"):
        cases = find_pending(config, arrays)
    manifest.refuse_another_run(config, dict(given.options), None)
    if config.in_process:
        progress.note(
            f"{given.title} runs in this process, one case at a time, without a time limit"
        )
        yield job_settings_of(given, Path(), config), cases
        return
    with factory_file(given) as file:
        yield job_settings_of(given, file, config), cases


def _refuse_to_continue(config: RunConfig, given: GivenModel) -> None:
    """Raise if the folder may have been made by another object: only its caller can tell."""
    has_files = config.out.is_dir() and any(config.out.iterdir())
    if has_files and not config.fresh and not given.can_continue:
        raise RunError(
            f"{config.out}: expected a new or empty folder for a model given as an object, found "
            "files; fresh=True moves them away, name= and version= continue a run with the same"
        )


def _move_away(folder: Path, progress: Progress) -> None:
    if not folder.exists():
        return
    if Path.cwd().is_relative_to(folder.resolve()):
        raise RunError(
            f"{folder}: expected a run folder that can be moved away, found that it is or holds "
            "the working directory; call segbench from elsewhere, or choose another --out"
        )
    locked = locked_cases(folder / "cases")
    if locked:
        raise RunError(
            f"{folder}: expected no other runner on a folder that --fresh moves away, found that "
            f"{locked[0]} is locked; end that runner first"
        )
    moved = run_folder.old_folder(folder)
    folder.rename(moved)
    progress.note(f"moved {folder} to {moved}")


def model_title(config: RunConfig) -> str:
    """Return what a run is called before its model is loaded and tells its name."""
    if config.name is not None:
        return config.name
    path = Path(config.model.removeprefix(PREFIX))  # also of a name
    return path.stem if path.suffix == ".py" else path.name


def run_cases(
    pending: Sequence[PendingCase],
    backend: Backend,
    config: RunConfig,
    progress: Progress = SILENT,
) -> Iterator[CaseResult | CrashedCase]:
    """Yield every case as it is finished, last those that another runner had and gave up."""
    n_awaited = 0
    while pending:
        locked = []
        for case, result in backend.run(pending, progress.step):
            if result is not None:
                yield result
            elif _is_left(case, config):
                locked.append(case)
            else:
                progress.ended(case.name, None)
        pending = locked if config.wait else ()
        if pending and len(pending) != n_awaited:
            n_awaited = len(pending)
            progress.note(
                f"waiting for {counted(n_awaited, 'case')} that another runner has locked, "
                f"{pending[0].name} first"
            )
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
    return RunSummary(run, tuple(crashed), tuple(left), cases.asked_for)


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
