"""Rows of the frame ``derived``: further metrics of a case, under the policy of the results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from segbench.further_metrics.metric import kind_of
from segbench.report.modalities import modality_code
from segbench.results import CaseResult, CaseSummary, Policy, StepResult
from segbench.runs.derived_json import (
    OF_REFERENCE,
    REFERENCE_STEP,
    StoredDerived,
    StoredMetric,
    clicks_of,
    shown_predictions,
    value_key,
)

DERIVED = {
    **{"method": "str", "case": "str", "label": "int64", "step": "int64", "metric": "str"},
    **{"value": "float64", "modality": "str", "has_boxes": "bool"},
}
Values = Mapping[int, float | None]  # by label; None is NaN


@dataclass(frozen=True)
class DerivedOfCase:
    """The stored further metrics of a case, and what decides how they are shown.

    ``scores`` is None if the policy leaves the case out of all means.
    """

    case: CaseResult
    scores: CaseSummary | None
    policy: Policy
    stored: StoredDerived

    def rows(self, method: str) -> Iterator[tuple[Any, ...]]:
        """Yield a row per step, label and metric; none of a prediction that is not known."""
        about = modality_code(self.case.modality), self.case.has_boxes
        for step, by_metric in self._steps():
            for label in self.case.labels:
                for name, values in by_metric.items():
                    if label in values:
                        yield (method, self.case.case, label, step, name, values[label], *about)

    def _steps(self) -> Iterator[tuple[int, dict[str, Values]]]:
        metrics = self.stored.metrics.items()
        yield (
            REFERENCE_STEP,
            {name: self._stored_under(OF_REFERENCE, metric) for name, metric in metrics},
        )
        for step, prediction_sha256 in shown_predictions(self.case):
            if step.step in self.stored.steps:
                yield (
                    step.step,
                    {
                        name: self._values(name, metric, step, prediction_sha256)
                        for name, metric in metrics
                    },
                )

    def _values(
        self, name: str, metric: StoredMetric, step: StepResult, prediction_sha256: str | None
    ) -> Values:
        """Return the values of a step under the policy, as `CaseResult.summary` has its scores."""
        kind = kind_of(name)
        if kind.depends_on == "reference":
            return {}
        clicks = clicks_of(self.case, step.step) if kind.depends_on == "clicks" else ()
        labels = [click.label for click in clicks] if kind.depends_on == "clicks" else None
        fixed = self._fixed_value(kind.worst, step, prediction_sha256, is_answer=labels is not None)
        if fixed is not None:
            return dict.fromkeys(self.case.labels if labels is None else labels, fixed)
        values = self._stored_under(value_key(name, prediction_sha256 or "", clicks), metric)
        return {
            label: value for label, value in values.items() if labels is None or label in labels
        }

    def _fixed_value(
        self, worst: float, step: StepResult, prediction_sha256: str | None, *, is_answer: bool
    ) -> float | None:
        """Return the value of all labels if the policy decides it, else None.

        A failed step never answers its clicks: they were placed where its prediction is wrong.
        """
        if self.scores is None:
            return math.nan
        carries = self.policy.failures == "carry_forward" and prediction_sha256 and not is_answer
        if self.scores.over_time or (step.failure is not None and not carries):
            return worst
        return None

    def _stored_under(self, key: str, metric: StoredMetric) -> Values:
        values = metric.values.get(key)
        return {} if values is None else dict(zip(self.case.labels, values, strict=True))
