"""A finished run, checked without its model: clicks and scores from predictions and data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segbench.core import Case, LabelMap, Settings
from segbench.data.dataset import read_case
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference, in_fortran_order
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import score_pairs
from segbench.protocol.simulator import next_clicks
from segbench.results import CaseResult, StepResult
from segbench.runs.prediction_store import segmentation_sha256
from segbench.runs.run_data import find_run_cases, same_file, stored_label_maps
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
    files = find_run_cases(run, data, references)
    checks: list[Check] = []
    without = []
    for result in run.case_results:
        stored = prediction_file(folder, result.case)
        if result.status == "invalid":
            continue
        if not stored.exists():
            without.append(result.case)
            continue
        case = read_case(same_file(files.get(result.case), result, folder))
        predictions = [label_map for _, label_map in stored_label_maps(stored, result)]
        checks += check_case(result, case, predictions, run)
    return Verification(tuple(checks), tuple(without))


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
