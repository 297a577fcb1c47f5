"""The z-score of an image, over the box of its non-zero voxels, without a float copy of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench_adapters import kit

EPSILON = 1e-6  # the authors'; makes a constant image zero


@dataclass(frozen=True)
class Intensity:
    """Mean and standard deviation of an image's voxels, which are finite."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, voxels: NDArray[Any]) -> Intensity:
        """Measure the box of the non-zero voxels (the whole image when all are zero), by slice."""
        part = voxels[occupied_box(voxels)]
        pivot = float(part[0, 0, 0])  # keeps the squares small, so they cancel well
        total = squares = 0.0
        for plane in part:
            values = plane.astype(np.float64) - pivot
            total += float(values.sum())
            squares += float((values * values).sum())
        mean = total / part.size
        variance = max(squares / part.size - mean * mean, 0.0)
        return cls(mean + pivot, float(np.sqrt(variance)))

    def z_score(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return ``values`` as float32 with zero mean and unit deviation."""
        scored: NDArray[np.float32] = values.astype(np.float32)
        scored -= np.float32(self.mean)
        scored /= np.float32(self.deviation + EPSILON)
        return scored


def occupied_box(voxels: NDArray[Any]) -> tuple[slice, ...]:
    """Return the smallest box that holds every non-zero voxel; everything when there is none."""
    box = kit.bounding_box(voxels)
    is_empty = any(span.start == span.stop for span in box)
    return tuple(slice(0, n) for n in voxels.shape) if is_empty else box
