"""A classical baseline: a random walker with priors from box, clicks and intensities.

The random walk of `_random_walk.py` (Grady, CVPR 2005) on a crop around the prompts of a label. Its
prior is the ellipsoid inscribed in the box. The segmentations that earlier clicks correct are
computed from the earlier prompts; caches only save time.

No weights; the constants were chosen on training scans. Needs scipy, a dependency of segbench.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segbench.core import AdapterInfo, Box, Click, Image, Interactions, LabelMap, Prompt, Roi
from segbench_adapters import kit

from ._coarse_grid import MAX_VOXELS, FloatArray, coarse_grid, upsample
from ._nesting import box_extent, drawing_order, nesting_table
from ._random_walk import Hint, box_odds, hints_for, label_roi, make_hint, random_walk

Rounds = tuple[tuple[Prompt, ...], ...]


class RandomWalker:
    """Segment each label on its own; a voxel gets the most probable label, see `_nesting.py`."""

    info = AdapterInfo("random_walker", version="3", licence="Apache-2.0")

    def __init__(self, max_voxels: int = MAX_VOXELS) -> None:
        self._max_voxels = max_voxels

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Store the image with finite voxels."""
        self._image = Image(kit.finite_image(image.voxels), image.spacing)
        self._hints_by_rounds: dict[Rounds, tuple[tuple[int, Hint], ...]] = {}
        self._probabilities: dict[int, tuple[object, Roi, FloatArray]] = {}
        self._last: tuple[Rounds | None, LabelMap] = (None, np.zeros(0, np.uint8))

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment all rounds; earlier ones first if their segmentations are not cached."""
        return self._segmentation_after(interactions.rounds)

    def _segmentation_after(self, rounds: Rounds) -> LabelMap:
        if self._last[0] != rounds:
            self._last = (rounds, self._segment(rounds[0], self._hints_after(rounds)))
        return self._last[1]

    def _hints_after(self, rounds: Rounds) -> tuple[tuple[int, Hint], ...]:
        if len(rounds) == 1:
            return ()
        if rounds not in self._hints_by_rounds:
            earlier = self._hints_after(rounds[:-1])
            segmentation = self._segmentation_after(rounds[:-1])
            clicks = [prompt for prompt in rounds[-1] if isinstance(prompt, Click)]
            new = [(click.label, make_hint(click, segmentation)) for click in clicks]
            self._hints_by_rounds[rounds] = (*earlier, *new)
        return self._hints_by_rounds[rounds]

    def _segment(
        self, boxes: tuple[Prompt, ...], label_hints: tuple[tuple[int, Hint], ...]
    ) -> LabelMap:
        boxes_by_label = {prompt.label: prompt for prompt in boxes if isinstance(prompt, Box)}
        labels = sorted(
            boxes_by_label.keys() | {label for label, hint in label_hints if hint.positive}
        )
        found = [
            self._label_probability(label, boxes_by_label.get(label), hints_for(label, label_hints))
            for label in labels
        ]
        extents = [
            box_extent(boxes_by_label[label]) if label in boxes_by_label else foreground(*each)
            for label, each in zip(labels, found)
        ]
        owners = merge(found, extents, self._image.voxels.shape)
        numbers: LabelMap = np.array([0, *labels], kit.label_map_dtype(labels))
        return numbers[owners]

    def _label_probability(
        self, label: int, box: Box | None, hints: tuple[Hint, ...]
    ) -> tuple[Roi, FloatArray]:
        prompts = (box, hints)
        if label not in self._probabilities or self._probabilities[label][0] != prompts:
            roi = label_roi(box, hints, self._image.voxels.shape)
            grid = coarse_grid(self._image, roi, self._max_voxels)
            prior_odds = box_odds(grid, box)
            coarse = random_walk(grid, self._image.spacing, prior_odds, box, hints)
            probability = upsample(coarse, grid)
            self._probabilities[label] = (prompts, grid.roi, probability)
        return self._probabilities[label][1:]


def foreground(roi: Roi, probability: FloatArray) -> Roi:
    """Return the box of the voxels with a probability above 0.5."""
    box = kit.bounding_box(probability > 0.5)
    z, y, x = (slice(a.start + b.start, a.start + b.stop) for a, b in zip(roi, box))
    return z, y, x


def merge(
    found: Sequence[tuple[Roi, FloatArray]], extents: Sequence[Roi], shape: tuple[int, ...]
) -> NDArray[np.uint16]:
    """Return who gets each voxel: 0 nobody, i + 1 the label ``found[i]``; ties go to the first."""
    owners = np.zeros(shape, np.uint16)
    best = np.full(shape, 0.5, np.float32)
    is_inside = nesting_table(extents)
    for i in drawing_order(extents):
        roi, probability = found[i]
        rivals = owners[roi]
        equal = (probability == best[roi]) & (i + 1 < rivals)
        wins = (probability > 0.5) & ((probability > best[roi]) | equal | is_inside[i][rivals])
        owners[roi][wins] = i + 1
        best[roi][wins] = probability[wins]
    return owners


def make_adapter() -> RandomWalker:
    """Make the adapter; it takes no options."""
    return RandomWalker()
