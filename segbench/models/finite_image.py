"""One rule for voxels that no network can take: NaN, infinities, and values out of all proportion.

The harness hands images on as they are stored and notes what is in them; what becomes of such
voxels is for the model to decide. All adapters that come with segbench use this rule.

Standard library and numpy only, syntax of Python 3.9: adapters use this in foreign environments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (0.5, 99.5)
MARGIN_FACTOR = 10.0  # times the range between the percentiles that a voxel may lie outside of it
MAX_MAGNITUDE = 1e15  # whose square, summed over a volume, is still far from overflow in float32
SAMPLE_SIZE = 1_000_000  # voxels that the percentiles are taken of, evenly spread


def finite_image(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return an image whose voxels are all finite and of one order of magnitude.

    NaN and -inf become the smallest finite value, +inf the largest; then values farther from the
    range between the 0.5th and 99.5th percentile than ten times that range are clipped. An image
    of at most 16-bit integers, or one in which nothing is replaced or clipped, comes back as it is.

    Parameters
    ----------
    voxels : array of numbers, shape (z, y, x)
        Not changed.

    Returns
    -------
    array of the same shape and dtype
        0 throughout if no voxel is finite.
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


def non_finite_voxels(voxels: NDArray[Any]) -> int:
    """Return how many voxels of an image are NaN or infinite."""
    if voxels.dtype.kind != "f":
        return 0
    return sum(plane.size - int(np.isfinite(plane).sum()) for plane in voxels)


def _clip_limits(values: NDArray[Any], smallest: float, largest: float) -> tuple[float, float]:
    """Return the smallest and the largest value that an image may keep."""
    sample = values[:: max(values.size // SAMPLE_SIZE, 1)].astype(np.float64)
    low, high = np.percentile(sample, PERCENTILES)
    if low == high:  # nearly all is background: the rest alone says what is usual
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
