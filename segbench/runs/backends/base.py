"""What a backend is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from segbench.results import CaseResult
from segbench.runs.job import ModelDescription
from segbench.runs.pending_cases import PendingCase
from segbench.runs.run_case import CrashedCase
from segbench.runs.step_channel import OnStep, ignore_step

Result = CaseResult | CrashedCase | None  # None: another runner has locked or finished the case


class Backend(Protocol):
    """Runs cases; each of its processes loads the model once and keeps it."""

    def describe_model(self) -> ModelDescription:
        """Load the model in the first process, and describe it.

        Raises
        ------
        AdapterError
            If the model cannot be loaded.
        """

    def run(
        self, cases: Sequence[PendingCase], on_step: OnStep = ignore_step
    ) -> Iterator[tuple[PendingCase, Result]]:
        """Yield each case with its result, as cases are finished; report their steps."""
