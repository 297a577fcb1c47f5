"""Overlap and surface agreement of one label's prediction with its reference.

Every function is pure. A surface consists of the corners between voxels at which the eight voxels
around are neither all inside nor all outside the mask; outside the volume is outside the mask.

Where rounding decides nothing no map of distances is made: a corner agrees if it lies in what the
other surface becomes when it is spread over all offsets within the tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from surface_distance.lookup_tables import (
    _NEIGHBOUR_CODE_TO_NORMALS as NEIGHBOUR_CODE_TO_NORMALS,
)

from segbench.core import Mask, Spacing, Voxel
from segbench.protocol.packed_mask import PackedMask, pack_mask
from segbench.protocol.surface_distances import areas_in_official_order, distances_mm
from segbench.protocol.validation import as_masks

# the published table has the voxels around a corner in the other order
MIRRORED = np.array([int(f"{code:08b}"[::-1], 2) for code in range(256)])
CLOSE = 1e-9  # relative: offsets this near to the tolerance may be rounded to either side of it
MAX_ROWS = 5000  # of offsets in the box around the reach; with more, measuring is faster


@dataclass(frozen=True, eq=False)
class NsdSettings:
    """How surfaces are measured, for all labels and steps of a case alike (PROTOCOL 6.2, 6.3).

    ``exact_sum`` adds areas in the order of the official script and so gives its last bit; the
    default does not depend on the order of the sum. They differ by some 1e-16.
    """

    spacing: Spacing  # mm
    tolerance_mm: float
    exact_sum: bool = False

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """Surface in mm^2 at a corner with each of 256 codes (PROTOCOL 6.3)."""
        return surface_areas(self.spacing)


@lru_cache(64)
def surface_areas(spacing: Spacing) -> NDArray[np.float64]:
    """Return the surface in mm^2 at a corner between voxels, for each code of the voxels around it.

    The normals are those of the published table. Its areas are not used: they come from
    ``numpy.linalg.norm``, whose last bit depends on the processor's BLAS kernel. Here each product,
    sum and square root is rounded once, in a fixed order, so that all machines have the same bits;
    they are those of the official environment (PROTOCOL 6.3).

    Returns
    -------
    float64 array, shape (256,)
        By code as in `Bits.codes`, where voxel (0, 0, 0) is the lowest bit.
    """
    z, y, x = spacing
    areas = np.zeros(256)
    for code, normals in enumerate(NEIGHBOUR_CODE_TO_NORMALS):
        for normal_z, normal_y, normal_x in normals:
            a, b, c = normal_z * y * x, normal_y * z * x, normal_x * z * y
            areas[MIRRORED[code]] += math.sqrt((a * a + b * b) + c * c)
    return areas


def nsd_settings(spacing: Spacing, tolerance_mm: float, *, exact_sum: bool = False) -> NsdSettings:
    """Make a ruler for one voxel spacing (PROTOCOL 6.2, 6.3)."""
    z, y, x = (float(side) for side in spacing)  # float64 first: a float32 0.8 is not 0.8
    return NsdSettings((z, y, x), tolerance_mm, exact_sum)


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of one mask, and what lies within tolerance of it (PROTOCOL 6.3, 6.4)."""

    corners: PackedMask
    codes: NDArray[np.uint8]  # one a corner: which of the eight voxels around are in the mask
    nsd_settings: NsdSettings

    @cached_property
    def near(self) -> PackedMask | None:
        """Corners within tolerance, in the frame; None if each is to be measured (PROTOCOL 6.4)."""
        reach = offsets_within_tolerance(
            self.nsd_settings.tolerance_mm, self.nsd_settings.spacing, self.corners.shape
        )
        return None if reach is None else self.corners.dilate(reach)


def surface_of(mask: PackedMask, nsd_settings: NsdSettings) -> Surface:
    """Return the surface of a mask (PROTOCOL 6.3)."""
    corners = mask.surface()
    return Surface(corners, mask.neighbour_codes(corners.positions), nsd_settings)


