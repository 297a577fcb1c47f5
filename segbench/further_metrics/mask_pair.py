"""A label in prediction and reference, and what several metrics need of both, computed once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from segbench.core import Spacing
from segbench.further_metrics.distances import SurfaceDistances
from segbench.further_metrics.lesions import Lesions, lesion_f1
from segbench.further_metrics.voxel_surfaces import VoxelSurface, voxel_surface_dice
from segbench.protocol.metrics import NsdSettings, surface_agreement
from segbench.protocol.packed_mask import PackedMask


@dataclass(frozen=True, eq=False)
class PreparedMask:
    """A mask and its parts. That of the reference is kept for all steps and methods."""

    mask: PackedMask

    @cached_property
    def voxel_surface(self) -> VoxelSurface:
        """The voxels at its surface."""
        return VoxelSurface.of(self.mask)

    @cached_property
    def lesions(self) -> Lesions:
        """Its connected components."""
        return Lesions.of(self.mask)


@dataclass(frozen=True, eq=False)
class MaskPair:
    """Both masks of a label, in one region of the volume."""

    prediction: PreparedMask
    reference: PreparedMask
    spacing: Spacing  # mm, (z, y, x)
    _nsd: dict[float, float] = field(default_factory=dict)

    def nsd(self, tolerance_mm: float) -> float:
        """Return the NSD of the challenge, without the gate (PROTOCOL 6.3 to 6.6)."""
        if tolerance_mm not in self._nsd:
            nsd = NsdSettings(self.spacing, tolerance_mm)
            surfaces = self.prediction.mask.kept_surface, self.reference.mask.kept_surface
            self._nsd[tolerance_mm] = surface_agreement(*surfaces, nsd)
        return self._nsd[tolerance_mm]

    def nsd_voxels(self, tolerance_mm: float) -> float:
        """Return the NSD that counts voxels."""
        surfaces = self.prediction.voxel_surface, self.reference.voxel_surface
        return voxel_surface_dice(*surfaces, self.spacing, tolerance_mm)

    def hd95(self) -> float:
        """Return the 95th percentile of the surface distances in mm; NaN if a mask is empty."""
        return self._distances.hausdorff95 if self._distances else math.nan

    def assd(self) -> float:
        """Return the average of the surface distances in mm; NaN if a mask is empty."""
        return self._distances.average if self._distances else math.nan

    def volume_error(self) -> float:
        """Return (V - R) / R of the volumes V and R of prediction and reference.

        NaN if the reference is empty.
        """
        expected = self.reference.mask.count
        return (self.prediction.mask.count - expected) / expected if expected else math.nan

    def lesion_f1(self) -> float:
        """Return the F1 over lesions."""
        return lesion_f1(self.prediction.lesions, self.reference.lesions)

    @cached_property
    def _distances(self) -> SurfaceDistances | None:
        if not self.prediction.mask.count or not self.reference.mask.count:
            return None
        surfaces = self.prediction.mask.kept_surface, self.reference.mask.kept_surface
        return SurfaceDistances.of(*surfaces, self.spacing)
