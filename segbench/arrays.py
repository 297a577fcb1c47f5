"""Rules on arrays that the whole package needs, adapters included.

numpy only, syntax of Python 3.9: foreign environments import this.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPECTED_LABEL_MAP = "expected a label map: integers, shape (z, y, x) of the image"


def label_map_dtype(labels: Iterable[int]) -> type[np.uint8] | type[np.uint16]:
    """Return the smaller of uint8 and uint16 that holds every label."""
    return np.uint8 if max(labels, default=0) <= np.iinfo(np.uint8).max else np.uint16


def bounding_box(array: NDArray[Any]) -> tuple[slice, ...]:
    """Return the smallest box around the values that are not 0.

    Parameters
    ----------
    array : array, shape (z, y, x)

    Returns
    -------
    tuple of slice
        One per axis; empty ones if all values are 0.
    """
    if not array.size:
        return tuple(slice(0, 0) for _ in array.shape)
    if array.dtype.kind not in "bui":
        array = array != 0
    planes = np.bitwise_or.reduce(array.reshape(len(array), -1), axis=1)
    above = np.bitwise_or.reduce(array, axis=0)
    lines = planes, np.bitwise_or.reduce(above, axis=1), np.bitwise_or.reduce(above, axis=0)
    used = (np.flatnonzero(line).tolist() for line in lines)
    return tuple(slice(at[0], at[-1] + 1) if at else slice(0, 0) for at in used)
