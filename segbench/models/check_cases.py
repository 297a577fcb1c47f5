"""Two small cases for `segbench.models.contract_check`, and the prompts of their steps.

Their shapes differ, no two axes are equal and the spacing is not the same on all axes, so that
swapped axes and a kept image show. The labels of the second have a gap: labels are no positions.
"""

from __future__ import annotations

import numpy as np

from segbench.core import Box, Case, Click, Image, Interactions, LabelMap, Prompt, Spacing, Voxel
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.simulator import next_clicks

N_STEPS = 4  # the boxes and three rounds of clicks, of which the last has none


def check_cases() -> tuple[Case, Case]:
    """Return the two cases: of 8-bit and of signed 16-bit voxels."""
    first = _case("CT_Check_1", (10, 20, 31), (3.0, 1.0, 0.8), (1, 2))
    second = _case("CT_Check_2", (12, 33, 24), (2.5, 0.7, 0.9), (1, 3))
    voxels = second.image.voxels.astype(np.int16) * 8 - 900
    image = Image(voxels, second.image.spacing)
    return first, Case(
        second.name, image, second.reference, second.boxes, second.labels, second.modality
    )


def check_interactions(
    case: Case, step: int, previous: LabelMap | None = None, *, boxes: bool = True
) -> Interactions:
    """Return prompts of a case up to a step, the same for every model.

    The first round has a positive and a negative click, the second one click, the third none: a
    label without an error has none.

    Parameters
    ----------
    previous : array, optional
        The last label map; zeros by default.
    boxes : bool
        Whether the case has boxes.
    """
    one, two = case.labels
    inside = {box.label: _middle(box) for box in case.boxes}
    low = case.boxes[1].low
    outside = (low[0], low[1], low[2] - 1)
    clicks: tuple[tuple[Prompt, ...], ...] = (
        (Click(one, inside[one], True), Click(two, outside, False)),
        (Click(two, inside[two], True),),
        (),
    )
    zeros = np.zeros(case.image.voxels.shape, np.uint8)
    rounds = (case.boxes if boxes else (), *clicks[:step])
    return Interactions(rounds, zeros if previous is None else previous)


def next_check_interactions(case: Case, asked: Interactions, answer: LabelMap) -> Interactions:
    """Return the prompts of the next step: the clicks are where a model's answer is wrong.

    They are those of the simulated user, but the last round has none.
    """
    is_last = len(asked.rounds) == N_STEPS - 1
    pairs = PreparedReference(case.reference, case.labels).compare(answer)
    clicks = () if is_last else next_clicks(pairs)
    return Interactions((*asked.rounds, clicks), answer)


def _middle(box: Box) -> Voxel:
    z, y, x = ((low + high) // 2 for low, high in zip(box.low, box.high, strict=True))
    return z, y, x


def _case(name: str, shape: Voxel, spacing: Spacing, labels: tuple[int, int]) -> Case:
    """Return a case with two bright blocks, each without a corner, in noise."""
    rng = np.random.default_rng(0)
    boxes = (
        Box(labels[0], (2, 3, 4), (6, 9, 14), 4),
        Box(labels[1], (5, 11, 15), (9, 17, 22), 6),
    )
    reference = np.zeros(shape, np.uint8)
    for box in boxes:  # without a corner, so that a filled box is wrong and gets clicks
        reference[tuple(map(slice, box.low, box.high))] = box.label
        reference[tuple(map(slice, box.low, _middle(box)))] = 0
    voxels = ((reference > 0) * 80 + rng.integers(0, 40, shape)).astype(np.uint8)
    return Case(name, Image(voxels, spacing), reference, boxes, labels, "CT")
