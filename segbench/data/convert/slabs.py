"""Work on large arrays in parts, so that copies stay small."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOXELS = 1 << 22  # of a part


def slabs(shape: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield indices that cut an array into slabs along its last axis.

    Volumes are stored with their first axis fastest, so each slab is one block of memory.
    """
    thickness = max(1, VOXELS // max(1, math.prod(shape[:-1])))
    for start in range(0, shape[-1], thickness):
        yield (..., slice(start, start + thickness))


def value_range(voxels: NDArray[Any]) -> tuple[Any, Any]:
    """Return the smallest and the largest finite value; NaN twice if there is none."""
    lows, highs = [], []
    for at in slabs(voxels.shape):
        slab = voxels[at]
        if slab.dtype.kind == "f":
            slab = slab[np.isfinite(slab)]
        if slab.size:
            lows.append(slab.min())
            highs.append(slab.max())
    return (min(lows), max(highs)) if lows else (np.nan, np.nan)


def smallest_integer_type(low: int, high: int) -> type[np.integer[Any]] | None:
    """Return the smallest type of integers that holds a range; None if none does."""
    kinds: tuple[type[np.integer[Any]], ...]
    kinds = (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64)
    fitting = (kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return next(fitting, None)
