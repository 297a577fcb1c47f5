"""How deep voxels lie inside a component: its innermost voxels, without a map of all distances.

Depth is the Euclidean distance in voxels to the nearest voxel outside the component; outside the
volume is outside (PROTOCOL 4.3). Squared depths are whole numbers, so everything here is exact.
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

# Chosen by timing on the volumes of tests/bench; they decide how fast the answer comes, not which.
THIN = 0.15  # a component that fills less of its box is peeled
PEELED = 10  # voxels; what is deeper is measured
ENOUGH = 1.3  # times the voxels of the room may be looked at before measuring it all is cheaper


def deepest_voxels(component: Mask) -> Positions:
    """Return the deepest voxels of a component (PROTOCOL 4.3, 4.6).

    Parameters
    ----------
    component : bool array, shape (z, y, x)
        Cut to its box, so not empty; a large one is measured on blocks of voxels (PROTOCOL 4.4).

    Returns
    -------
    int array, shape (n, 3)
        In raster order.
    """
    padding = np.maximum(np.array(component.shape) // 4, 1)
    if math.prod(component.shape + 2 * padding) > MAX_FINE_VOXELS:
        return _deepest_by_blocks(component, padding)
    return _innermost(np.pad(component, 1)) - 1


def _innermost(room: Mask) -> Positions:
    """Return the deepest voxels in raster order; all faces of the room are empty (PROTOCOL 4.3)."""
    peeled = _peel(room) if np.count_nonzero(room) < THIN * room.size else None
    return _measured(room) if peeled is None else peeled


def _peel(room: Mask) -> Positions | None:
    """Return the voxels that last longest when those of depth 1, sqrt(2), sqrt(3), ... are taken.

    None when measuring would be cheaper (PROTOCOL 4.3).
    """
    at, inside, budget = np.flatnonzero(room), room.ravel(), ENOUGH * room.size
    for sphere in _spheres():
        # voxels this deep have all these neighbours in the room, at worst on its faces
        deeper = at
        for neighbour in sphere @ [room.shape[1] * room.shape[2], room.shape[2], 1]:
            budget -= len(deeper)
            deeper = deeper[inside[deeper + neighbour]]
        if not len(deeper):
            return np.stack(np.unravel_index(at, room.shape), axis=1)
        if budget < 0:
            break
        at = deeper
    return None


@lru_cache(1)
def _spheres() -> list[Positions]:
    """Return the offsets of each squared length that there is, ascending, each of shape (n, 3).

    Squared lengths are all that depths can be (PROTOCOL 4.3).
    """
    offsets = np.indices((2 * PEELED + 1,) * 3).reshape(3, -1).T - PEELED
    squares = (offsets**2).sum(axis=1)
    return [offsets[squares == square] for square in np.unique(squares) if 0 < square <= PEELED**2]


def _measured(room: Mask) -> Positions:
    """Measure depth, but only in reach of where the deepest voxels can be (PROTOCOL 4.3).

    Cells of 2x2x2 voxels that are wholly inside bound it: the depth of a voxel is twice that of its
    cell, give or take sqrt(3).
    """
    cells = _blocks(np.pad(room, [(0, size % 2) for size in room.shape]), np.logical_and)
    depth = np.sqrt(_squares(cells))
    slack, greatest = math.sqrt(3) + 1e-3, float(depth.max())  # and more than float32 rounds
    (core,) = find_objects((depth >= greatest - slack).view(np.uint8))
    reach = int(2 * greatest + slack) + 2  # beyond the greatest depth that there can be
    low, high = 2 * np.array([[side.start, side.stop] for side in core]).T
    start = np.maximum(low - reach, 0)
    squares = _squares(room[tuple(map(slice, start, high + reach))])
    return _largest(squares[tuple(map(slice, low - start, high - start))], low)


def _largest(squares: NDArray[np.float32], low: Positions) -> Positions:
    """Return where the greatest values are, from ``low``, in raster order (PROTOCOL 4.6)."""
    return np.argwhere(squares == squares.max()) + low


def _squares(voxels: Mask) -> NDArray[np.float32]:
    """Return the squared depth of each voxel; whole numbers that float32 holds (PROTOCOL 4.3).

    The outside of the array bounds nothing: what shall bound must be in it (PROTOCOL 4.4).
    """
    bits = np.ascontiguousarray(voxels, bool).view(np.uint8)
    squares: NDArray[np.float32] = edt.edtsq(bits, parallel=threads.OF_SEGBENCH)
    return squares


def _blocks(voxels: Mask, unite: np.ufunc) -> Mask:
    """Unite blocks of 2x2x2 voxels; all sizes are even (PROTOCOL 4.4)."""
    voxels = unite(voxels[::2], voxels[1::2])
    voxels = unite(voxels[:, ::2], voxels[:, 1::2])
    united: Mask = unite(voxels[..., ::2], voxels[..., 1::2])
    return united


def _deepest_by_blocks(component: Mask, padding: Positions) -> Positions:
    """Return the voxels of the component in the deepest blocks of 2x2x2 voxels (PROTOCOL 4.4).

    Blocks start at the corner of the padded box. Whole blocks of padding beyond the first change
    nothing and are left out. A padding of one voxel shares its block with the component: no empty
    block is before it, so depth is not bounded on that side.
    """
    padding = np.minimum(padding, 2 + padding % 2)
    odd = component.shape % np.array(2)
    room = np.pad(component, np.stack([padding, padding + odd], axis=1))
    blocks = _blocks(room, np.logical_or)
    deepest = (
        _innermost(blocks) if padding.min() > 1 else _largest(_squares(blocks), np.zeros(3, int))
    )
    voxels = (2 * deepest[:, None] + list(np.ndindex(2, 2, 2))).reshape(-1, 3)
    voxels = voxels[room[tuple(voxels.T)]]
    in_raster_order: Positions = voxels[np.lexsort(voxels.T[::-1])] - padding
    return in_raster_order
