"""Checks of the arrays that enter the protocol's functions; none is ever reinterpreted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segbench.arrays import label_map_dtype
from segbench.core import MAX_LABEL, LabelMap, Mask, Spacing
from segbench.errors import CaseError

FINEST_MM, COARSEST_MM = 1e-9, 1e9  # beyond, surface areas leave the range of float64


def as_masks(prediction: ArrayLike, reference: ArrayLike) -> tuple[Mask, Mask]:
    """Return two arrays of one shape as masks: bool, or integers where they are not 0.

    The memory order stays: it decides between errors of equal size (PROTOCOL 4.2).

    Raises
    ------
    CaseError
        If an array is empty, not three-dimensional, or not of bool or integers (the caller decides
        where a probability becomes a mask), or if the shapes differ.
    """
    prediction, reference = np.asarray(prediction), np.asarray(reference)
    _require_integers(prediction, "prediction")
    _require_integers(reference, "reference")
    require_same_shape(prediction, reference)
    return prediction != 0, reference != 0


def require_label_map(array: NDArray[Any], name: str) -> None:
    """Raise a CaseError if an array is no three-dimensional label map of integers from 0 on."""
    _require_integers(array, name)
    if array.dtype.kind == "i" and array.min() < 0:
        raise CaseError(f"{name}: expected labels from 0 on, found {array.min()}")


def require_same_shape(prediction: NDArray[Any], reference: NDArray[Any]) -> None:
    """Raise a CaseError if two arrays differ in shape."""
    if prediction.shape != reference.shape:
        raise CaseError(
            f"prediction and reference: expected one shape, found {prediction.shape} and "
            f"{reference.shape}"
        )


def _require_integers(array: NDArray[Any], name: str) -> None:
    if array.ndim != 3 or 0 in array.shape:
        raise CaseError(f"{name}: expected shape (z, y, x), found {array.shape}")
    if array.dtype.kind not in "bui":
        raise CaseError(f"{name}: expected bool or integers, found {array.dtype}")


def checked_label_map(raw: NDArray[Any], what: str) -> LabelMap:
    """Return an array as a label map, uint8 if it fits, else uint16; its memory order stays.

    Raises
    ------
    CaseError
        If it is not three-dimensional, not of integers or booleans, or not within 0..65535;
        ``what`` begins the message.
    """
    if raw.ndim != 3 or 0 in raw.shape:
        raise CaseError(f"{what}: expected shape (z, y, x), found {raw.shape}")
    if raw.dtype.kind not in "bui":
        raise CaseError(f"{what}: expected integer labels, found {raw.dtype}")
    low, high = int(raw.min()), int(raw.max())
    if low < 0 or high > MAX_LABEL:
        raise CaseError(f"{what}: expected labels 0..{MAX_LABEL}, found {low}..{high}")
    narrow: LabelMap = raw.astype(label_map_dtype([high]), copy=False)
    return narrow


def checked_spacing(raw: NDArray[Any], name: str) -> Spacing:
    """Return a spacing as three positive numbers in mm; refuse anything else."""
    if raw.shape != (3,) or raw.dtype.kind not in "uif":
        raise CaseError(
            f"{name}: spacing: expected 3 numbers (z, y, x) in mm, found {raw.dtype} {raw.shape}"
        )
    z, y, x = (float(mm) for mm in raw)
    if not all(FINEST_MM <= mm <= COARSEST_MM for mm in (z, y, x)):
        raise CaseError(
            f"{name}: spacing: expected positive numbers in mm ({FINEST_MM:g} to {COARSEST_MM:g}), "
            f"found {(z, y, x)}"
        )
    return z, y, x
