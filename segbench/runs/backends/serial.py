"""One case after another, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from segbench.runs.backends.base import Result
from segbench.runs.job import JobSettings, ModelDescription, describe_model
from segbench.runs.pending_cases import PendingCase
from segbench.runs.run_case import run_case
from segbench.runs.step_channel import OnStep, ignore_step


class SerialBackend:
    """Runs cases in this process; the model is in a worker process of its own as always."""

    def __init__(self, job: JobSettings) -> None:
        self._job = job

    def describe_model(self) -> ModelDescription:
        """Load the model and describe it."""
        return describe_model(self._job)

    def run(
        self, cases: Sequence[PendingCase], on_step: OnStep = ignore_step
    ) -> Iterator[tuple[PendingCase, Result]]:
        """Yield each case with its result, in the given order; report their steps."""
        for case in cases:
            yield case, run_case(case, self._job, on_step)
