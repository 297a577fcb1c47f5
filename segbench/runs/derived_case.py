"""The further metrics of one case of a run: those that are stored, those that are missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.core import Click
from segbench.errors import RunError
from segbench.further_metrics.metric import Metric, kind_of
from segbench.results import CaseResult, StepResult
from segbench.runs.derived_json import (
    OF_REFERENCE,
    StoredDerived,
    StoredMetric,
    clicks_of,
    derived_file,
    read_derived,
    shown_predictions,
    value_key,
    write_derived,
)
from segbench.runs.json_files import SCHEMA
from segbench.runs.run_data import count_label_maps
from segbench.runs.run_folder import prediction_file, remove_partial_files


@dataclass(frozen=True)
class CaseOfRun:
    """A case as one run has it."""

    folder: Path
    result: CaseResult
    gate: float  # of the run's protocol

    @property
    def prediction_file(self) -> Path:
        """The file of its label maps."""
        return prediction_file(self.folder, self.result.case)


@dataclass(frozen=True)
class MissingValue:
    """A metric of one prediction that is to be computed, and what it is stored under."""

    metric: Metric
    definition: str
    key: str
    clicks: tuple[Click, ...] = ()


class DerivedCase:
    """What ``derived/<case>.json`` of a run has, and is to have.

    Parameters
    ----------
    case : CaseOfRun
        The case.
    metrics : sequence of Metric
        Those that are asked for; the others in the file stay there.

    Attributes
    ----------
    has_changed : bool
        Whether the file lacks something that is here.

    Raises
    ------
    RunError
        If the file is damaged, or values are missing and no predictions were kept.
    """

    def __init__(self, case: CaseOfRun, metrics: Sequence[Metric]) -> None:
        self._case, self._metrics = case, tuple(metrics)
        stored = read_derived(case.folder, case.result, case.gate)
        self._table = dict(stored.metrics) if stored else {}
        self._steps = self._kept_steps(stored)
        self.has_changed = stored is None or stored.steps != self._steps
        for metric in metrics:
            definition = metric.definition(case.gate)
            known = self._table.get(metric.name)
            if known is None or known.definition != definition:
                self._table[metric.name] = StoredMetric(definition, {})
                self.has_changed = True

    @property
    def name(self) -> str:
        """The folder and the case, for messages."""
        return f"{self._case.folder}: {self._case.result.case}"

    @property
    def gate(self) -> float:
        """The gate of NSD in the protocol of the run."""
        return self._case.gate

    @property
    def is_complete(self) -> bool:
        """Whether the file has all metrics, and all their values."""
        missing = self.missing_of_reference() or self.lacks_predictions
        return not (self.has_changed or missing)

    @property
    def lacks_predictions(self) -> bool:
        """Whether a value of a prediction is missing."""
        return any(self.missing_of(*shown) for shown in shown_predictions(self._case.result))

    def missing_of_reference(self) -> list[MissingValue]:
        """Return what is to be computed of the reference alone."""
        asked = (self._missing(each, OF_REFERENCE) for each in self._metrics if _of_reference(each))
        return [missing for missing in asked if missing is not None]

    def missing_of(self, step: StepResult, prediction_sha256: str | None) -> list[MissingValue]:
        """Return what is to be computed of the prediction that a step shows."""
        if prediction_sha256 is None or step.step not in self._steps:
            return []
        found = []
        for metric in self._metrics:
            clicks: tuple[Click, ...] = ()
            if _of_reference(metric):
                continue
            if kind_of(metric.name).depends_on == "clicks":
                clicks = clicks_of(self._case.result, step.step)
                if step.failure is not None or not clicks:
                    continue
            found.append(
                self._missing(metric, value_key(metric.name, prediction_sha256, clicks), clicks)
            )
        return [missing for missing in found if missing is not None]

    def add(self, missing: MissingValue, values: Sequence[float]) -> None:
        """Keep computed values, one per label."""
        # JSON has no NaN
        stored = tuple(None if math.isnan(value) else value for value in values)
        self._table[missing.metric.name].values[missing.key] = stored
        self.has_changed = True

    def write(self) -> None:
        """Write the file; it appears whole or not at all."""
        result = self._case.result
        data = result.file_sha256, result.reference_sha256, result.labels
        stored = StoredDerived(SCHEMA, result.case, *data, self._steps, self._table)
        remove_partial_files(derived_file(self._case.folder, result.case))
        write_derived(self._case.folder, stored)
        self.has_changed = False

    def _kept_steps(self, stored: StoredDerived | None) -> tuple[int, ...]:
        """Return the steps of which label maps are kept: all, the last, or none."""
        result = self._case.result
        steps = tuple(step.step for step in result.steps)
        if self._case.prediction_file.exists():
            return steps[-count_label_maps(self._case.prediction_file, result) :]
        if stored is not None and stored.steps:
            return stored.steps  # of a time when they were there
        has_predictions = any(step.failure is None for step in result.steps)
        if has_predictions and not all(map(_of_reference, self._metrics)):
            raise self._no_predictions()
        return () if has_predictions else steps

    def _missing(
        self, metric: Metric, key: str, clicks: tuple[Click, ...] = ()
    ) -> MissingValue | None:
        known = self._table[metric.name]
        if key in known.values:
            return None
        if key != OF_REFERENCE and not self._case.prediction_file.exists():
            raise self._no_predictions()
        return MissingValue(metric, known.definition, key, clicks)

    def _no_predictions(self) -> RunError:
        return RunError(
            f"{self._case.folder}: expected the predictions of case {self._case.result.case}, "
            "found none; run it with --predictions all"
        )


def _of_reference(metric: Metric) -> bool:
    return kind_of(metric.name).depends_on == "reference"
