"""Exact percentiles of large arrays without a sorted copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.slabs import slabs

DIGIT = 16  # bits that one pass over the voxels decides


def percentiles(voxels: NDArray[Any], wanted: Sequence[float]) -> tuple[float, ...]:
    """Return percentiles of the finite voxels, between two of them by linear interpolation.

    The same numbers as `numpy.percentile`, but in passes over slabs: each finds further 16 bits of
    the values at the wanted ranks.

    Parameters
    ----------
    voxels : array of integers or floats
    wanted : sequence of float
        From 0 to 100.
    """
    n_finite = sum(int(np.count_nonzero(np.isfinite(voxels[at]))) for at in slabs(voxels.shape))
    places = [percent / 100 * (n_finite - 1) for percent in wanted]
    ranks = sorted({rank for place in places for rank in _around(place, n_finite)})
    histograms = _Histograms(voxels)
    value_at = {rank: histograms.value_at(rank) for rank in ranks}
    found = []
    for place in places:
        below, above = _around(place, n_finite)
        low, high = value_at[below], value_at[above]
        found.append(low + (high - low) * (place - below))
    return tuple(found)


def _around(place: float, n_values: int) -> tuple[int, int]:
    below = int(place)
    return below, min(below + 1, n_values - 1)


class _Histograms:
    """Counts of digits, each computed once: neighbouring ranks share most of them."""

    def __init__(self, voxels: NDArray[Any]) -> None:
        self._voxels = voxels
        self._width = voxels.dtype.itemsize * 8
        self._known: dict[tuple[int, int], NDArray[np.int64]] = {}

    def value_at(self, rank: int) -> float:
        """Return the value at a rank, from 0 on, of the finite voxels in ascending order."""
        prefix = 0
        for shift in range(max(self._width - DIGIT, 0), -1, -DIGIT):
            counts = self._counts(shift, prefix)
            up_to = np.cumsum(counts)
            digit = int(np.searchsorted(up_to, rank, side="right"))
            rank -= int(up_to[digit] - counts[digit])
            prefix = (prefix << min(DIGIT, self._width)) | digit
        return _value_of(prefix, self._voxels.dtype)

    def _counts(self, shift: int, prefix: int) -> NDArray[np.int64]:
        """Count the digits at a shift, of the voxels that begin with the digits of a prefix."""
        if (shift, prefix) not in self._known:
            counts = np.zeros(1 << min(DIGIT, self._width), np.int64)
            for at in slabs(self._voxels.shape):
                keys = _keys(self._voxels[at])
                if shift + DIGIT < self._width:
                    keys = keys[keys >> np.uint64(shift + DIGIT) == prefix]
                digits = (keys >> np.uint64(shift)) & np.uint64(counts.size - 1)
                counts += np.bincount(digits.astype(np.intp), minlength=counts.size)
            self._known[shift, prefix] = counts
        return self._known[shift, prefix]


def _keys(slab: NDArray[Any]) -> NDArray[np.uint64]:
    """Return integers that are in the order of the finite values."""
    if slab.dtype.kind == "f":
        slab = np.ascontiguousarray(slab[np.isfinite(slab)])
    flat = np.ascontiguousarray(slab).ravel()
    width, kind = flat.dtype.itemsize * 8, flat.dtype.kind
    bits = flat.view(f"u{flat.dtype.itemsize}").astype(np.uint64)
    sign, everything = np.uint64(1 << (width - 1)), np.uint64((1 << width) - 1)
    if kind == "i":
        return bits ^ sign
    if kind == "f":  # of negative ones all bits are turned: larger magnitudes come first
        return np.where(bits & sign, bits ^ everything, bits ^ sign)
    return bits


def _value_of(key: int, dtype: np.dtype[Any]) -> float:
    """Return the value that an integer of `_keys` stands for."""
    width = dtype.itemsize * 8
    sign, everything = 1 << (width - 1), (1 << width) - 1
    if dtype.kind == "i":
        key ^= sign
    elif dtype.kind == "f":
        key ^= sign if key & sign else everything
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype))
