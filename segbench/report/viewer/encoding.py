"""Arrays as text in a script: gzip and base64, label maps as changes from one step to the next.

A browser opens a page of a folder without a server, but reads no other file from there: the data
are in scripts that call one function.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import LabelMap

LEVEL = 6  # of gzip


def encoded(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array of unsigned integers as a dictionary for JSON, the same for the same array.

    Parameters
    ----------
    array : uint8 or uint16, any shape
        Written in C order, little-endian.
    """
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    packed = gzip.compress(plain.tobytes(), LEVEL, mtime=0)
    return {
        "shape": list(array.shape),
        "bytes": array.dtype.itemsize,
        "data": base64.b64encode(packed).decode("ascii"),
    }


def as_small(label_map: LabelMap) -> NDArray[Any]:
    """Return a label map in the smallest type of unsigned integers that a page can read."""
    largest = int(label_map.max(initial=0))
    return label_map.astype(label_map_dtype([min(largest, 65535)]), copy=False)


def changes(label_maps: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Yield the first label map, and each later one as its bits that differ from the one before.

    Steps differ in few voxels, so nearly all bits are zero and gzip makes them small.
    """
    before: NDArray[Any] | None = None
    for label_map in label_maps:
        yield label_map if before is None else label_map ^ before
        before = label_map


def eight_bits(voxels: NDArray[Any]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return an image as 8 bits, and the intensities that 0 and 255 stand for.

    Images of the challenge are whole numbers from 0 to 255 and stay as they are.
    """
    if voxels.dtype == np.uint8:
        return voxels, (0.0, 255.0)
    finite = voxels[np.isfinite(voxels)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 255 and np.array_equal(finite, np.round(finite)):
        low, high = 0.0, 255.0
    span = high - low or 1.0
    unit = (np.nan_to_num(voxels.astype(np.float64), nan=low, posinf=high, neginf=low) - low) / span
    return np.round(255 * unit).astype(np.uint8), (low, high)
