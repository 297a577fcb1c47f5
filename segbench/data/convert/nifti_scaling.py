"""How the stored numbers of a NIfTI file become values."""

from __future__ import annotations

from typing import Any

import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from segbench.data.convert.slabs import slabs, smallest_integer_type, value_range
from segbench.errors import CaseError
from segbench.messages import named


def slope_and_intercept(header: Any, name: str) -> tuple[float, float]:
    """Return how stored numbers become values; 1 and 0 where the header sets nothing."""
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise CaseError(f"{name}: expected a sound NIfTI header, found {named(error)}") from None
    return (1.0, 0.0) if slope is None else (float(slope), float(intercept))


def scaled(stored: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Return the values; whole numbers stay integers where slope and intercept are whole."""
    if (slope, intercept) == (1.0, 0.0):
        return stored
    kind = _type_of_scaled(stored, slope, intercept)
    whole = np.dtype(kind).kind in "iu"
    values = np.empty(stored.shape, kind, order="F")
    for at in slabs(stored.shape):
        slab = stored[at].astype(np.int64 if whole else np.float64)
        values[at] = slab * (int(slope) if whole else slope) + (
            int(intercept) if whole else intercept
        )
    return values


def _type_of_scaled(stored: NDArray[Any], slope: float, intercept: float) -> type[Any]:
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [int(value) * int(slope) + int(intercept) for value in value_range(stored)]
        kind = smallest_integer_type(min(ends), max(ends))
        if kind is not None:
            return kind
    return np.float32 if stored.dtype.itemsize <= 2 else np.float64
