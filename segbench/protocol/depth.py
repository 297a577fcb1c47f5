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

from segbench import threads
from segbench.arrays import bounding_box
from segbench.core import Mask, Roi
from segbench.protocol.packed_mask import Positions

MAX_FINE_VOXELS = 60_000_000  # padded errors above this are measured at half the resolution

# Chosen by timing on the volumes of tests/bench; they change the speed, never the result.
THIN = 0.15  # a component that fills less of its padded box is eroded
MAX_EROSION = 6  # voxels; deeper components get a distance transform
MAX_LOOKUPS = 1  # for one length, per voxel of the padded box; with more a transform is cheaper

SLACK = math.sqrt(3) + 1e-3  # voxels; twice a cell's depth is this near to its voxels' depth


def deepest_voxels(component: Mask, *, max_fine_voxels: int = MAX_FINE_VOXELS) -> Positions:
    """Return the deepest voxels of a component (PROTOCOL 4.3, 4.6).

    Parameters
    ----------
    component : bool array, shape (z, y, x)
        Cropped to its bounding box, so not empty.
    max_fine_voxels : int
        A component whose padded box has more is measured on blocks of voxels (PROTOCOL 4.4).

    Returns
    -------
    int array, shape (n, 3)
        In lexicographic order.
    """
    padding = np.maximum(np.array(component.shape) // 4, 1)
    if math.prod(component.shape + 2 * padding) > max_fine_voxels:
        return _deepest_by_blocks(component, padding)
    return _deepest(np.pad(component, 1)) - 1


def _deepest(padded: Mask) -> Positions:
    """Return the deepest voxels in lexicographic order; all faces of the array are empty."""
    if np.count_nonzero(padded) < THIN * padded.size:
        eroded = _erode(padded)
        if eroded is not None:
            return eroded
    return _deepest_by_distance(padded)


def _erode(padded: Mask, max_lookups: float = MAX_LOOKUPS) -> Positions | None:
    """Return the voxels that remain longest if those of depth 1, sqrt(2), sqrt(3), ... are removed.

    A voxel is deeper than a length exactly if all offsets up to this length lead to voxels of the
    component. In two dimensions, after the lengths 1 (and sqrt(2)), 2 (to sqrt(8)) and 3::

        #####      .....      .....      .....
        #####      .###.      .....      .....
        #####      .###.      ..#..      .....
        #####      .###.      .....      .....
        #####      .....      .....      .....

    None if a distance transform would be cheaper.
    """
    voxels, inside = np.flatnonzero(padded), padded.ravel()
    for sphere in _spheres():
        if len(sphere) * len(voxels) > max_lookups * padded.size:
            return None
        deeper = voxels
        # no offset leaves the array: one step shorter it leads into the component, and the faces
        # of the array are empty
        for offset in sphere @ [padded.shape[1] * padded.shape[2], padded.shape[2], 1]:
            deeper = deeper[inside[deeper + offset]]
        if not len(deeper):
            return np.stack(np.unravel_index(voxels, padded.shape), axis=1)
        voxels = deeper
    return None


@lru_cache(1)
def _spheres() -> list[Positions]:
    """Return the offsets of each possible squared length, ascending, each of shape (n, 3)."""
    offsets = np.indices((2 * MAX_EROSION + 1,) * 3).reshape(3, -1).T - MAX_EROSION
    squares = (offsets**2).sum(axis=1)
    return [offsets[squares == s] for s in np.unique(squares) if 0 < s <= MAX_EROSION**2]


def _deepest_by_distance(padded: Mask) -> Positions:
    """Measure depth, but only near the core, where the deepest voxels can be.

    Cells of 2x2x2 voxels that are completely inside give bounds: the depth of a voxel is twice that
    of its cell, plus or minus sqrt(3). In one dimension::

        component               .# ## ## #.
        twice the cell's depth  00 22 22 00
        depth                   01 23 32 10
    """
    core, around = _core(padded)
    squares = _squared_depth(padded[around])
    sides = zip(core, around, strict=True)
    inner = tuple(slice(c.start - a.start, c.stop - a.start) for c, a in sides)
    deepest: Positions = _argmax_all(squares[inner]) + [side.start for side in core]
    return deepest


def _core(padded: Mask) -> tuple[Roi, Roi]:
    """Return the box of all voxels that may be deepest, and the one that decides their depth."""
    cells = _reduce_blocks(np.pad(padded, [(0, size % 2) for size in padded.shape]), np.logical_and)
    estimate = 2 * np.sqrt(_squared_depth(cells))
    greatest = float(estimate.max())
    core = bounding_box(estimate + SLACK >= greatest - SLACK)
    low, high = 2 * np.array([[side.start, side.stop] for side in core]).T
    margin = int(greatest + SLACK) + 2  # farther than any voxel is from the outside
    return _box(low, high), _box(np.maximum(low - margin, 0), high + margin)


def _box(low: Positions, high: Positions) -> Roi:
    return tuple(map(slice, low, high))


def _argmax_all(squares: NDArray[np.float32]) -> Positions:
    """Return the positions of the greatest value in lexicographic order."""
    return np.argwhere(squares == squares.max())


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

    Blocks start at the corner of the padded box. A row of four voxels, padded by 4, by 3 and by 1::

        .. .. ## ## .. ..       .. .# ## #. ..      .# ## #.

    Empty blocks after the first change nothing and are left out. With a padding of 1 there is none:
    depth has no boundary on that side.
    """
    before = np.where(padding > 1, 2 + padding % 2, 1)
    after = before + component.shape % np.array(2)  # so that all sizes are even
    padded = np.pad(component, np.stack([before, after], axis=1))
    blocks = _reduce_blocks(padded, np.logical_or)
    bounded = padding.min() > 1
    deepest = _deepest(blocks) if bounded else _argmax_all(_squared_depth(blocks))
    return _voxels_in_blocks(padded, deepest) - before


def _voxels_in_blocks(mask: Mask, blocks: Positions) -> Positions:
    """Return the voxels of a mask in some of its blocks, in lexicographic order."""
    voxels = (2 * blocks[:, None] + list(np.ndindex(2, 2, 2))).reshape(-1, 3)
    voxels = voxels[mask[tuple(voxels.T)]]
    in_order: Positions = voxels[np.lexsort(voxels.T[::-1])]
    return in_order
