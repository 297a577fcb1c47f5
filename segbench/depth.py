"""How deep voxels lie inside a component: its innermost voxels, without a map of all distances.

Depth is the Euclidean distance in voxels to the nearest voxel outside the component; outside the
volume is outside (PROTOCOL 4.3). Squared depths are whole numbers, so everything here is exact.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from segbench import threads
from segbench.bits import Positions, Window
from segbench.core import Mask

# Chosen by timing on the volumes of tests/bench; they decide how fast the answer comes, not which.
THIN = 0.15  # a component that fills less of its box is peeled
PEELED = 16  # voxels; what is deeper is measured
PAIRS = 50_000  # up to so many pairs of voxel and neighbour are looked up at once
ENOUGH = 4  # times the voxels of the room may be looked at before measuring it all is cheaper


def deepest_voxels(component: Mask, *, max_fine_voxels: int) -> Positions:
    """Return the deepest voxels of a component, shape (n, 3), in raster order.

    Parameters
    ----------
    component : bool array, shape (z, y, x)
        Cut to its box.
    max_fine_voxels : int
        Above so many voxels of the padded box, depth is measured on blocks (PROTOCOL 4.4).
    """
    padding = [max(int(0.25 * size), 1) for size in component.shape]
    padded = [size + 2 * pad for size, pad in zip(component.shape, padding, strict=True)]
    if math.prod(padded) > max_fine_voxels:
        return _deepest_by_blocks(component, padding)
    room = np.pad(component, 1)
    return np.stack(np.unravel_index(_innermost(room), room.shape), axis=1) - 1


def _innermost(room: Mask) -> Positions:
    """Return the flat positions of greatest depth, ascending; all faces of the room are empty."""
    peeled = _peel(room) if np.count_nonzero(room) < THIN * room.size else None
    return _measured(room) if peeled is None else peeled


# ---- thin components: take away layer by layer -----------------------------------------------


def _peel(room: Mask) -> Positions | None:
    """Return the voxels that last longest when those of depth 1, sqrt(2), sqrt(3), ... are taken.

    None when measuring would be cheaper.
    """
    at, spheres = np.flatnonzero(_without_rim(room)), _spheres()[3:]
    if not len(at):
        at, spheres = np.flatnonzero(room), _spheres()
    strides = np.array([room.shape[1] * room.shape[2], room.shape[2], 1])
    inside, budget = room.ravel(), ENOUGH * room.size
    for sphere in spheres:
        # voxels this deep have all these neighbours in the room, at worst on its faces
        deeper, looked_up = _with_all(inside, at, sphere @ strides)
        if not len(deeper):
            return at
        at, budget = deeper, budget - 3 * looked_up  # a look-up costs three voxels of measuring
        if budget < 0:
            break
    return None


def _without_rim(room: Mask) -> Mask:
    """Take depths 1, sqrt(2) and sqrt(3) at once: keep voxels with all 26 neighbours."""
    left = np.zeros_like(room)
    inner = left[1:-1, 1:-1, 1:-1]
    columns = room[:-2] & room[1:-1] & room[2:]
    columns = columns[:, :-2] & columns[:, 1:-1] & columns[:, 2:]
    np.bitwise_and(columns[..., :-2] & columns[..., 1:-1], columns[..., 2:], out=inner)
    return left


def _with_all(inside: Mask, at: Positions, neighbours: Positions) -> tuple[Positions, int]:
    """Return the positions all of whose neighbours are inside, and the number of look-ups."""
    if len(at) * len(neighbours) < PAIRS:
        return at[inside[at[:, None] + neighbours].all(axis=1)], len(at) * len(neighbours)
    looked_up = 0
    for neighbour in neighbours:
        looked_up += len(at)
        at = at[inside[at + neighbour]]
    return at, looked_up


@lru_cache(1)
def _spheres() -> list[Positions]:
    """Return the offsets of each squared length that there is, ascending, each of shape (n, 3)."""
    line = np.arange(-PEELED, PEELED + 1)
    offsets = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    squares = (offsets**2).sum(axis=1)
    order = np.argsort(squares, kind="stable")
    order = order[1 : np.searchsorted(squares[order], PEELED**2, side="right")]
    return np.split(offsets[order], np.flatnonzero(np.diff(squares[order])) + 1)


# ---- thick components: measure, but only where the deepest voxels can be ---------------------


def _measured(room: Mask) -> Positions:
    cores, reach = _cores(room)
    best, found = 0.0, []
    for bound, core in sorted(cores, key=lambda each: each[0], reverse=True):
        if bound < math.sqrt(best):
            break
        square, at = _deepest_in(room, core, reach)
        found.append((square, at))
        best = max(best, square)
    # windows may overlap, so voxels may be found twice
    return np.unique(np.concatenate([at for square, at in found if square == best]))


def _deepest_in(room: Mask, core: Window, reach: int) -> tuple[float, Positions]:
    """Return the greatest squared depth in a window, and where it is; measure what is in reach."""
    around = [slice(max(side.start - reach, 0), side.stop + reach) for side in core]
    squares = _squares(np.ascontiguousarray(room[tuple(around)]))
    inner = tuple(
        slice(side.start - out.start, side.stop - out.start)
        for side, out in zip(core, around, strict=True)
    )
    greatest = squares[inner].max()
    deepest = np.argwhere(squares[inner] == greatest) + [side.start for side in core]
    positions: Positions = np.ravel_multi_index(tuple(deepest.T), room.shape)
    return float(greatest), positions


def _cores(room: Mask) -> tuple[list[tuple[float, Window]], int]:
    """Return windows with a bound of the depth in each, and how far off an outside can be.

    All deepest voxels lie in the windows.

    Cells of 2x2x2 voxels that are wholly inside bound depth: that of a voxel is twice that of its
    cell, give or take sqrt(3).
    """
    cells = _blocks(np.pad(room, [(0, size % 2) for size in room.shape]), np.logical_and)
    depth = np.sqrt(_squares(cells, black_border=True))
    slack, greatest = math.sqrt(3) + 1e-3, float(depth.max())  # and more than float32 rounds
    candidates = cc3d.connected_components((depth >= greatest - slack).view(np.uint8))
    reach = int(2 * greatest + slack) + 2  # beyond the greatest depth that there can be
    cores, looked_at = [], 0
    for box in find_objects(candidates):
        bound = 2 * float(depth[box].max()) + slack
        sides = zip(box, room.shape, strict=True)
        core = tuple(slice(2 * side.start, min(2 * side.stop, size)) for side, size in sides)
        cores.append((bound, core))
        looked_at += math.prod(side.stop - side.start + 2 * reach for side in core)
    if looked_at > ENOUGH * room.size:
        return [(math.inf, tuple(slice(0, size) for size in room.shape))], 0
    return cores, reach


def _squares(voxels: Mask, *, black_border: bool = False) -> NDArray[np.float32]:
    """Return the squared depth of each voxel; whole numbers that float32 holds."""
    squares: NDArray[np.float32] = edt.edtsq(
        voxels.view(np.uint8), black_border=black_border, parallel=threads.OF_SEGBENCH
    )
    return squares


def _blocks(voxels: Mask, unite: np.ufunc) -> Mask:
    """Unite blocks of 2x2x2 voxels; all sizes are even."""
    voxels = unite(voxels[::2], voxels[1::2])
    voxels = unite(voxels[:, ::2], voxels[:, 1::2])
    united: Mask = unite(voxels[..., ::2], voxels[..., 1::2])
    return united


# ---- large components, at half the resolution ------------------------------------------------


def _deepest_by_blocks(component: Mask, padding: list[int]) -> Positions:
    """Return the voxels of the component in the deepest blocks of 2x2x2 voxels (PROTOCOL 4.4).

    Blocks start at the corner of the padded box. Whole blocks of padding change nothing, so only
    the parity of the padding is put in front of the component, and one empty block around; but
    where no empty block is left, because the padding of one voxel shares its block with the
    component, depth is not bounded on that side.
    """
    odd = np.array([pad % 2 for pad in padding])
    sizes = np.array(component.shape)
    shifted = np.pad(component, [(o, (size + o) % 2) for o, size in zip(odd, sizes, strict=True)])
    blocks = _blocks(shifted, np.logical_or)
    around = _empty_blocks(sizes, np.array(padding), np.array(blocks.shape))
    room = np.pad(blocks, around)
    whole = tuple(slice(0, size) for size in room.shape)
    positions = _innermost(room) if np.all(around) else _deepest_in(room, whole, 0)[1]
    deepest = np.stack(np.unravel_index(positions, room.shape), axis=1) - around[:, 0]
    corners = np.array(list(np.ndindex(2, 2, 2)))
    voxels = (deepest[:, None] * 2 - odd + corners).reshape(-1, 3)
    voxels = voxels[((voxels >= 0) & (voxels < sizes)).all(axis=1)]
    voxels = voxels[component[tuple(voxels.T)]]
    in_raster_order: Positions = voxels[np.lexsort(voxels.T[::-1])]
    return in_raster_order


def _empty_blocks(
    sizes: NDArray[np.intp], padding: NDArray[np.intp], blocks: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return for each axis whether an empty block comes before and after, shape (3, 2)."""
    all_blocks = (sizes + 2 * padding + 1) // 2
    return np.stack([padding > 1, padding // 2 + blocks < all_blocks], axis=1).astype(np.intp)
