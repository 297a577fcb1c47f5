"""What an export of volumes will write: known, and checked, before the first file is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segbench.core import Box, Click
from segbench.data.case_folder import select_cases
from segbench.data.dataset import CaseFile
from segbench.errors import RunError
from segbench.report.compared_runs import read_any_runs
from segbench.report.private_text import file_stems
from segbench.results import CaseResult
from segbench.runs.run_data import count_label_maps, find_run_cases, same_file
from segbench.runs.run_folder import Run, prediction_file

StepChoice = Literal["final", "all"] | int
CASE_FILES = ("image.nii.gz", "reference.nii.gz", "labels-itksnap.txt")
SLICER_CASE_FILES = ("labels.ctbl", "errors.ctbl")
SCRIPT_FILE = "open_in_slicer.py"


@dataclass(frozen=True)
class VolumeExport:
    """What was written, and one line for each case of a run that was not."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class RunOfCase:
    """The label maps and prompts of one case in one run."""

    folder: str  # below the folder of the case
    result: CaseResult
    predictions: Path
    steps: tuple[int, ...]  # whose label maps are written

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes that the model got."""
        return tuple(box for box in self.result.rounds[0] if isinstance(box, Box))

    @property
    def clicks(self) -> dict[int, tuple[Click, ...]]:
        """The clicks of each step that had some, up to the last label map that is written."""
        rounds = enumerate(self.result.rounds[: self.steps[-1] + 1])
        found = {
            step: tuple(prompt for prompt in prompts if isinstance(prompt, Click))
            for step, prompts in rounds
        }
        return {step: clicks for step, clicks in found.items() if clicks}

    def files(self, *, slicer: bool) -> Iterator[str]:
        """Yield the names of all files, below the folder of the case."""
        names = [name for step in self.steps for name in (step_file(step), error_file(step))]
        names += ["boxes.nii.gz"] if self.boxes else []
        if slicer:
            names += ["boxes.mrk.json"] if self.boxes else []
            names += [clicks_file(step) for step in self.clicks]
            names.append(SCRIPT_FILE)
        yield from (f"{self.folder}/{name}" for name in names)


@dataclass(frozen=True)
class PlannedCase:
    """One case, and the runs that have it."""

    name: str
    source: CaseFile
    runs: tuple[RunOfCase, ...]

    def files(self, *, slicer: bool) -> Iterator[str]:
        """Yield the names of all files, below the folder of the export."""
        names = [*CASE_FILES, *(SLICER_CASE_FILES if slicer else ())]
        for run in self.runs:
            names += run.files(slicer=slicer)
        yield from (f"{self.name}/{name}" for name in names)


@dataclass(frozen=True)
class Plan:
    """All cases of an export."""

    cases: tuple[PlannedCase, ...]
    slicer: bool
    left_out: tuple[str, ...]

    @property
    def files(self) -> list[str]:
        """The names of all files, below the folder of the export."""
        return [name for case in self.cases for name in case.files(slicer=self.slicer)]


def step_file(step: int) -> str:
    """Return the name of the label map after a step."""
    return f"step{step}.nii.gz"


def error_file(step: int) -> str:
    """Return the name of the error map after a step."""
    return f"step{step}-errors.nii.gz"


def clicks_file(step: int) -> str:
    """Return the name of the clicks of a step."""
    return f"clicks-step{step}.mrk.json"


def plan_export(  # noqa: PLR0913
    folders: Sequence[Path],
    *,
    slicer: bool,
    patterns: Sequence[str],
    step: StepChoice,
    data: Path | None,
    references: Path | None,
) -> Plan:
    """Find the data of all cases, and which label maps there are.

    Raises
    ------
    RunError
        As `segbench.report.volumes.write_volumes`.
    """
    runs = read_any_runs(folders)
    left_out: list[str] = []
    found: dict[str, list[tuple[RunOfCase, CaseFile]]] = {}
    for name, (method, run) in zip(file_stems(list(runs)), runs.items(), strict=True):
        files = find_run_cases(run, data, references)
        for result in _selected(run, files, patterns):
            reason = _reason_to_leave_out(run, result, step)
            if reason:
                left_out.append(f"{method}: {result.case}: {reason}")
                continue
            predictions = prediction_file(run.folder, result.case)
            steps = _steps(run, result, predictions, step)
            source = same_file(files.get(result.case), result, run.folder)
            one = RunOfCase(name, result, predictions, steps)
            found.setdefault(result.case, []).append((one, source))
    if not found:
        why = "; ".join(left_out[:3]) or "the runs have no cases"
        raise RunError(f"export: expected label maps, found none that can be exported: {why}")
    cases = tuple(_planned_case(name, found[name]) for name in sorted(found))
    return Plan(cases, slicer, tuple(left_out))


def _selected(
    run: Run, files: Mapping[str, CaseFile], patterns: Sequence[str]
) -> Iterator[CaseResult]:
    names = {case.name for case in select_cases(list(files.values()), patterns=patterns)}
    for result in run.case_results:
        if not patterns or result.case in names:
            yield result


def _reason_to_leave_out(run: Run, result: CaseResult, step: StepChoice) -> str:
    if Path(result.case).name != result.case or result.case in ("", ".", ".."):
        return "its name cannot be that of a folder"
    if result.status == "invalid" or not result.steps:
        return "it was refused before the model ran"
    if not prediction_file(run.folder, result.case).exists():
        return "the run has kept no label map of it"
    if isinstance(step, int) and step not in [each.step for each in result.steps]:
        return f"it has no step {step}"
    return ""


def _steps(run: Run, result: CaseResult, file: Path, step: StepChoice) -> tuple[int, ...]:
    """Return the steps whose label maps are asked for; refuse those that were not kept."""
    there = [each.step for each in result.steps]
    wanted = {"final": there[-1:], "all": there}.get(str(step), [step])
    kept = there[-count_label_maps(file, result) :]
    missing = [each for each in wanted if each not in kept]
    if missing:
        raise RunError(
            f"{run.folder}: {result.case}: expected the label map of step {missing[0]}, found only "
            f"that of step {kept[0]} (the run was made with --predictions final); use --step final"
        )
    return tuple(int(each) for each in wanted)


def _planned_case(name: str, found: Sequence[tuple[RunOfCase, CaseFile]]) -> PlannedCase:
    first, source = found[0]
    for other, _ in found[1:]:
        if _data(other.result) != _data(first.result):
            raise RunError(
                f"{name}: expected the same data in all runs, found different files in "
                f"{first.folder} and {other.folder}; export them into two folders"
            )
    return PlannedCase(name, source, tuple(run for run, _ in found))


def _data(result: CaseResult) -> tuple[str, str | None]:
    return result.file_sha256, result.reference_sha256
