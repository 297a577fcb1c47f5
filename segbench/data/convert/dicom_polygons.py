"""Which voxels of a slice are inside polygons.

A voxel is inside if its centre is: if a ray from it along the row crosses the outlines an odd
number of times. So a polygon inside another one is a hole (XOR), and the two edges of a keyhole's
channel cancel. A centre on an outline counts as inside on the side of low columns and rows and as
outside on the other side: polygons that share an edge share no voxel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DECIMALS = 6  # of an index: text in a file is not more exact
EDGES_AT_ONCE = 2048  # bounds memory


def filled(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centres are inside an odd number of polygons.

    Parameters
    ----------
    polygons : sequence of float arrays, shape (n, 2)
        Corners as (column, row) indices; the last is joined to the first.
    shape : (rows, columns)

    Returns
    -------
    bool array, shape ``shape``
    """
    rows, columns = shape
    crossed = np.zeros((rows, columns + 1), np.int32)  # one more for what is right of all pixels
    for polygon in polygons:
        corners = polygon.round(DECIMALS)
        edges = np.stack([corners, np.roll(corners, -1, axis=0)], axis=1)
        for first in range(0, len(edges), EDGES_AT_ONCE):
            _cross(crossed, edges[first : first + EDGES_AT_ONCE])
    inside: NDArray[np.bool_] = crossed[:, :-1].cumsum(axis=1) % 2 == 1
    return inside


def _cross(crossed: NDArray[np.int32], edges: NDArray[np.float64]) -> None:
    """Count, for each row that edges (n, 2, 2) cross, the first pixel at or right of the edge."""
    rows, columns = crossed.shape
    # from the lower row to the higher, so that an edge that is drawn twice crosses at one place
    order = np.argsort(edges[:, :, 1], axis=1, kind="stable")
    low, high = np.take_along_axis(edges, order[:, :, None], axis=1).transpose(1, 0, 2)
    first = np.clip(np.ceil(low[:, 1]), 0, rows).astype(int)
    stop = np.clip(np.ceil(high[:, 1]), 0, rows).astype(int)  # low <= row < high
    counts = stop - first
    edge = np.repeat(np.arange(len(edges)), counts)
    row = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts) + first[edge]
    slope = (high[edge] - low[edge])[:, 0] / (high[edge] - low[edge])[:, 1]
    column = low[edge, 0] + (row - low[edge, 1]) * slope
    right = np.clip(np.ceil(column.round(DECIMALS)), 0, columns - 1).astype(int)
    np.add.at(crossed, (row, right), 1)
