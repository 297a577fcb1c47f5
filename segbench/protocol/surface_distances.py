"""Distances between surfaces corner by corner: for ties at the tolerance, and for ``exact_sum``.

Much slower than the dilation in `metrics`, but these are scipy's own numbers, as in the official
script (PROTOCOL 6.4, 6.5). The distance map covers the whole region of a label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segbench.core import Spacing, sum_in_order
from segbench.protocol.packed_mask import PackedMask

CHUNK = 8192  # terms that numpy 1.26 added at a time when the official numbers were made


def distances_mm(corners: PackedMask, others: PackedMask, spacing: Spacing) -> NDArray[np.float64]:
    """Return the distance of each corner to the nearest of others, in one region (PROTOCOL 6.4)."""
    from scipy.ndimage import distance_transform_edt  # slow to import, and rarely needed

    # distances at the corners only: scipy would fill the whole region with float64, three times
    nearest: NDArray[np.int32] = distance_transform_edt(
        ~others.unpacked(), sampling=spacing, return_distances=False, return_indices=True
    )
    at = np.stack(np.unravel_index(corners.positions, corners.shape))
    offsets_mm = (nearest[:, *at] - at) * np.array(spacing)[:, None]
    distances: NDArray[np.float64] = np.sqrt(np.add.reduce(offsets_mm * offsets_mm, axis=0))
    return distances


def areas_in_official_order(
    areas: NDArray[np.float64], distances_mm: NDArray[np.float64], tolerance_mm: float
) -> tuple[float, float]:
    """Return the area within tolerance and the whole, added as in the script (PROTOCOL 6.5)."""
    order = np.lexsort((areas, distances_mm))
    within, areas = (distances_mm <= tolerance_mm)[order], areas[order]
    return _chunked_sum(areas[within]), _chunked_sum(areas)


def _chunked_sum(areas: NDArray[np.float64]) -> float:
    """Return the sum of numpy 1.26, to its last bit (PROTOCOL 6.5)."""
    chunks = (areas[start : start + CHUNK] for start in range(0, len(areas), CHUNK))
    return sum_in_order(float(chunk.sum()) for chunk in chunks)
