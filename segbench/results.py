"""What is recorded of a case, and how the raw facts become numbers under a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from segbench.core import Prompt, StepScore, mean_scores, sum_in_order
from segbench.errors import RunError

FailurePolicy = Literal["zero", "carry_forward"]


def is_positive(seconds: object) -> bool:
    """Whether something is a finite number above 0."""
    return isinstance(seconds, int | float) and 0 < seconds < math.inf


@dataclass(frozen=True)
class Policy:
    """How raw facts become scores; chosen by the reader of a run, never stored with a case.

    Raises
    ------
    RunError
        If a value is unknown or no positive number.
    """

    failures: FailurePolicy = "zero"
    """The score of a failed step: 0 (zero), or that of the last prediction (carry_forward, the
    official script's number)."""
    time_limit: float | None = None
    """Seconds per label: a case whose total time is above the limit times its number of labels
    scores 0 in all steps; null applies no limit."""

    def __post_init__(self) -> None:
        if self.failures not in get_args(FailurePolicy):
            expected = ", ".join(get_args(FailurePolicy))
            raise RunError(f"failures: expected one of {expected}, found {self.failures!r}")
        if self.time_limit is not None and not is_positive(self.time_limit):
            raise RunError(f"time_limit: expected seconds above 0, found {self.time_limit}")


@dataclass(frozen=True)
class StepResult:
    """The raw facts of one step; a failed step has a reason and no scores."""

    step: int
    scores: tuple[StepScore, ...]
    failure: str | None = None
    prediction_sha256: str | None = None
    unknown_labels: tuple[int, ...] = ()  # predicted labels that the case does not have


@dataclass(frozen=True)
class CaseSummary:
    """The numbers of one case under one policy; tuples run over steps 0 to 5.

    A case without boxes has 0 at step 0, as in the official table, but no label scores there.
    """

    dsc: tuple[float, ...]
    nsd: tuple[float, ...]
    seconds: tuple[float, ...]
    over_time: bool
    label_scores: Mapping[int, tuple[StepScore, ...]]  # step -> scores, labels ascending

    @property
    def dsc_auc(self) -> float:
        """Area under DSC per click, without the box step; at most 4."""
        return area_under_clicks(self.dsc[1:])

    @property
    def nsd_auc(self) -> float:
        """Area under NSD per click, without the box step; at most 4."""
        return area_under_clicks(self.nsd[1:])

    @property
    def dsc_final(self) -> float:
        """DSC after the last click."""
        return self.dsc[-1]

    @property
    def nsd_final(self) -> float:
        """NSD after the last click."""
        return self.nsd[-1]


@dataclass(frozen=True)
class CaseResult:
    """The raw facts of one finished case. ``status`` is ok, failed or invalid.

    A failed case has at least one failed step; an invalid case was refused before any model ran.
    ``seconds`` and ``peak_mb`` are the only fields in which two equal runs may differ.
    """

    case: str
    status: str
    reason: str | None = None
    modality: str = ""
    patient: str = ""
    dataset: str = ""
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    labels: tuple[int, ...] = ()
    has_boxes: bool = False
    non_finite_voxels: int = 0  # NaN or infinite in the image; the model gets them unchanged
    rounds: tuple[tuple[Prompt, ...], ...] = ()
    steps: tuple[StepResult, ...] = ()
    file_sha256: str = ""
    reference_sha256: str | None = None  # only if the reference is in a file of its own
    seconds: dict[int, float] = field(default_factory=dict)  # step -> seconds of the model
    cost: dict[str, Any] = field(default_factory=dict)  # further times and memory

    @property
    def total_seconds(self) -> float:
        """Seconds of the model in all steps, added in their order."""
        return sum_in_order(self.seconds[step] for step in sorted(self.seconds))

    def exceeds(self, time_limit: float) -> bool:
        """Whether the total time is above a limit in seconds per label."""
        return self.total_seconds > time_limit * len(self.labels)

    def summary(self, policy: Policy = Policy(), n_clicks: int = 5) -> CaseSummary | None:
        """Return the case's numbers under ``policy``.

        None for an invalid case and, with ``carry_forward``, for a case without any prediction: the
        official script leaves it out of its table (PROTOCOL 7.2).
        """
        predicted = any(step.failure is None for step in self.steps)
        if self.status == "invalid" or (policy.failures == "carry_forward" and not predicted):
            return None
        seconds = tuple(float(self.seconds.get(step, 0)) for step in range(n_clicks + 1))
        over_time = policy.time_limit is not None and self.exceeds(policy.time_limit)
        scores = self._label_scores(policy, n_clicks, all_zero=over_time)
        pairs = (
            mean_scores(scores[step]) if step in scores else (0.0, 0.0)
            for step in range(n_clicks + 1)
        )
        dsc, nsd = zip(*pairs, strict=True)
        return CaseSummary(dsc, nsd, seconds, over_time, scores)

    def _label_scores(
        self, policy: Policy, n_clicks: int, *, all_zero: bool
    ) -> dict[int, tuple[StepScore, ...]]:
        steps = range(0 if self.has_boxes else 1, n_clicks + 1)
        scores = {
            step: tuple(StepScore(step, label, 0.0, 0.0) for label in self.labels) for step in steps
        }
        last: tuple[StepScore, ...] = ()
        for step in () if all_zero else self.steps:
            if step.failure is None:
                scores[step.step] = last = step.scores
            elif last and policy.failures == "carry_forward":
                scores[step.step] = tuple(replace(score, step=step.step) for score in last)
        return scores


def area_under_clicks(values: Sequence[float]) -> float:
    """Return the area under a score per click by the trapezoid rule, one unit a click.

    Added from left to right, so that the result is the official one to the last bit
    (PROTOCOL 7.1); five perfect clicks give 4.
    """
    pairs = zip(values[:-1], values[1:], strict=True)
    return sum_in_order((left + right) / 2 for left, right in pairs)
