"""A region of an image, averaged over blocks of voxels, so that a random walk on it is fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Image, Roi, Voxel

FloatArray = NDArray[np.float32]

MAX_VOXELS = 100_000  # of a grid
SLAB_BLOCKS = 4  # along z, converted to float at a time


@dataclass(frozen=True)
class CoarseGrid:
    """A region of the image, averaged over blocks of voxels."""

    roi: Roi
    factors: Voxel  # image voxels per grid voxel, by axis
    values: FloatArray

    def axes(self) -> list[FloatArray]:
        """Return the grid voxels' centres in image voxels, ready to broadcast."""
        centres = [
            cut.start + factor * (np.arange(n) + 0.5) - 0.5
            for cut, factor, n in zip(self.roi, self.factors, self.values.shape)
        ]
        z, y, x = (each.astype(np.float32) for each in centres)
        return [z[:, None, None], y[:, None], x]


def coarse_grid(image: Image, roi: Roi, max_voxels: int = MAX_VOXELS) -> CoarseGrid:
    """Return a region on a grid of limited size, coarser along fine axes."""
    sizes = [cut.stop - cut.start for cut in roi]
    factors = [1, 1, 1]
    while np.prod([-(-n // f) for n, f in zip(sizes, factors)]) > max_voxels:
        steps = [mm * f if n > 8 * f else np.inf for mm, f, n in zip(image.spacing, factors, sizes)]
        factors[int(np.argmin(steps))] += 1
    z, y, x = factors
    cuts = (slice(at, at + SLAB_BLOCKS * z) for at in range(0, sizes[0], SLAB_BLOCKS * z))
    means = [_block_means(image.voxels[roi][cut], (z, y, x)) for cut in cuts]
    return CoarseGrid(roi, (z, y, x), np.concatenate(means))


def _block_means(voxels: NDArray[Any], factors: Voxel) -> FloatArray:
    """Return means over blocks of voxels; at the far sides the last voxels are repeated."""
    padding = [(0, -n % factor) for n, factor in zip(voxels.shape, factors)]
    block = np.pad(voxels.astype(np.float32), padding, mode="edge")
    z, y, x = factors
    nz, ny, nx = (n // factor for n, factor in zip(block.shape, factors))
    means: FloatArray = block.reshape(nz, z, ny, y, nx, x).mean(axis=(1, 3, 5))
    return means


def upsample(probability: FloatArray, grid: CoarseGrid) -> FloatArray:
    """Interpolate grid values linearly to the image voxels of the region."""
    for axis, (cut, factor) in enumerate(zip(grid.roi, grid.factors)):
        if factor > 1:
            at = (np.arange(cut.stop - cut.start) + 0.5) / factor - 0.5
            at = np.clip(at, 0, probability.shape[axis] - 1).astype(np.float32)
            low = np.minimum(at.astype(int), max(probability.shape[axis] - 2, 0))
            weight = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
            high = np.minimum(low + 1, probability.shape[axis] - 1)
            probability = (
                probability.take(low, axis) * (1 - weight) + probability.take(high, axis) * weight
            )
    return probability


def squared_distances(grid: CoarseGrid, at: Voxel) -> FloatArray:
    """Return the squared distances of grid voxels to an image voxel, in image voxels."""
    z, y, x = (axis - c for axis, c in zip(grid.axes(), at))
    squares: FloatArray = z**2 + y**2 + x**2
    return squares
