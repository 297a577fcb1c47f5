"""Label maps that show what is wrong in another one, and where boxes are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import Box, LabelMap

RIGHT, MISSED, TOO_MUCH, OTHER_LABEL = range(4)
ERROR_NAMES = {MISSED: "missed", TOO_MUCH: "too much", OTHER_LABEL: "other label"}


def error_map(segmentation: LabelMap, reference: LabelMap) -> NDArray[np.uint8]:
    """Return what is wrong with each voxel.

    0: right. 1: a label of the reference was missed. 2: a label where the reference has
    background. 3: a label where the reference has another one.
    """
    errors = np.zeros(reference.shape, np.uint8)
    for out, found, expected in zip(errors, segmentation, reference, strict=True):
        predicted, there = found > 0, expected > 0  # of one slice: masks of all would fill memory
        out[there & ~predicted] = MISSED
        out[predicted & ~there] = TOO_MUCH
        out[predicted & there & (found != expected)] = OTHER_LABEL
    return errors


def box_map(boxes: Iterable[Box], shape: tuple[int, ...]) -> LabelMap:
    """Return a label map of boxes: where several overlap, the smallest of them."""
    boxes = sorted(boxes, key=_n_voxels, reverse=True)
    found = np.zeros(shape, label_map_dtype(box.label for box in boxes))
    for box in boxes:
        found[tuple(slice(a, b) for a, b in zip(box.low, box.high, strict=True))] = box.label
    return found


def _n_voxels(box: Box) -> int:
    return int(np.prod([b - a for a, b in zip(box.low, box.high, strict=True)]))
