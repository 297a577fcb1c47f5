"""One interactive session: a model, a case and a simulated user take turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from segbench.contract import Seat
from segbench.core import (
    MAX_LABEL,
    Answer,
    Case,
    Interactions,
    LabelMap,
    Prediction,
    Prompt,
    Settings,
)
from segbench.protocol.mask_pairs import Comparison, Reference
from segbench.protocol.simulator import next_clicks


def interact(
    case: Case,
    seat: Seat,
    settings: Settings = Settings(),
    reference: Reference | None = None,
) -> Iterator[Prediction]:
    """Yield what stands after the boxes, if there are any, and after each round of clicks.

    The model is asked in every step, also when no label has a new click; after a failed step the
    clicks are made from the last answer, zeros before the first (PROTOCOL 3.1, 9). A ``reference``
    that a scorer has already compared with the last answer is not compared again. An answer must
    not change once it is given.
    """
    reference = reference or Reference(case.reference, case.labels)
    seat.start(case.image, case.labels)
    # in the memory order of the reference, which decides ties between errors (PROTOCOL 4.2)
    labels: LabelMap = np.zeros_like(case.reference, dtype=np.uint8)
    rounds: tuple[tuple[Prompt, ...], ...] = (case.boxes,)
    last: Comparison | None = None
    for step in range(0 if case.boxes else 1, settings.n_clicks + 1):
        if step > 0:
            comparison = reference.compared(labels)
            # a model that does not move gets the same clicks: they need not be found again
            repeated = last is not None and comparison.repeats(last)
            clicks = rounds[-1] if repeated else next_clicks(comparison, settings=settings)
            rounds, last = (*rounds, clicks), comparison
        answer = checked(seat.ask(Interactions(rounds, labels)), case.reference.shape)
        labels = labels if answer.labels is None else answer.labels
        yield Prediction(step, rounds[-1], answer, labels)


def checked(answer: Answer, shape: tuple[int, ...]) -> Answer:
    """Return the answer with its label map as uint8 or uint16, or with what is wrong with it.

    Any integer dtype is taken if its values are 0 to 65535 (PROTOCOL 9.2).
    """
    labels = answer.labels
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
    return replace(answer, labels=labels.astype(kind, copy=False))


def _refused(answer: Answer, reason: str) -> Answer:
    return replace(answer, labels=None, failure=reason)
