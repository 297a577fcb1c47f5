"""NSD that counts voxels at the surface, without areas: the definition of MONAI's default.

A voxel of a mask is at its surface if one of its six neighbours is not in the mask; outside the
volume is outside the mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segbench.core import Spacing
from segbench.protocol.metrics import has_tie, has_too_many_rows, offsets_within_tolerance
from segbench.protocol.packed_mask import PackedMask
from segbench.protocol.surface_distances import distances_mm


@dataclass(frozen=True, eq=False)
class VoxelSurface:
    """The voxels at the surface of a mask."""

    voxels: PackedMask
    _dilated: dict[bytes, PackedMask] = field(default_factory=dict)

    @classmethod
    def of(cls, mask: PackedMask) -> VoxelSurface:
        """Return the surface of a mask."""
        return cls(mask ^ mask.eroded())

    def n_within(self, other: VoxelSurface, spacing: Spacing, tolerance_mm: float) -> int:
        """Return how many voxels are within a tolerance of another surface in the same region."""
        limits = tolerance_mm, spacing, self.voxels.shape
        if has_too_many_rows(*limits) or has_tie(*limits):
            distances = distances_mm(self.voxels, other.voxels, spacing)
            return int(np.count_nonzero(distances <= tolerance_mm))
        return (self.voxels & other._within(offsets_within_tolerance(*limits))).count

    def _within(self, offsets: NDArray[np.intp]) -> PackedMask:
        """Return the dilated surface; kept, because the reference needs it in every step."""
        key = offsets.tobytes()
        if key not in self._dilated:
            self._dilated[key] = self.voxels.dilate(offsets)
        return self._dilated[key]


def voxel_surface_dice(
    prediction: VoxelSurface, reference: VoxelSurface, spacing: Spacing, tolerance_mm: float
) -> float:
    """Return the share of the voxels of both surfaces that are within tolerance of the other.

    NaN if both are empty, 0 if exactly one is.

    References
    ----------
    MONAI, ``compute_surface_dice`` with ``use_subvoxels=False``.
    """
    n_voxels = prediction.voxels.count + reference.voxels.count
    if not prediction.voxels.count or not reference.voxels.count:
        return 0.0 if n_voxels else math.nan
    within = prediction.n_within(reference, spacing, tolerance_mm)
    within += reference.n_within(prediction, spacing, tolerance_mm)
    return within / n_voxels
