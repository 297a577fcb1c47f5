"""Which cases of the data folder are to run, and which are done.

A case that is done must still be the one that its result was made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.core import Case
from segbench.data.case_arrays import CaseArrays
from segbench.data.case_folder import find_cases, select_cases
from segbench.data.dataset import CaseFile, CaseSource
from segbench.errors import CaseError, RunError
from segbench.messages import counted
from segbench.results import CaseResult
from segbench.runs import run_folder
from segbench.runs.config import RunConfig


@dataclass(frozen=True)
class PendingCase:
    """A case to run, and the time stamp of an old result that the new one replaces."""

    source: CaseSource
    replaces: int | None = None  # ns

    @property
    def name(self) -> str:
        """The name of the case."""
        return self.source.name


@dataclass(frozen=True)
class PendingCases:
    """All cases of the data; of those that were asked for, which are to run, and which are done."""

    all: tuple[CaseSource, ...]
    pending: tuple[PendingCase, ...]
    done: tuple[str, ...]

    @property
    def asked_for(self) -> frozenset[str]:
        """The names of the cases that --case and --limit select."""
        return frozenset({case.name for case in self.pending} | set(self.done))


def find_pending(config: RunConfig, arrays: Sequence[Case] = ()) -> PendingCases:
    """Find the cases of the data, and which of those selected are done.

    Parameters
    ----------
    config : RunConfig
        Its ``data`` is where the cases are.
    arrays : sequence of Case
        The cases instead, if there are any.

    Raises
    ------
    CaseError
        If there is no case, none is selected, or none of those selected has a reference.
    RunError
        If the run folder has cases of another run or of other data, or a case that is done has
        changed since.
    """
    everything = _all_cases(config, arrays)
    selected = select_cases(everything, patterns=config.case, limit=config.limit)
    _require_references(selected, config)
    run_folder.refuse_other_files(config.out)
    if config.fresh:
        pending = [PendingCase(case) for case in selected]
        return PendingCases(tuple(everything), tuple(pending), ())
    _refuse_foreign_cases(config, everything)
    done = {case.name: None for case in selected if _is_done(case, config)}  # in their order
    pending = [
        PendingCase(case, result_time(config.out, case.name))
        for case in selected
        if case.name not in done
    ]
    return PendingCases(tuple(everything), tuple(pending), tuple(done))


def _all_cases(config: RunConfig, arrays: Sequence[Case]) -> list[CaseSource]:
    if not arrays:
        return list(find_cases(*config.data, references=config.references))
    by_name = {case.name: CaseArrays.of(case) for case in arrays}
    if len(by_name) < len(arrays):
        raise CaseError(
            f"cases: expected names that differ, found {counted(len(arrays), 'case')} with "
            f"{counted(len(by_name), 'name')}"
        )
    return [by_name[name] for name in sorted(by_name)]


def _require_references(cases: Sequence[CaseSource], config: RunConfig) -> None:
    """Raise if no case has a reference: then it is the request that is wrong, not the cases."""
    if any(not isinstance(case, CaseFile) or case.has_reference() for case in cases):
        return
    if config.references is not None:
        raise CaseError(
            f"--references {config.references}: expected a file for each case, such as "
            f"{_reference_of(cases[0])}, found none for the "
            f"{counted(len(cases), 'case')}"
        )
    raise CaseError(
        f"{data_text(config)}: expected cases with a reference (the key 'gts'), found none in "
        f"{counted(len(cases), 'case')}; if the references are in a folder of their own, name it "
        "with --references"
    )


def _reference_of(case: CaseSource) -> Path | None:
    return case.reference_file if isinstance(case, CaseFile) else None


def data_text(config: RunConfig) -> str:
    """Return where the cases of a run are, for messages."""
    return " ".join(map(str, config.data[:3])) or "the given cases"


def _refuse_foreign_cases(config: RunConfig, cases: Sequence[CaseSource]) -> None:
    """Raise if the folder has cases of another run or of other data: means would mix them."""
    done = {file.stem for file in run_folder.finished_cases(config.out)}
    if done and run_folder.read_manifest(config.out) is None:
        raise RunError(
            f"{config.out}: expected a run folder, found {counted(len(done), 'case')} and no "
            "run.json that says how they were made; choose another --out, or remove them"
        )
    foreign = sorted(done - {case.name for case in cases})
    if foreign:
        raise RunError(
            f"{config.out}: expected only cases that are in {data_text(config)}, found "
            f"{counted(len(foreign), 'other')}, {foreign[0]} first; choose another --out, or "
            f"remove them from {config.out}/cases"
        )


def _is_done(case: CaseSource, config: RunConfig) -> bool:
    file = run_folder.case_file(config.out, case.name)
    if not file.exists():
        return False
    before = run_folder.read_case_result(file)
    if config.retry_failed and before.status != "ok":
        return False
    if before.status == "invalid":  # it has no scores: what has changed is simply tried again
        return not _has_changed(case, before)
    _refuse_change(case, before, config)
    return True


def _has_changed(case: CaseSource, before: CaseResult) -> bool:
    try:
        return case.sha256() != (before.file_sha256, before.reference_sha256)
    except CaseError:  # it cannot be read
        return bool(before.file_sha256)


def _refuse_change(case: CaseSource, before: CaseResult, config: RunConfig) -> None:
    """Raise if a case is not the one that its result was made of."""
    own, reference = case.sha256()
    if own == before.file_sha256 and (reference is None) != (before.reference_sha256 is None):
        now, then = ("one", "none") if reference is not None else ("none", "one")
        if (reference or own) != (before.reference_sha256 or before.file_sha256):
            raise RunError(
                f"{case.name}: expected {then} of its own as reference (--references), as when "
                f"{config.out} was made, found {now}; choose another --out, or remove the case "
                f"from {config.out}/cases"
            )
    facts = [(own, before.file_sha256)]
    if reference is not None or before.reference_sha256 is not None:
        facts.append((reference or own, before.reference_sha256 or before.file_sha256))
    for number, (found, expected) in enumerate(facts):
        if found != expected:
            raise RunError(
                f"{_place(case, number)}: expected what {config.out} was made with, sha256 "
                f"{expected}, found {found}; put it back, choose another --out, or remove the case "
                f"from {config.out}/cases"
            )


def _place(case: CaseSource, number: int) -> str:
    """Return what was read: the file of a case (0), or that of its reference (1)."""
    if not isinstance(case, CaseFile):
        return f"{case.name} (arrays)"
    return str(case.reference_file or case.file) if number else str(case.file)


def largest_case_mb(pending: Sequence[PendingCase]) -> float:
    """Return what the arrays of the largest case take: image, reference, predictions."""
    return max((case.source.array_bytes() / 2**20 for case in pending), default=0.0)


def result_time(out: Path, case: str) -> int | None:
    """Return when the result of a case was written, in ns; None if there is none."""
    try:
        return run_folder.case_file(out, case).stat().st_mtime_ns
    except FileNotFoundError:
        return None
