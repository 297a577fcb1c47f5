"""One case of a run: model and simulated user take turns, every step is scored and recorded."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.contract import ModelHandle
from segbench.core import Case, Prompt, sum_in_order
from segbench.data.dataset import CaseSource
from segbench.errors import CaseError
from segbench.protocol.interaction import InteractionStep, interact, steps
from segbench.results import CaseResult, StepResult
from segbench.runs import run_folder
from segbench.runs.case_locks import StillMine, case_lock
from segbench.runs.config import RunConfig
from segbench.runs.job import JobSettings, exit_if_orphaned, model_of
from segbench.runs.pace import StepProgress
from segbench.runs.pending_cases import PendingCase, result_time
from segbench.runs.prediction_store import PredictionWriter, segmentation_sha256
from segbench.runs.step_channel import OnStep, ignore_step


class LostLockError(Exception):
    """Another runner took the case over, because this process was suspended for too long."""


@dataclass(frozen=True)
class CrashedCase:
    """A case on which segbench itself failed: not on disk, so the next run tries it again."""

    case: str
    traceback: str

    @property
    def summary(self) -> str:
        """The last line of the traceback."""
        return self.traceback.strip().rpartition("\n")[2]


def run_case(
    pending: PendingCase, job: JobSettings, on_step: OnStep = ignore_step
) -> CaseResult | CrashedCase | None:
    """Run, score and write one case; None if another runner has locked it, or has finished it.

    ``on_step`` is called when the case has been read, and after each step.

    Raises
    ------
    AdapterError
        If this process's model cannot be loaded: a bad request, which ends the run.
    """
    exit_if_orphaned(job)
    out, model = job.config.out, model_of(job)
    try:
        with case_lock(out / "cases", pending.name) as still_mine:
            if still_mine is None or result_time(out, pending.name) != pending.replaces:
                return None
            run_folder.remove_leftovers(out, pending.name)
            try:
                result = evaluate_case(pending.source, model, job.config, still_mine, on_step)
            except Exception:  # of files that the new owner of the lock has removed
                if not still_mine():
                    return None
                raise
            if not still_mine():
                return None
            run_folder.write_case_result(out, result)
            return result
    except LostLockError:
        return None
    except Exception:  # a fault of segbench or of the machine: the other cases continue
        return CrashedCase(pending.name, traceback.format_exc())


def evaluate_case(
    source: CaseSource,
    model: ModelHandle,
    config: RunConfig,
    still_mine: StillMine,
    on_step: OnStep = ignore_step,
) -> CaseResult:
    """Let model and simulated user take turns on one case, and record every step.

    Raises
    ------
    LostLockError
        If the lock of the case is no longer held; the label maps are not written.
    """
    began = time.perf_counter()
    result = CaseResult(source.name, "invalid", **vars(source.metadata))
    try:
        result = _with_hashes(result, source)
        case = source.read()
    except CaseError as refusal:
        return replace(result, reason=str(refusal))
    if config.boxes == "none":
        case = replace(case, boxes=())
    records: list[StepRecord] = []
    on_step(_progress(case, config, records))
    with prediction_writer(case, config, still_mine) as writer:
        for step in interact(case, model, config.settings, exact_sum=config.exact_sum):
            if not still_mine():
                raise LostLockError
            writer.add(step.segmentation)
            records.append(record(step))
            on_step(_progress(case, config, records))
    if not still_mine():  # then the writer has written nothing
        raise LostLockError
    return build_result(result, case, records, time.perf_counter() - began)


def _progress(case: Case, config: RunConfig, records: Sequence[StepRecord]) -> StepProgress:
    seconds = records[-1].seconds if records else 0.0
    total = len(steps(case, config.settings))
    return StepProgress(case.name, len(records), total, bool(case.boxes), seconds)


class StepRecord(NamedTuple):
    """What is kept of one step; without label maps, six of which would fill the memory."""

    result: StepResult
    prompts: tuple[Prompt, ...]
    seconds: float
    peak_mb: float | None


def record(step: InteractionStep) -> StepRecord:
    """Return the facts of one step: its scores, or why there are none."""
    failure = step.output.failure
    result = StepResult(
        step=step.step,
        scores=step.scores,
        failure=failure,
        prediction_sha256=None if failure else segmentation_sha256(step.pairs),
        unknown_labels=() if failure else step.pairs.unknown_labels,
    )
    return StepRecord(result, step.prompts, step.output.seconds, step.output.peak_mb)


def build_result(
    result: CaseResult, case: Case, records: Sequence[StepRecord], seconds: float
) -> CaseResult:
    """Complete the result of a case that was valid; ``seconds`` is the time of everything."""
    failed = [each.result for each in records if each.result.failure is not None]
    model_seconds = {each.result.step: each.seconds for each in records}
    peaks = [each.peak_mb for each in records if each.peak_mb is not None]
    clicks = (each.prompts for each in records if each.result.step > 0)
    return replace(
        result,
        status="failed" if failed else "ok",
        reason=f"step {failed[0].step}: {failed[0].failure}" if failed else None,
        shape=case.reference.shape,
        spacing=case.image.spacing,
        labels=case.labels,
        has_boxes=bool(case.boxes),
        non_finite_voxels=non_finite_voxels(case.image.voxels),
        rounds=(case.boxes, *clicks),
        steps=tuple(each.result for each in records),
        seconds=model_seconds,
        cost={
            "harness_seconds": round(seconds - sum_in_order(model_seconds.values()), 3),
            "peak_mb": max(peaks, default=None),
        },
    )


def non_finite_voxels(voxels: NDArray[Any]) -> int:
    """Return how many voxels of an image are NaN or infinite."""
    if voxels.dtype.kind != "f":
        return 0
    return sum(plane.size - int(np.isfinite(plane).sum()) for plane in voxels)


def prediction_writer(case: Case, config: RunConfig, still_mine: StillMine) -> PredictionWriter:
    """Return the writer of a case's label maps; it writes what ``--predictions`` asks for."""
    keep = config.predictions != "none"
    return PredictionWriter(
        run_folder.prediction_file(config.out, case.name) if keep else None,
        len(steps(case, config.settings)),
        last_only=config.predictions == "final",
        may_finish=still_mine,
    )


def _with_hashes(result: CaseResult, source: CaseSource) -> CaseResult:
    """Record which bytes the case is made of; a file that cannot be read is refused here."""
    case_sha256, reference_sha256 = source.sha256()
    return replace(result, file_sha256=case_sha256, reference_sha256=reference_sha256)
