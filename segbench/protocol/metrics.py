"""Overlap and surface agreement of one label's prediction with its reference.

The surface of a mask consists of the corners between voxels at which the eight voxels around are
neither all inside nor all outside the mask; outside the volume is outside the mask.

Where rounding decides nothing, no distance map is computed: a corner agrees if it is in the other
surface dilated by all offsets within the tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segbench.core import Mask, Settings, Spacing, Voxel
from segbench.errors import CaseError
from segbench.protocol.packed_mask import PackedMask, Surface, pack_mask
from segbench.protocol.surface_distances import areas_in_official_order, distances_mm
from segbench.protocol.surface_normals import published_normals
from segbench.protocol.validation import as_masks, checked_spacing

# the published table has the voxels around a corner in the opposite order
MIRRORED_CODES = np.array([int(f"{code:08b}"[::-1], 2) for code in range(256)])
ROUNDING = 1e-9  # relative; lengths this near to the tolerance may be rounded to either side
MAX_ROWS = 5000  # (z, y) offsets within the tolerance; with more, a distance map is faster


@dataclass(frozen=True)
class NsdSettings:
    """How surfaces are compared, the same for all labels and steps of a case (PROTOCOL 6).

    ``exact_sum`` adds areas in the order of the official script, so that NSD equals the script's to
    the last bit; the default does not depend on the order of the sum. They differ by about 1e-16.
    """

    spacing: Spacing  # mm, (z, y, x)
    tolerance_mm: float
    gate: float = 0.0  # NSD counts only if the step's mean DSC is above this
    exact_sum: bool = False

    @classmethod
    def of(
        cls, spacing: Spacing, settings: Settings = Settings(), *, exact_sum: bool = False
    ) -> NsdSettings:
        """Return the protocol's settings for one voxel spacing."""
        z, y, x = (float(side) for side in spacing)  # float64 first: a float32 0.8 is not 0.8
        return cls((z, y, x), settings.nsd_tolerance_mm, settings.nsd_gate, exact_sum)


def dice(prediction: ArrayLike, reference: ArrayLike) -> float:
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
    return packed_dice(*map(pack_mask, as_masks(prediction, reference)))


def packed_dice(prediction: PackedMask, reference: PackedMask) -> float:
    """Return the DSC of two masks in one region: integers, divided once (PROTOCOL 5)."""
    total = prediction.count + reference.count
    return 2 * (prediction & reference).count / total if total else math.nan


def surface_dice(
    prediction: ArrayLike,
    reference: ArrayLike,
    *,
    spacing: Spacing,
    tolerance_mm: float,
    exact_sum: bool = False,
) -> float:
    """Return the normalised surface dice (NSD): the share of both surfaces that agree (PROTOCOL 6).

    Parameters
    ----------
    prediction, reference : bool or integer array, shape (z, y, x)
        Integers are masks of what is not 0.
    spacing : tuple of float
        Voxel size in mm, (z, y, x).
    tolerance_mm : float
        Largest distance to the other surface that still counts as agreement.
    exact_sum : bool
        Add areas in the official script's order, to its last bit.

    Returns
    -------
    float
        In [0, 1], higher is better; NaN if both masks are empty, 0 if exactly one is.

    Raises
    ------
    CaseError
        If an array is of floats, the shapes differ, the spacing is not three positive numbers, or
        the tolerance is negative.

    References
    ----------
    Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for radiotherapy",
    JMIR 2021, doi:10.2196/26151.
    """
    if not 0 <= tolerance_mm < math.inf:
        raise CaseError(f"tolerance_mm: expected a distance from 0 mm on, found {tolerance_mm}")
    settings = Settings(nsd_tolerance_mm=tolerance_mm)
    sides = checked_spacing(np.asarray(spacing), "surface_dice")
    nsd = NsdSettings.of(sides, settings, exact_sum=exact_sum)
    predicted, expected = (pack_mask(mask) for mask in as_masks(prediction, reference))
    return surface_agreement(predicted.surface(), expected.surface(), nsd)


def surface_agreement(prediction: Surface, reference: Surface, nsd: NsdSettings) -> float:
    """Return the share of the area of two surfaces in one region that agrees (PROTOCOL 6.5, 6.6).

    NaN if both are empty, 0 if exactly one is.
    """
    if not len(prediction.codes) or not len(reference.codes):
        return math.nan if len(prediction.codes) == len(reference.codes) else 0.0
    agreeing, whole = _areas_mm2(reference, prediction, nsd)
    also_agreeing, also_whole = _areas_mm2(prediction, reference, nsd)
    return (agreeing + also_agreeing) / (whole + also_whole)


