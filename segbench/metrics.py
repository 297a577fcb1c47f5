"""Overlap and surface agreement of one label's prediction with its reference.

Every function is pure. A surface consists of the corners between voxels at which the eight voxels
around are neither all inside nor all outside the mask; outside the volume is outside the mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from surface_distance.lookup_tables import (
    ENCODE_NEIGHBOURHOOD_3D_KERNEL,
    create_table_neighbour_code_to_surface_area,
)

from segbench.core import Mask, Spacing, Voxel

ALL_INSIDE = 255  # the code of a corner whose eight voxels all belong to the mask


@dataclass(frozen=True)
class Surface:
    """The surface of one mask; independent of the spacing."""

    corners: NDArray[np.intp]  # (n, 3): corner (z, y, x) is the low corner of that voxel
    codes: NDArray[np.uint8]  # (n,): which of the eight voxels around belong to the mask


@dataclass(frozen=True)
class Ruler:
    """How surfaces are measured: what is the same for all labels and steps of a case.

    ``exact_sum`` adds areas in the order of the official script and so gives its last bit; the
    default is correctly rounded and the same on every platform. They differ by some 1e-16.
    """

    spacing: Spacing  # mm
    areas: NDArray[np.float64]  # (256,): mm^2 of surface at a corner with this code
    tolerance_mm: float
    exact_sum: bool = False


def ruler(spacing: Spacing, tolerance_mm: float, *, exact_sum: bool = False) -> Ruler:
    """Make a ruler for one voxel spacing."""
    z, y, x = (float(side) for side in spacing)  # float64 first: a float32 0.8 is not 0.8
    areas = create_table_neighbour_code_to_surface_area((z, y, x))
    return Ruler((z, y, x), areas, tolerance_mm, exact_sum)


def dice(prediction: Mask, reference: Mask) -> float:
    """Return the Dice similarity coefficient (DSC); NaN if both masks are empty."""
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    if total == 0:
        return math.nan
    return 2 * int(np.count_nonzero(prediction & reference)) / total


def surface_dice(
    prediction: Mask,
    reference: Mask,
    *,
    spacing: Spacing,
    tolerance_mm: float,
    exact_sum: bool = False,
) -> float:
    """Return the normalised surface dice (NSD): the share of both surfaces that agree.

    Parameters
    ----------
    prediction, reference : bool array, shape (z, y, x)
    spacing : float
        Voxel size in mm, (z, y, x).
    tolerance_mm : float
        Largest distance to the other surface that still counts as agreement.
    exact_sum : bool
        Add areas in the order of the official script, see `Ruler`.

    Returns
    -------
    float
        In [0, 1], higher is better; NaN if both masks are empty, 0 if exactly one is.

    References
    ----------
    Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for radiotherapy",
    JMIR 2021, doi:10.2196/26151.
    """
    pair = surface_of(prediction), surface_of(reference)
    return surface_agreement(*pair, ruler(spacing, tolerance_mm, exact_sum=exact_sum))


def surface_of(mask: Mask, low: Voxel = (0, 0, 0)) -> Surface:
    """Return the surface of a mask whose first voxel is voxel ``low`` of the volume."""
    padded = np.pad(mask, 1).view(np.uint8)
    codes = np.zeros([size + 1 for size in mask.shape], np.uint8)
    weights = ENCODE_NEIGHBOURHOOD_3D_KERNEL.astype(np.uint8)
    for offset, weight in np.ndenumerate(weights):
        sides = zip(offset, codes.shape, strict=True)
        codes += weight * padded[tuple(slice(start, start + size) for start, size in sides)]
    at = np.nonzero((codes != 0) & (codes != ALL_INSIDE))
    return Surface(np.stack(at, axis=1) + np.asarray(low, np.intp), codes[at])


def surface_agreement(prediction: Surface, reference: Surface, ruler: Ruler) -> float:
    """Return the share of both surfaces within tolerance of each other, as `surface_dice`."""
    if not len(prediction.codes) or not len(reference.codes):
        return math.nan if len(prediction.codes) == len(reference.codes) else 0.0
    agreeing, whole = 0.0, 0.0
    for surface, other in ((reference, prediction), (prediction, reference)):
        distances_mm = _distances_mm(surface, other, ruler.spacing)
        within, codes = distances_mm <= ruler.tolerance_mm, surface.codes
        if ruler.exact_sum:
            # the official script sorts so, and its sums depend on the order
            order = np.lexsort((ruler.areas[codes], distances_mm))
            within, codes = within[order], codes[order]
        agreeing += _area(codes[within], ruler)
        whole += _area(codes, ruler)
    return agreeing / whole


def _distances_mm(surface: Surface, other: Surface, spacing: Spacing) -> NDArray[np.float64]:
    """Return for each corner of ``surface`` the distance to the nearest corner of ``other``."""
    both = (surface.corners, other.corners)
    low = np.minimum(*(corners.min(axis=0) for corners in both))
    high = np.maximum(*(corners.max(axis=0) for corners in both))
    elsewhere = np.ones(high - low + 1, bool)
    elsewhere[tuple((other.corners - low).T)] = False
    # distances at the corners alone: scipy would fill the whole box with float64, three times
    nearest: NDArray[np.int32] = distance_transform_edt(
        elsewhere, sampling=spacing, return_distances=False, return_indices=True
    )
    at = (surface.corners - low).T
    offsets_mm = (nearest[:, *at] - at) * np.array(spacing)[:, None]
    distances: NDArray[np.float64] = np.sqrt(np.add.reduce(offsets_mm * offsets_mm, axis=0))
    return distances


def _area(codes: NDArray[np.uint8], ruler: Ruler) -> float:
    """Return the area in mm^2 of corners with these codes."""
    if not ruler.exact_sum:
        return math.fsum(np.bincount(codes, minlength=len(ruler.areas)) * ruler.areas)
    # numpy 1.26, with which the official numbers were made, summed in chunks of 8192
    areas, total = ruler.areas[codes], 0.0
    for start in range(0, len(areas), 8192):
        total += float(areas[start : start + 8192].sum())
    return total
