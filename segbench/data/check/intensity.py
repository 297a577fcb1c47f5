"""The values of an image: finite, not constant, and on the challenge's scale."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.check.finding import Finding

LOWEST, HIGHEST = 0, 255
DIMMEST_MAXIMUM = 100  # an image of the challenge's scale has brighter voxels


@dataclass(frozen=True)
class ImageSummary:
    """What one pass over an image tells; low and high are of its finite voxels."""

    sha256: str  # of shape and values
    n_voxels: int
    n_nonfinite: int
    low: float
    high: float


def summarize(voxels: NDArray[Any]) -> ImageSummary:
    """Return the summary of an image, slice by slice.

    Whole numbers from 0 to 255 have the same sha256 whatever the dtype.
    """
    bytes_of = hashlib.sha256(str(voxels.shape).encode())
    values_of = bytes_of.copy()
    fits, n_nonfinite, low, high = True, 0, np.inf, -np.inf
    for plane in voxels:
        finite = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
        n_nonfinite += plane.size - finite.size
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        fits = fits and low >= LOWEST and high <= HIGHEST and not n_nonfinite
        if fits:
            narrow = plane.astype(np.uint8)
            fits = bool((narrow == plane).all())
            values_of.update(np.ascontiguousarray(narrow).data)
        little_endian = plane.astype(plane.dtype.newbyteorder("<"), copy=False)
        bytes_of.update(np.ascontiguousarray(little_endian).data)
    digest = values_of if fits else bytes_of
    return ImageSummary(digest.hexdigest(), voxels.size, n_nonfinite, low, high)


def intensity_findings(case: str, image: ImageSummary) -> Iterator[Finding]:
    """Yield what is unusual about the values of an image."""
    if image.n_nonfinite:
        share = image.n_nonfinite / image.n_voxels
        what = f"imgs: expected finite numbers, found {image.n_nonfinite} voxels of NaN or infinity"
        numbers = {"voxels": image.n_nonfinite, "share": share}
        yield Finding("image-nonfinite", case, f"{what} ({share:.1%})", numbers)
    if image.n_nonfinite == image.n_voxels:
        return
    numbers = {"low": image.low, "high": image.high}
    if image.low == image.high:
        what = f"imgs: expected an image, found {image.low:g} in all finite voxels"
        yield Finding("image-constant", case, what, numbers)
    elif image.low < LOWEST or image.high > HIGHEST or image.high <= DIMMEST_MAXIMUM:
        what = f"imgs: expected 0..255, found {image.low:g}..{image.high:g}"
        yield Finding("intensity-range", case, what, numbers)
