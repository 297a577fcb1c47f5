"""All cases of one run: which are pending, on which backend they run, what the run has at the end.

A finished case is on disk before the next starts; the same call again runs what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.core import sum_in_order
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile, find_cases, select_cases, sha256_of
from segbench.errors import CaseError, RunError
from segbench.files import write_text
from segbench.models.registry import resolve_model
from segbench.results import CaseResult
from segbench.runs import manifest, metrics_csv, run_folder
from segbench.runs.backends import open_backend
from segbench.runs.backends.base import Backend
from segbench.runs.config import RunConfig
from segbench.runs.job import job_settings
from segbench.runs.progress import OpenProgress, no_progress
from segbench.runs.run_case import CrashedCase, PendingCase, result_time

POLL_SECONDS = 2.0  # between two looks at cases that another runner has locked


@dataclass(frozen=True)
class PendingCases:
    """The cases of the data folder: all of them, those to run, those that are done."""

    all: tuple[CaseFile, ...]
    pending: tuple[PendingCase, ...]
    done: tuple[str, ...]


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


def find_pending(config: RunConfig) -> PendingCases:
    """Find the cases of the data folder, and which of those selected are done.

    Raises
    ------
    CaseError
        If there is no case, or none is selected.
    RunError
        If the run folder has cases of another run or of other data, or a case that is done has
        changed since.
    """
    everything = find_cases(config.data, references=config.references)
    _refuse_foreign_cases(config, everything)
    selected = select_cases(everything, patterns=config.case, limit=config.limit)
    done = [case.name for case in selected if _is_done(case, config)]
    pending = [
        PendingCase(case, result_time(config.out, case.name))
        for case in selected
        if case.name not in done
    ]
    return PendingCases(tuple(everything), tuple(pending), tuple(done))


def _refuse_foreign_cases(config: RunConfig, cases: Sequence[CaseFile]) -> None:
    """Raise if the folder has cases of another run or of other data: means would mix them."""
    done = {file.stem for file in (config.out / "cases").glob("[!.]*.json")}
    if done and run_folder.read_manifest(config.out) is None:
        raise RunError(
            f"{config.out} holds {len(done)} cases and no run.json that says how they were made; "
            "choose another --out, or remove them"
        )
    foreign = sorted(done - {case.name for case in cases})
    if foreign:
        raise RunError(
            f"{config.out} holds {len(foreign)} cases that are not in {config.data}, "
            f"{foreign[0]} first; choose another --out, or remove them from {config.out}/cases"
        )


def _is_done(case: CaseFile, config: RunConfig) -> bool:
    file = run_folder.case_file(config.out, case.name)
    if not file.exists():
        return False
    before = run_folder.read_case_result(file)
    if config.retry_failed and before.status != "ok":
        return False
    _refuse_change(case.file, before.file_sha256, config)
    if case.reference_file is not None or before.reference_sha256 is not None:
        reference = case.reference_file or case.file
        _refuse_change(reference, before.reference_sha256 or before.file_sha256, config)
    return True


def _refuse_change(file: Path, expected: str, config: RunConfig) -> None:
    """Raise if a file has changed; nothing is expected of a file that could not be read."""
    found = sha256_of(file) if expected else expected
    if found != expected:
        raise RunError(
            f"{file} is not the file that {config.out} was made with: expected sha256 {expected}, "
            f"found {found}; put it back, choose another --out, or remove the case from "
            f"{config.out}/cases"
        )


def largest_case_mb(pending: Sequence[PendingCase]) -> float:
    """Return what the arrays of the largest case take: image, reference, predictions."""
    return max((_size_mb(case.source) for case in pending), default=0.0)


def _size_mb(case: CaseFile) -> float:
    try:
        with ChallengeFile(case.file) as file:
            image_bytes = file.size("imgs")
            label_map_bytes = file.size("gts") or image_bytes
    except CaseError:
        return 0.0
    return (image_bytes + 8 * label_map_bytes) / 2**20


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