def _areas_mm2(surface: Surface, other: Surface, nsd: NsdSettings) -> tuple[float, float]:
    """Return the area that agrees with the other surface, and the whole area (PROTOCOL 6.5)."""
    codes, areas = surface.codes, surface_areas(nsd.spacing)
    if nsd.exact_sum:
        distances = distances_mm(surface.corners, other.corners, nsd.spacing)
        return areas_in_official_order(areas[codes], distances, nsd.tolerance_mm)
    agreeing = codes[_agrees(surface, other, nsd)]
    within, whole = (np.bincount(part, minlength=256) for part in (agreeing, codes))
    return math.fsum(within * areas), math.fsum(whole * areas)


def _agrees(surface: Surface, other: Surface, nsd: NsdSettings) -> Mask:
    """Return for each corner whether the other surface is within tolerance (PROTOCOL 6.4)."""
    limits = nsd.tolerance_mm, nsd.spacing, surface.corners.shape
    if has_too_many_rows(*limits) or has_tie(*limits):
        return distances_mm(surface.corners, other.corners, nsd.spacing) <= nsd.tolerance_mm
    return other.dilated(offsets_within_tolerance(*limits)).contains(surface.corners.positions)


def has_too_many_rows(tolerance_mm: float, spacing: Spacing, shape: Voxel) -> bool:
    """Return whether dilation would be slower than a distance map."""
    n_z, n_y, _ = _offset_counts(tolerance_mm, spacing, shape)
    return n_z * n_y > MAX_ROWS


@lru_cache(64)
def has_tie(tolerance_mm: float, spacing: Spacing, shape: Voxel) -> bool:
    """Return whether rounding may decide what is within the tolerance; then scipy must measure.

    Offsets of one true length can differ in float64: with 0.3 mm voxels (3, 0, 0) is
    0.8999999999999999 mm long and (1, 2, 2) 0.9 mm. A tolerance of 0.8999999999999999 mm separates
    them, and which of them scipy meets depends on its search.
    """
    lengths = _offset_lengths(tolerance_mm, spacing, shape)
    near = lengths[np.abs(lengths - tolerance_mm) <= ROUNDING * tolerance_mm]
    return bool((near <= tolerance_mm).any() and (near > tolerance_mm).any())


@lru_cache(64)
def offsets_within_tolerance(
    tolerance_mm: float, spacing: Spacing, shape: Voxel
) -> NDArray[np.intp]:
    """Return the largest offset along x within a tolerance, for each offset along z and y.

    -1 means none; offsets that leave the shape are left out. For 2 mm and voxels of 1 mm, with z
    downward and y to the right::

        2  1  0 -1
        1  1 -1 -1
        0 -1 -1 -1
       -1 -1 -1 -1
    """
    lengths = _offset_lengths(tolerance_mm, spacing, shape)
    farthest: NDArray[np.intp] = np.count_nonzero(lengths <= tolerance_mm, axis=2) - 1
    return farthest


def _offset_lengths(tolerance_mm: float, spacing: Spacing, shape: Voxel) -> NDArray[np.float64]:
    """Return the lengths in mm of all offsets from (0, 0, 0) to beyond the tolerance.

    They are float64 and added up as scipy does, so that both decide alike (PROTOCOL 6.2, 6.4).
    """
    counts = _offset_counts(tolerance_mm, spacing, shape)
    z, y, x = (np.arange(count) * side for count, side in zip(counts, spacing, strict=True))
    lengths: NDArray[np.float64] = np.sqrt((z[:, None, None] ** 2 + y[:, None] ** 2) + x**2)
    return lengths


def _offset_counts(tolerance_mm: float, spacing: Spacing, shape: Voxel) -> Voxel:
    """Return how many offsets along each axis to examine: 0, those within, and one beyond."""
    beyond = tolerance_mm / np.array(spacing) * (1 + ROUNDING) + 2
    n_z, n_y, n_x = np.minimum(beyond, shape).astype(int).tolist()
    return n_z, n_y, n_x


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
        By code as in `PackedMask.neighbour_codes`, where voxel (0, 0, 0) is the lowest bit.
    """
    z, y, x = spacing
    areas = np.zeros(256)
    for code, normals in enumerate(published_normals()):
        for normal_z, normal_y, normal_x in normals:
            a, b, c = normal_z * y * x, normal_y * z * x, normal_x * z * y
            areas[MIRRORED_CODES[code]] += math.sqrt((a * a + b * b) + c * c)
    return areas