@lru_cache(64)
def offsets_within_tolerance(
    limit_mm: float, spacing: Spacing, shape: Voxel
) -> NDArray[np.intp] | None:
    """Return the largest offset along x within a limit for each offset along z and y.

    Lengths are float64 and added up as scipy does, so that both decide alike (PROTOCOL 6.2, 6.4).
    -1 stands for none; offsets that leave the shape are left out.

    None where spreading would be slower than measuring, or where float64 puts offsets that may be
    of one true length on both sides of the limit: which counts is up to scipy's transform.
    """
    farthest = limit_mm / np.array(spacing) * (1 + CLOSE) + 2
    sizes = np.minimum(farthest, shape).astype(int).tolist()
    if sizes[0] * sizes[1] > MAX_ROWS:
        return None
    z, y, x = (np.arange(size) * side for size, side in zip(sizes, spacing, strict=True))
    lengths = np.sqrt((z[:, None, None] ** 2 + y[:, None] ** 2) + x**2)
    limits = (limit_mm * times for times in (1 - CLOSE, 1, 1 + CLOSE))
    low, exact, high = (np.count_nonzero(lengths <= limit, axis=2) - 1 for limit in limits)
    return exact if np.array_equal(exact, low) or np.array_equal(exact, high) else None


def dice(prediction: Mask, reference: Mask) -> float:
    """Return the Dice similarity coefficient (DSC), NaN if both masks are empty (PROTOCOL 5).

    Parameters
    ----------
    prediction, reference : bool or integer array, shape (z, y, x)
        Integers are masks of what is not 0.

    Raises
    ------
    CaseError
        If an array is of floats or the shapes differ.
    """
    return dice_of_packed(*map(pack_mask, as_masks(prediction, reference)))


def dice_of_packed(prediction: PackedMask, reference: PackedMask) -> float:
    """Return the DSC of two masks in one frame: whole numbers, divided once (PROTOCOL 5)."""
    total = prediction.count + reference.count
    return 2 * (prediction & reference).count / total if total else math.nan


def surface_dice(
    prediction: Mask, reference: Mask, *, spacing: Spacing, tolerance_mm: float
) -> float:
    """Return the normalised surface dice (NSD): the share of both surfaces that agree (PROTOCOL 6).

    Parameters
    ----------
    prediction, reference : bool or integer array, shape (z, y, x)
        Integers are masks of what is not 0.
    spacing : float
        Voxel size in mm, (z, y, x).
    tolerance_mm : float
        Largest distance to the other surface that still counts as agreement.

    Returns
    -------
    float
        In [0, 1], higher is better; NaN if both masks are empty, 0 if exactly one is.

    Raises
    ------
    CaseError
        If an array is of floats or the shapes differ.

    References
    ----------
    Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for radiotherapy",
    JMIR 2021, doi:10.2196/26151.
    """
    rules = nsd_settings(spacing, tolerance_mm)
    masks = as_masks(prediction, reference)
    pair = (surface_of(pack_mask(mask), rules) for mask in masks)
    return surface_agreement(*pair)


def surface_agreement(prediction: Surface, reference: Surface) -> float:
    """Return the share of two surfaces of one frame that agrees (PROTOCOL 6.5, 6.6)."""
    if not len(prediction.codes) or not len(reference.codes):
        return math.nan if len(prediction.codes) == len(reference.codes) else 0.0
    # the reference first: without exact_sum the order of two terms plays no part
    agreeing, whole = _areas(reference, prediction)
    also_agreeing, also_whole = _areas(prediction, reference)
    return (agreeing + also_agreeing) / (whole + also_whole)


def _areas(surface: Surface, other: Surface) -> tuple[float, float]:
    """Return the area in mm^2 that agrees with the other surface, and the whole (PROTOCOL 6.5)."""
    nsd_settings, codes = surface.nsd_settings, surface.codes
    if nsd_settings.exact_sum:
        distances = distances_mm(surface.corners, other.corners, nsd_settings.spacing)
        return areas_in_official_order(
            nsd_settings.areas[codes], distances, nsd_settings.tolerance_mm
        )
    agreeing = codes[_agrees(surface, other)]
    within, whole = (np.bincount(each, minlength=256) for each in (agreeing, codes))
    return math.fsum(within * nsd_settings.areas), math.fsum(whole * nsd_settings.areas)


def _agrees(surface: Surface, other: Surface) -> Mask:
    """Return for each corner whether the other surface is within tolerance (PROTOCOL 6.4)."""
    if other.near is not None:
        return other.near.contains(surface.corners.positions)
    nsd_settings = surface.nsd_settings
    return (
        distances_mm(surface.corners, other.corners, nsd_settings.spacing)
        <= nsd_settings.tolerance_mm
    )
