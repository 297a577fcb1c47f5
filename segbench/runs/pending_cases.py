"""Which cases of the data folder are to run, and which are done.

A case that is done must still be the one that its result was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile, find_cases, select_cases, sha256_of
from segbench.errors import CaseError, RunError
from segbench.runs import run_folder
from segbench.runs.config import RunConfig


@dataclass(frozen=True)
class PendingCase:
    """A case to run, and the time stamp of an old result that the new one replaces."""

    source: CaseFile
    replaces: int | None = None  # ns

    @property
    def name(self) -> str:
        """The name of the case."""
        return self.source.name


@dataclass(frozen=True)
class PendingCases:
    """The cases of the data folder: all of them, those to run, those that are done."""

    all: tuple[CaseFile, ...]
    pending: tuple[PendingCase, ...]
    done: tuple[str, ...]


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
    done = {file.stem for file in run_folder.finished_cases(config.out)}
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


def result_time(out: Path, case: str) -> int | None:
    """Return when the result of a case was written, in ns; None if there is none."""
    try:
        return run_folder.case_file(out, case).stat().st_mtime_ns
    except FileNotFoundError:
        return None
