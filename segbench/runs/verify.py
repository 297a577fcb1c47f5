"""A finished run, checked without its model: clicks and scores from predictions and data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segbench.core import Case, LabelMap, Settings
from segbench.data.case_arrays import arrays_sha256
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile, read_case, sha256_of
from segbench.errors import RunError
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference, in_fortran_order
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import score_pairs
from segbench.protocol.simulator import next_clicks
from segbench.results import CaseResult, StepResult
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
        """Whether both are the same, floats to the last bit."""
        return self.stored == self.now


@dataclass(frozen=True)
class Verification:
    """All comparisons, and the cases of which no prediction was kept."""

    checks: tuple[Check, ...]
    without_predictions: tuple[str, ...]

    @property
    def different(self) -> tuple[Check, ...]:
        """The comparisons that failed."""
        return tuple(check for check in self.checks if not check.equal)


def verify(folder: Path, data: Path | None = None, references: Path | None = None) -> Verification:
    """Compute every click and score of a run again and compare with the stored ones.

    Parameters
    ----------
    folder : Path
        The run folder; made with ``--predictions all`` everything is checked, with ``final`` the
        scores of the last step.
    data, references : Path, optional
        Where the cases are now; by default as in ``run.json``.

    Raises
    ------
    RunError
        If a case of the run is missing or not the file that the run was made with.
    """
    run = read_run(folder)
    files = {case.name: case for case in _find_cases(run, data, references)}
    checks: list[Check] = []
    without = []
    for result in run.case_results:
        stored = prediction_file(folder, result.case)
        if result.status == "invalid":
            continue
        if not stored.exists():
            without.append(result.case)
            continue
        case = read_case(_same_file(files.get(result.case), result, folder))
        checks += check_case(result, case, _read_predictions(stored, result, case), run)
    return Verification(tuple(checks), tuple(without))


def _find_cases(run: Run, data: Path | None, references: Path | None) -> list[CaseFile]:
    stored = run.manifest.data
    places = [data] if data else list(map(Path, stored.files or filter(None, [stored.path])))
    if not places:
        raise RunError(
            f"{run.folder}: expected cases in files, found that they were given as arrays; write "
            "them with write_case and name their folder with --data"
        )
    missing = [place for place in places if not place.exists()]
    if missing:
        raise RunError(
            f"{run.folder}: expected its data in {missing[0]}, found nothing there; name their "
            "folder with --data"
        )
    own = Path(stored.references) if stored.references else None
    return find_cases(*places, references=references or own)


def _same_file(file: CaseFile | None, result: CaseResult, folder: Path) -> CaseFile:
    if file is None:
        raise RunError(
            f"{folder}: expected the data of case {result.case}, found no such case; name their "
            "folder with --data"
        )
    pairs = [(file.file, result.file_sha256)]
    if file.reference_file is not None:
        pairs.append((file.reference_file, result.reference_sha256 or ""))
    others = [path for path, expected in pairs if sha256_of(path) != expected]
    # a case that was given as arrays is known by these
    if others and arrays_sha256(read_case(file)) != result.file_sha256:
        raise RunError(
            f"{folder}: expected the data of case {result.case}, found another file in their "
            f"place, {others[0]}; name their folder with --data"
        )
    return file


def _read_predictions(file: Path, result: CaseResult, case: Case) -> list[LabelMap]:
    with ChallengeFile(file) as stored:
        maps = stored.read("all_segs")
    if maps.shape[1:] != case.reference.shape or len(maps) not in (1, len(result.steps)):
        expected = f"{len(result.steps)} (or 1) x {case.reference.shape}"
        raise RunError(f"{file}: all_segs: expected {expected}, found {maps.shape}")
    return list(maps)


def check_case(
    result: CaseResult, case: Case, predictions: Sequence[LabelMap], run: Run
) -> Iterator[Check]:
    """Yield every comparison of one case; the predictions are those of its last steps.

    The same compare, click and score as in `segbench.protocol.interaction.interact`.
    """
    reference = PreparedReference(case.reference, case.labels)
    nsd = NsdSettings.of(case.image.spacing, run.settings, exact_sum=run.manifest.exact_sum)
    steps = result.steps[-len(predictions) :]
    pairs = reference.compare(np.zeros_like(case.reference, dtype=np.uint8))
    pairs_are_known = len(steps) == len(result.steps)  # the segmentation before the first step
    for step, segmentation in zip(steps, predictions, strict=True):
        if step.step > 0 and pairs_are_known:
            yield _check_clicks(result, case, step.step, pairs, run.settings)
        pairs, pairs_are_known = reference.compare(segmentation), True
        if step.failure is None:
            yield from _check_step(result.case, step, pairs, nsd)


def _check_clicks(
    result: CaseResult, case: Case, step: int, pairs: MaskPairs, settings: Settings
) -> Check:
    stored = result.rounds[step]
    clicks = next_clicks(pairs, settings=settings)
    if clicks != stored and in_fortran_order(case.reference):
        # stored label maps have lost their memory order, which decides ties (PROTOCOL 4.2)
        other = next_clicks(replace(pairs, in_fortran_order=True), settings=settings)
        clicks = other if other == stored else clicks
    return Check(result.case, f"step {step} clicks", stored, clicks)


def _check_step(case: str, step: StepResult, pairs: MaskPairs, nsd: NsdSettings) -> Iterator[Check]:
    found = segmentation_sha256(pairs)
    yield Check(case, f"step {step.step} prediction", step.prediction_sha256, found)
    scores = score_pairs(pairs, step.step, nsd)
    for stored, now in zip(step.scores, scores, strict=True):
        name = f"step {step.step} label {stored.label}"
        yield Check(case, f"{name} dsc", stored.dsc, now.dsc)
        yield Check(case, f"{name} nsd", stored.nsd, now.nsd)
