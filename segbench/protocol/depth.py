"""How deep voxels are inside a component: the deepest voxels, without a map of all distances.

Depth is the Euclidean distance in voxels to the nearest voxel outside the component; outside the
volume is outside (PROTOCOL 4.3). Squared depths are integers, so everything here is exact.
"""

from __future__ import annotations

import math
from functools import lru_cache

import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from segbench import threads
from segbench.core import Mask
from segbench.protocol.packed_mask import Positions

MAX_FINE_VOXELS = 60_000_000  # padded errors above this are measured at half the resolution

# Chosen by timing on the volumes of tests/bench; they change the speed, never the result.
THIN = 0.15  # a component that fills less of its padded box is eroded
MAX_EROSION = 10  # voxels; deeper components get a distance transform
EROSION_BUDGET = 1.3  # voxels examined per voxel of the padded box before a transform is cheaper


def deepest_voxels(component: Mask) -> Positions:
    """Return the deepest voxels of a component (PROTOCOL 4.3, 4.6).

    Parameters
    ----------
    component : bool array, shape (z, y, x)
        Cropped to its bounding box, so not empty; a large one is measured on blocks of voxels
        (PROTOCOL 4.4).

    Returns
    -------
    int array, shape (n, 3)
        In lexicographic order.
    """
    padding = np.maximum(np.array(component.shape) // 4, 1)
    if math.prod(component.shape + 2 * padding) > MAX_FINE_VOXELS:
        return _deepest_by_blocks(component, padding)
    return _deepest(np.pad(component, 1)) - 1


def _deepest(padded: Mask) -> Positions:
    """Return the deepest voxels in lexicographic order; all faces of the array are empty."""
    if np.count_nonzero(padded) < THIN * padded.size:
        eroded = _erode(padded)
        if eroded is not None:
            return eroded
    return _deepest_by_distance(padded)


def _erode(padded: Mask) -> Positions | None:
    """Return the voxels that remain longest if those of depth 1, sqrt(2), sqrt(3), ... are removed.

    None if a distance transform would be cheaper.
    """
    voxels, inside = np.flatnonzero(padded), padded.ravel()
    budget = EROSION_BUDGET * padded.size
    for sphere in _spheres():
        # voxels this deep have all these neighbours inside the array, at worst on its faces
        deeper = voxels
        for neighbour in sphere @ [padded.shape[1] * padded.shape[2], padded.shape[2], 1]:
            budget -= len(deeper)
            deeper = deeper[inside[deeper + neighbour]]
        if not len(deeper):
            return np.stack(np.unravel_index(voxels, padded.shape), axis=1)
        if budget < 0:
            break
        voxels = deeper
    return None


@lru_cache(1)
def _spheres() -> list[Positions]:
    """Return the offsets of each possible squared length, ascending, each of shape (n, 3)."""
    offsets = np.indices((2 * MAX_EROSION + 1,) * 3).reshape(3, -1).T - MAX_EROSION
    squares = (offsets**2).sum(axis=1)
    return [offsets[squares == s] for s in np.unique(squares) if 0 < s <= MAX_EROSION**2]


def _deepest_by_distance(padded: Mask) -> Positions:
    """Measure depth, but only near where the deepest voxels can be.

    Cells of 2x2x2 voxels that are completely inside give bounds: the depth of a voxel is twice that
    of its cell, plus or minus sqrt(3).
    """
    cells = _reduce_blocks(np.pad(padded, [(0, size % 2) for size in padded.shape]), np.logical_and)
    depth = np.sqrt(_squared_depth(cells))
    slack, greatest = math.sqrt(3) + 1e-3, float(depth.max())  # and more than float32 rounds
    (core,) = find_objects((depth >= greatest - slack).view(np.uint8))
    margin = int(2 * greatest + slack) + 2  # more than the greatest possible depth
    low, high = 2 * np.array([[side.start, side.stop] for side in core]).T
    start = np.maximum(low - margin, 0)
    squares = _squared_depth(padded[tuple(map(slice, start, high + margin))])
    return _argmax_all(squares[tuple(map(slice, low - start, high - start))], low)


def _argmax_all(squares: NDArray[np.float32], low: Positions) -> Positions:
    """Return the positions of the greatest value, from ``low``, in lexicographic order."""
    return np.argwhere(squares == squares.max()) + low


def _squared_depth(voxels: Mask) -> NDArray[np.float32]:
    """Return the squared depth of each voxel: integers that float32 holds exactly.

    The faces of the array are no boundary: a boundary must be in the array (PROTOCOL 4.4).
    """
    octets = np.ascontiguousarray(voxels, bool).view(np.uint8)
    squares: NDArray[np.float32] = edt.edtsq(octets, parallel=threads.SEGBENCH_THREADS)
    return squares


def _reduce_blocks(voxels: Mask, operation: np.ufunc) -> Mask:
    """Reduce blocks of 2x2x2 voxels to one; all sizes are even (PROTOCOL 4.4)."""
    voxels = operation(voxels[::2], voxels[1::2])
    voxels = operation(voxels[:, ::2], voxels[:, 1::2])
    reduced: Mask = operation(voxels[..., ::2], voxels[..., 1::2])
    return reduced


def _deepest_by_blocks(component: Mask, padding: Positions) -> Positions:
    """Return the voxels of the component in the deepest blocks of 2x2x2 voxels (PROTOCOL 4.4).

    Blocks start at the corner of the padded box. Whole blocks of padding after the first change
    nothing and are left out. A padding of one voxel shares its block with the component: no empty
    block is before it, so depth has no boundary on that side.
    """
    padding = np.minimum(padding, 2 + padding % 2)
    odd = component.shape % np.array(2)
    padded = np.pad(component, np.stack([padding, padding + odd], axis=1))
    blocks = _reduce_blocks(padded, np.logical_or)
    if padding.min() > 1:
        deepest = _deepest(blocks)
    else:
        deepest = _argmax_all(_squared_depth(blocks), np.zeros(3, int))
    voxels = (2 * deepest[:, None] + list(np.ndindex(2, 2, 2))).reshape(-1, 3)
    voxels = voxels[padded[tuple(voxels.T)]]
    in_order: Positions = voxels[np.lexsort(voxels.T[::-1])] - padding
    return in_order
