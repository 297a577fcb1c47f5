"""Label maps in the smallest type that holds them, made in parts while a file is read.

Label maps are often stored as 64-bit integers or floats. Such a map of a large CT would alone take
more memory than all the rest of its conversion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.errors import CaseError

LARGEST = np.iinfo(np.int64).max


def require_labels(values: NDArray[Any], name: str) -> None:
    """Refuse values that are not whole numbers from 0 on; the first such value is named.

    Raises
    ------
    CaseError
        If there is one.
    """
    right = values >= 0  # of NaN, false
    if values.dtype.kind == "f":
        right &= np.floor(values) == values
        right &= values <= LARGEST
    if not right.all():
        wrong = str(values[~right][0]).removesuffix(".0")  # all digits that its type holds
        raise CaseError(
            f"{name}: expected labels as whole numbers from 0 on, found {wrong}; is this a "
            "probability map, or an image?"
        )


def compact_labels(
    parts: Iterable[NDArray[Any]], shape: tuple[int, ...], name: str
) -> NDArray[np.unsignedinteger[Any]]:
    """Return a label map made of its parts, whose first axis is the fastest.

    Raises
    ------
    CaseError
        As `require_labels`.
    """
    flat: NDArray[Any] = np.zeros(int(np.prod(shape)), np.uint8)
    start = 0
    for part in parts:
        require_labels(part, name)
        needed = np.min_scalar_type(int(part.max(initial=0)))
        if needed.itemsize > flat.itemsize:
            flat = flat.astype(needed)
        flat[start : start + part.size] = part
        start += part.size
    return flat.reshape(shape, order="F")
