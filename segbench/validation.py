"""Checks of the arrays that enter the protocol's functions; none is ever reinterpreted."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from segbench.core import Mask
from segbench.errors import CaseError


def as_masks(prediction: NDArray[Any], reference: NDArray[Any]) -> tuple[Mask, Mask]:
    """Return two arrays of one shape as masks: bool as it is, integers where they are not 0.

    The memory order stays: it decides between errors of equal size (PROTOCOL 4.2).

    Raises
    ------
    CaseError
        If an array is not three-dimensional, or not of bool or integers (where a probability
        becomes a mask is for the caller to decide), or if the shapes differ.
    """
    refuse_no_label_map(prediction, "prediction")
    refuse_no_label_map(reference, "reference")
    refuse_other_shape(prediction, reference)
    return _as_mask(prediction), _as_mask(reference)


def refuse_no_label_map(array: NDArray[Any], name: str) -> None:
    """Raise a CaseError if an array is not three-dimensional or not of bool or integers."""
    if array.ndim != 3:
        raise CaseError(f"{name}: expected shape (z, y, x), found {array.shape}")
    if array.dtype.kind not in "bui":
        raise CaseError(f"{name}: expected bool or integers, found {array.dtype}")


def refuse_other_shape(prediction: NDArray[Any], reference: NDArray[Any]) -> None:
    """Raise a CaseError if two arrays differ in shape."""
    if prediction.shape != reference.shape:
        raise CaseError(f"prediction {prediction.shape} and reference {reference.shape} differ")


def _as_mask(array: NDArray[Any]) -> Mask:
    mask: Mask = array if array.dtype == bool else array != 0
    return mask
