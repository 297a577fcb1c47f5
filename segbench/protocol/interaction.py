"""One interactive session: a model, a case and a simulated user take turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from segbench.contract import ModelHandle
from segbench.core import (
    MAX_LABEL,
    Case,
    Interactions,
    LabelMap,
    Prompt,
    Settings,
    StepOutput,
)
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference
from segbench.protocol.simulator import next_clicks


@dataclass(frozen=True)
class InteractionStep:
    """One step of an interaction: the prompts, the model's output, what is valid after it.

    ``segmentation`` is that of the output or, after a failed step, still the last one (zeros before
    the first): the next clicks are made from it.
    """

    step: int
    prompts: tuple[Prompt, ...]
    output: StepOutput
    segmentation: LabelMap


def interact(
    case: Case,
    seat: ModelHandle,
    settings: Settings = Settings(),
    reference: PreparedReference | None = None,
) -> Iterator[InteractionStep]:
    """Yield what stands after the boxes, if there are any, and after each round of clicks.

    The model is asked in every step, also when no label has a new click; after a failed step the
    clicks are made from the last answer, zeros before the first (PROTOCOL 3.1, 9). A ``reference``
    that a scorer has already compared with the last answer is not compared again. An answer must
    not change once it is given.
    """
    reference = reference or PreparedReference(case.reference, case.labels)
    seat.set_image(case.image, case.labels)
    # in the memory order of the reference, which decides ties between errors (PROTOCOL 4.2)
    labels: LabelMap = np.zeros_like(case.reference, dtype=np.uint8)
    rounds: tuple[tuple[Prompt, ...], ...] = (case.boxes,)
    last: MaskPairs | None = None
    for step in range(0 if case.boxes else 1, settings.n_clicks + 1):
        if step > 0:
            comparison = reference.compared(labels)
            # a model that does not move gets the same clicks: they need not be found again
            repeated = last is not None and comparison.repeats(last)
            clicks = rounds[-1] if repeated else next_clicks(comparison, settings=settings)
            rounds, last = (*rounds, clicks), comparison
        answer = checked(seat.predict(Interactions(rounds, labels)), case.reference.shape)
        labels = labels if answer.segmentation is None else answer.segmentation
        yield InteractionStep(step, rounds[-1], answer, labels)


def checked(answer: StepOutput, shape: tuple[int, ...]) -> StepOutput:
    """Return the answer with its label map as uint8 or uint16, or with what is wrong with it.

    Any integer dtype is taken if its values are 0 to 65535 (PROTOCOL 9.2).
    """
    labels = answer.segmentation
    if labels is None:
        return answer
    if labels.shape != shape:
        return _refused(answer, f"answered shape {labels.shape}, expected {shape}")
    if labels.dtype.kind not in "ui":
        return _refused(answer, f"answered {labels.dtype}, expected integer labels")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > MAX_LABEL:
        return _refused(answer, f"answered labels {low} to {high}, expected 0 to {MAX_LABEL}")
    kind = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    return replace(answer, segmentation=labels.astype(kind, copy=False))


def _refused(answer: StepOutput, reason: str) -> StepOutput:
    return replace(answer, segmentation=None, failure=reason)
