"""Replace voxels that no network can use: NaN, infinities and extreme values.

The benchmark passes images to models as they are stored and counts such voxels; a model decides
how to replace them. All adapters that come with segbench use this rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (0.5, 99.5)
MARGIN_FACTOR = 10.0  # allowed distance from the percentiles, times their range
MAX_MAGNITUDE = 1e15  # the sum of its squares over a volume does not overflow float32
SAMPLE_SIZE = 1_000_000  # voxels for the percentiles, evenly spaced


def finite_image(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return an image without NaN, infinities and extreme values.

    NaN and -inf become the smallest finite value, +inf the largest. Then values are clipped to the
    range between the 0.5th and 99.5th percentile, widened on both sides by ten times its length,
    and to at most 1e15 in size. An image of at most 16-bit integers, or one that needs no change,
    is returned itself.

    Parameters
    ----------
    voxels : array of numbers, shape (z, y, x)
        Not changed.

    Returns
    -------
    array of the same shape and dtype
        All 0 if no voxel is finite.
    """
    if voxels.dtype.kind in "bui" and voxels.dtype.itemsize <= 2:
        return voxels
    finite = np.isfinite(voxels)
    if not finite.any():
        return np.zeros_like(voxels)
    values = voxels[finite]
    smallest, largest = float(values.min()), float(values.max())
    low, high = _clip_limits(values, smallest, largest)
    if finite.all() and low <= smallest and largest <= high:
        return voxels
    replaced = np.where(np.isposinf(voxels), largest, np.where(finite, voxels, smallest))
    clipped: NDArray[Any] = np.clip(replaced, low, high).astype(voxels.dtype)
    return clipped


def _clip_limits(values: NDArray[Any], smallest: float, largest: float) -> tuple[float, float]:
    """Return the limits to which values are clipped."""
    sample = values[:: max(values.size // SAMPLE_SIZE, 1)].astype(np.float64)
    low, high = np.percentile(sample, PERCENTILES)
    if low == high:  # nearly all voxels are background: use the others
        foreground = sample[sample != low]
        low, high = (
            np.percentile(np.append(foreground, low), PERCENTILES)
            if len(foreground)
            else (low, high)
        )
    if low == high:
        low, high = smallest, largest
    margin = MARGIN_FACTOR * (high - low)
    return max(low - margin, -MAX_MAGNITUDE), min(high + margin, MAX_MAGNITUDE)
