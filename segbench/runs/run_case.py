"""One case of a run: model and simulated user take turns, every step is scored, facts are kept.

What travels to other processes is a plan: names and paths, never a model. Each process keeps one
model over its cases.
"""

from __future__ import annotations

import atexit
import os
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segbench.core import (
    Case,
    CaseResult,
    Settings,
    StepOutput,
    StepResult,
    sum_in_order,
)
from segbench.data.dataset import CaseFile, read_case, sha256_of
from segbench.errors import CaseError
from segbench.models.finite_image import non_finite_voxels
from segbench.models.in_process import InProcessModel
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.protocol.interaction import InteractionStep, interact
from segbench.protocol.scoring import Scorer
from segbench.runs import run_folder
from segbench.runs.case_locks import case_lock
from segbench.runs.prediction_store import PredictionWriter, segmentation_sha256


@dataclass(frozen=True)
class JobSettings:
    """What one job needs to know to run a case; hashable, and cheap to send."""

    out: Path
    adapter: Path
    options: tuple[tuple[str, str], ...]
    environment: WorkerConfig
    in_process: bool
    predictions: str
    boxes: str
    exact_sum: bool
    settings: Settings
    parent: int | None = None  # the process that shares out the cases, if that is another one


@dataclass(frozen=True)
class CrashedCase:
    """A case on which segbench itself failed: not on disk, so the next run tries it again."""

    case: str
    traceback: str


def run_case(
    source: CaseFile, plan: JobSettings, before: int | None = None
) -> CaseResult | CrashedCase | None:
    """Run, score and write one case; None if another runner has it, or has done it.

    ``before`` is the time stamp of an old result that is to be replaced.
    """
    _end_if_orphaned(plan)
    try:
        with case_lock(plan.out / "cases", source.name) as is_mine:
            if is_mine is None or result_time(plan.out, source.name) != before:
                return None
            run_folder.remove_leftovers(plan.out, source.name)
            result = evaluate_case(source, plan)
            if not is_mine():  # suspended for so long that another runner took over
                return None
            run_folder.write_case_result(plan.out, result)
            return result
    except Exception:  # a fault of segbench or of the machine: the other cases go on
        return CrashedCase(source.name, traceback.format_exc())


def result_time(out: Path, case: str) -> int | None:
    """Return when the result of a case was written, in ns; None if there is none."""
    try:
        return run_folder.case_file(out, case).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _end_if_orphaned(plan: JobSettings) -> None:
    """End a job whose run was killed: nobody waits for it, and it holds a model."""
    if plan.parent is not None and os.getppid() != plan.parent:
        close_seats()
        os._exit(1)


def evaluate_case(source: CaseFile, plan: JobSettings) -> CaseResult:
    """Let model and simulated user take turns on one case, and score every step."""
    began = time.perf_counter()
    blank = CaseResult(source.name, "invalid", **vars(source.about))
    try:
        blank = _with_hashes(blank, source)
        case = _shown(read_case(source), plan)
    except CaseError as refusal:
        return replace(blank, reason=str(refusal))
    scorer = Scorer(
        case.reference, case.labels, case.image.spacing, plan.settings, exact_sum=plan.exact_sum
    )
    steps, prompts, answers = [], [], []
    with _writer(case, plan) as writer:
        for prediction in interact(case, seat_of(plan), plan.settings, scorer.reference):
            writer.add(prediction.segmentation)
            steps.append(score_step(prediction, scorer))
            prompts.append(prediction.prompts)
            answers.append(
                replace(prediction.output, segmentation=None)
            )  # six would fill the memory
    rounds = case.boxes, *(said for step, said in zip(steps, prompts, strict=True) if step.step)
    return _gather(replace(blank, rounds=rounds), case, answers, steps, time.perf_counter() - began)


def _shown(case: Case, plan: JobSettings) -> Case:
    """Return the case as the model gets to know it; without its boxes, it has no step 0."""
    return replace(case, boxes=()) if plan.boxes == "none" else case


def _writer(case: Case, plan: JobSettings) -> PredictionWriter:
    keep = plan.predictions != "none"
    return PredictionWriter(
        run_folder.prediction_file(plan.out, case.name) if keep else None,
        plan.settings.n_clicks + bool(case.boxes),
        last_only=plan.predictions == "final",
    )


def _with_hashes(blank: CaseResult, source: CaseFile) -> CaseResult:
    """Note which bytes the case is made of; a file that cannot be read is refused here."""
    reference = source.reference_file
    return replace(
        blank,
        file_sha256=sha256_of(source.file),
        reference_sha256=sha256_of(reference) if reference and reference.exists() else None,
    )


def score_step(prediction: InteractionStep, scorer: Scorer) -> StepResult:
    """Return the facts of one step: its scores, or why there are none."""
    if prediction.output.failure is not None:
        return StepResult(prediction.step, (), prediction.output.failure)
    scores = scorer.score(prediction.step, prediction.segmentation)
    comparison = scorer.reference.compared(prediction.segmentation)
    return StepResult(
        step=prediction.step,
        scores=scores,
        prediction_sha256=segmentation_sha256(comparison),
        unknown_labels=comparison.unknown,
    )


def _gather(
    blank: CaseResult,
    case: Case,
    answers: Sequence[StepOutput],
    steps: Sequence[StepResult],
    took: float,
) -> CaseResult:
    failed = [step for step in steps if step.failure is not None]
    seconds = {step.step: each.seconds for step, each in zip(steps, answers, strict=True)}
    peaks = [answer.peak_mb for answer in answers if answer.peak_mb is not None]
    return replace(
        blank,
        status="failed" if failed else "ok",
        reason=f"step {failed[0].step}: {failed[0].failure}" if failed else None,
        shape=case.reference.shape,
        spacing=case.image.spacing,
        labels=case.labels,
        has_boxes=bool(case.boxes),
        non_finite_voxels=non_finite_voxels(case.image.voxels),
        steps=tuple(steps),
        seconds=seconds,
        cost={
            "harness_seconds": round(took - sum_in_order(seconds.values()), 3),
            "peak_mb": max(peaks, default=None),
        },
    )


# ---- the model, one a process ----------------------------------------------------------------

_seats: dict[JobSettings, WorkerModel | InProcessModel] = {}


def seat_of(plan: JobSettings) -> WorkerModel | InProcessModel:
    """Return this process's own seat for a plan; it is kept over the cases."""
    if plan not in _seats:
        close_seats()
        options = dict(plan.options)
        _seats[plan] = (
            InProcessModel(plan.adapter, options)
            if plan.in_process
            else WorkerModel(plan.adapter, options, plan.environment)
        )
    return _seats[plan]


@atexit.register
def close_seats() -> None:
    """End the models of this process."""
    while _seats:
        _seats.popitem()[1].close()
