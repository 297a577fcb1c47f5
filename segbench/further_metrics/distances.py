"""Distances between two surfaces in mm: HD95 and ASSD, weighted by surface area.

A surface consists of the corners and areas of NSD (PROTOCOL 6.3), and distances are measured as
there, to the nearest corner of the other surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.core import Spacing
from segbench.protocol.metrics import surface_areas
from segbench.protocol.packed_mask import Surface

PERCENTILE = 95


@dataclass(frozen=True, eq=False)
class DirectedDistances:
    """The distance of each corner of a surface to the other surface, ascending; and its area."""

    distances_mm: NDArray[np.float64]
    areas_mm2: NDArray[np.float64]

    @property
    def percentile(self) -> float:
        """The distance within which 95 % of the area is."""
        share = np.cumsum(self.areas_mm2) / np.sum(self.areas_mm2)
        at = int(np.searchsorted(share, PERCENTILE / 100))
        return float(self.distances_mm[min(at, len(share) - 1)])

    @property
    def moment(self) -> float:
        """The sum of all distances, each times its area."""
        return float(np.sum(self.distances_mm * self.areas_mm2))


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """The distances of two surfaces, neither of them empty, in both directions."""

    from_prediction: DirectedDistances
    from_reference: DirectedDistances

    @classmethod
    def of(cls, prediction: Surface, reference: Surface, spacing: Spacing) -> SurfaceDistances:
        """Measure two surfaces in the same region."""
        at = _positions(prediction), _positions(reference)
        low = np.minimum(at[0].min(axis=1), at[1].min(axis=1))[:, None]
        shape = tuple(np.maximum(at[0].max(axis=1), at[1].max(axis=1)) - low[:, 0] + 1)
        ours, theirs = at[0] - low, at[1] - low
        areas = surface_areas(spacing)
        return cls(
            _sorted(_nearest_mm(ours, theirs, shape, spacing), areas[prediction.codes]),
            _sorted(_nearest_mm(theirs, ours, shape, spacing), areas[reference.codes]),
        )

    @property
    def hausdorff95(self) -> float:
        """The larger of the two 95th percentiles of the distances, weighted by area.

        References
        ----------
        surface-distance, ``compute_robust_hausdorff(distances, 95)``.
        """
        return max(self.from_prediction.percentile, self.from_reference.percentile)

    @property
    def average(self) -> float:
        """The mean of all distances of both surfaces, weighted by area (ASSD).

        References
        ----------
        Maier-Hein, Reinke et al., "Metrics reloaded", Nature Methods 2024, doi:10.1038/
        s41592-023-02151-z: both directions in one mean. Each direction by itself is that of
        surface-distance, ``compute_average_surface_distance``.
        """
        both = self.from_prediction, self.from_reference
        moment = both[0].moment + both[1].moment
        return moment / float(np.sum(both[0].areas_mm2) + np.sum(both[1].areas_mm2))


def _positions(surface: Surface) -> NDArray[np.intp]:
    """Return the corners of a surface, shape (3, n)."""
    return np.stack(np.unravel_index(surface.corners.positions, surface.corners.shape))


def _nearest_mm(
    at: NDArray[np.intp], others: NDArray[np.intp], shape: tuple[int, ...], spacing: Spacing
) -> NDArray[np.float64]:
    """Return the distance of each corner to the nearest of the others."""
    from scipy.ndimage import distance_transform_edt  # slow to import

    outside = np.ones(shape, bool)
    outside[tuple(others)] = False
    # distances at the corners only: scipy would fill the whole region with float64, three times
    nearest = distance_transform_edt(
        outside, sampling=spacing, return_distances=False, return_indices=True
    )
    offsets_mm = (nearest[:, *at] - at) * np.array(spacing)[:, None]
    distances: NDArray[np.float64] = np.sqrt(np.add.reduce(offsets_mm * offsets_mm, axis=0))
    return distances


def _sorted(distances_mm: NDArray[np.float64], areas_mm2: NDArray[np.float64]) -> DirectedDistances:
    """Sort corners by distance, then area, as surface-distance does before it adds them."""
    order = np.lexsort((areas_mm2, distances_mm))
    return DirectedDistances(distances_mm[order], areas_mm2[order])
