"""A finished run, checked again without its model: clicks and scores from predictions and data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segbench.core import Case, CaseResult, LabelMap, Settings, StepResult
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile, find_cases, read_case, sha256_of
from segbench.errors import RunError
from segbench.protocol.mask_pairs import MaskPairs, in_fortran_order
from segbench.protocol.scoring import Scorer
from segbench.protocol.simulator import next_clicks
from segbench.runs.prediction_store import segmentation_sha256
from segbench.runs.run_folder import Run, prediction_file, read_run


@dataclass(frozen=True)
class Check:
    """One comparison of a stored fact with the one computed now."""

    case: str
    what: str  # "step 3 label 1 dsc", "step 2 clicks", "step 0 prediction"
    stored: object
    now: object

    @property
    def equal(self) -> bool:
        """Whether the two are the same, floats to the last bit."""
        return self.stored == self.now


@dataclass(frozen=True)
class Rescored:
    """Every comparison made, and the cases of which no prediction was kept."""

    checks: tuple[Check, ...]
    without_predictions: tuple[str, ...]

    @property
    def different(self) -> tuple[Check, ...]:
        """The comparisons that failed."""
        return tuple(check for check in self.checks if not check.equal)


def rescore(folder: Path, data: Path | None = None, references: Path | None = None) -> Rescored:
    """Compute every click and score of a run again and compare with what it holds.

    Parameters
    ----------
    folder : Path
        The run folder; made with ``--predictions all`` everything is checked, with ``final`` the
        last step's scores.
    data, references : Path, optional
        Where the cases are now; by default where they were.

    Raises
    ------
    RunError
        If a case of the run is missing or not the file the run was made with.
    """
    run = read_run(folder)
    files = {case.name: case for case in _files(run, data, references)}
    checks: list[Check] = []
    without = []
    for result in run.cases:
        kept = prediction_file(folder, result.case)
        if result.status == "invalid":
            continue
        if not kept.exists():
            without.append(result.case)
            continue
        case = read_case(_same_file(files.get(result.case), result, folder))
        checks += check_case(result, case, _predictions(kept, result, case), run)
    return Rescored(tuple(checks), tuple(without))


def _files(run: Run, data: Path | None, references: Path | None) -> list[CaseFile]:
    where = data or Path(run.manifest["data"]["path"])
    if not where.is_dir():
        raise RunError(f"{run.folder}: its data were in {where}, not found from here; give --data")
    stored = run.manifest["data"]["references"]
    return find_cases(where, references=references or (Path(stored) if stored else None))


def _same_file(file: CaseFile | None, result: CaseResult, folder: Path) -> CaseFile:
    if file is None:
        raise RunError(f"{folder}: expected the data of case {result.case}, found no such case")
    pairs = [(file.file, result.file_sha256)]
    if file.reference_file is not None:
        pairs.append((file.reference_file, result.reference_sha256 or ""))
    for path, expected in pairs:
        if sha256_of(path) != expected:
            raise RunError(f"{folder}: expected the data of {result.case}, {path} is another file")
    return file


def _predictions(file: Path, result: CaseResult, case: Case) -> list[LabelMap]:
    with ChallengeFile(file) as kept:
        maps = kept.read("all_segs")
    if maps.shape[1:] != case.reference.shape or len(maps) not in (1, len(result.steps)):
        expected = f"{len(result.steps)} (or 1) x {case.reference.shape}"
        raise RunError(f"{file}: all_segs: expected {expected}, found {maps.shape}")
    return list(maps)


def check_case(
    result: CaseResult, case: Case, predictions: Sequence[LabelMap], run: Run
) -> Iterator[Check]:
    """Yield every comparison of one case; the predictions are those of its last steps."""
    exact_sum = bool(run.manifest["exact_sum"])
    scorer = Scorer(
        case.reference, case.labels, case.image.spacing, run.settings, exact_sum=exact_sum
    )
    steps = result.steps[-len(predictions) :]
    previous: LabelMap | None = np.zeros_like(case.reference, dtype=np.uint8)
    if len(steps) < len(result.steps):
        previous = None  # what stood before the first kept step is not known
    for step, labels in zip(steps, predictions, strict=True):
        if previous is not None and step.step > 0:
            comparison = scorer.reference.compared(previous)
            yield _check_clicks(result, case, step.step, comparison, run.settings)
        if step.failure is None:
            yield from _check_step(result.case, step, labels, scorer)
        previous = labels


def _check_clicks(
    result: CaseResult, case: Case, step: int, previous: MaskPairs, settings: Settings
) -> Check:
    stored = result.rounds[step]
    clicks = next_clicks(previous, settings=settings)
    if clicks != stored and in_fortran_order(case.reference):
        # stored label maps have lost their memory order, which decides ties (PROTOCOL 4.2)
        other = next_clicks(replace(previous, in_fortran_order=True), settings=settings)
        clicks = other if other == stored else clicks
    return Check(result.case, f"step {step} clicks", stored, clicks)


def _check_step(case: str, step: StepResult, labels: LabelMap, scorer: Scorer) -> Iterator[Check]:
    scores = scorer.score(step.step, labels)
    found = segmentation_sha256(scorer.reference.compared(labels))
    yield Check(case, f"step {step.step} prediction", step.prediction_sha256, found)
    for stored, now in zip(step.scores, scores, strict=True):
        where = f"step {step.step} label {stored.label}"
        yield Check(case, f"{where} dsc", stored.dsc, now.dsc)
        yield Check(case, f"{where} nsd", stored.nsd, now.nsd)
