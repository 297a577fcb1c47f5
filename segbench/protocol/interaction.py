"""Model and simulated user take turns on one case: the protocol itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from segbench.arrays import EXPECTED_LABEL_MAP, label_map_dtype
from segbench.contract import ModelHandle
from segbench.core import (
    MAX_LABEL,
    Case,
    Interactions,
    LabelMap,
    Prompt,
    Settings,
    StepOutput,
    StepScore,
)
from segbench.protocol.mask_pairs import MaskPairs, PreparedReference
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import score_pairs
from segbench.protocol.simulator import next_clicks


@dataclass(frozen=True)
class InteractionStep:
    """One step: the prompts, the model's output, and what is valid after it.

    After a failed step ``segmentation`` and ``pairs`` are still those of the last prediction (zeros
    before the first), and there are no scores.
    """

    step: int
    prompts: tuple[Prompt, ...]
    output: StepOutput
    segmentation: LabelMap
    pairs: MaskPairs  # the segmentation and the reference
    scores: tuple[StepScore, ...]


def interact(
    case: Case,
    model: ModelHandle,
    settings: Settings = Settings(),
    *,
    exact_sum: bool = False,
) -> Iterator[InteractionStep]:
    """Yield every step of one case: the boxes, if there are any, then each round of clicks.

    The model is prompted in every step, also if no label has a new click. After a failed step the
    next clicks correct the last prediction, zeros before the first (PROTOCOL 3.1, 3.2).

    Parameters
    ----------
    case : Case
        Image, reference and boxes.
    model : ModelHandle
        Its label maps must not change after they are returned.
    settings : Settings
        Number of clicks, tolerance and gate of NSD, seed.
    exact_sum : bool
        NSD to the official script's last bit.
    """
    reference = PreparedReference(case.reference, case.labels)
    nsd = NsdSettings.of(case.image.spacing, settings, exact_sum=exact_sum)
    # in the memory order of the reference, which decides ties between errors (PROTOCOL 4.2)
    segmentation: LabelMap = np.zeros_like(case.reference, dtype=np.uint8)
    pairs = reference.compare(segmentation)
    rounds: tuple[tuple[Prompt, ...], ...] = () if case.boxes else ((),)
    model.set_image(case.image, case.labels)
    for step in steps(case, settings):
        prompts = case.boxes if step == 0 else next_clicks(pairs, settings=settings)
        rounds = (*rounds, prompts)
        output = validated_output(
            model.predict(Interactions(rounds, segmentation)), case.reference.shape
        )
        scores: tuple[StepScore, ...] = ()
        if output.segmentation is not None:
            segmentation = output.segmentation
            pairs = reference.compare(segmentation)
            scores = score_pairs(pairs, step, nsd)
        yield InteractionStep(step, prompts, output, segmentation, pairs, scores)


def steps(case: Case, settings: Settings) -> range:
    """Return the steps of a case: 0 only with boxes, then one per round of clicks."""
    return range(0 if case.boxes else 1, settings.n_clicks + 1)


def validated_output(output: StepOutput, shape: tuple[int, ...]) -> StepOutput:
    """Return an output with its label map as uint8 or uint16, or as a failure with the reason.

    Any integer dtype is accepted if its values are 0 to 65535 (PROTOCOL 9.2).
    """
    label_map = output.segmentation
    if label_map is None:
        return output
    if label_map.shape != shape:
        return _failed(output, f"returned shape {label_map.shape}, expected {shape}")
    if label_map.dtype.kind not in "ui":
        return _failed(output, f"returned {label_map.dtype}, {EXPECTED_LABEL_MAP}")
    low, high = int(label_map.min()), int(label_map.max())
    if low < 0 or high > MAX_LABEL:
        return _failed(output, f"returned labels {low} to {high}, expected 0 to {MAX_LABEL}")
    narrow: LabelMap = label_map.astype(label_map_dtype([high]), copy=False)
    return replace(output, segmentation=narrow)


def _failed(output: StepOutput, reason: str) -> StepOutput:
    return replace(output, segmentation=None, failure=reason)
