"""Which labels are inside others, and how that decides the voxels that two labels claim.

Labels are drawn from the largest box to the smallest. Of two labels that claim a voxel, the more
probable one gets it. A lesion in an organ is an exception: the organ is probable there, too,
because its box contains the lesion. A label whose box is inside a much larger one may therefore be
less probable than the larger label by ALLOWANCE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, Roi

ALLOWANCE = 0.35
MIN_INSIDE = 0.8  # fraction of the inner box that is inside the outer one
MAX_SIZE = 0.7  # of the inner box, relative to the outer one


def drawing_order(extents: Sequence[Roi]) -> list[int]:
    """Return the indices of boxes, from the largest to the smallest."""
    return sorted(range(len(extents)), key=lambda i: -n_voxels(extents[i]))


def allowance_table(extents: Sequence[Roi]) -> NDArray[np.float32]:
    """Return how much less probable label i may be than label j and still win, as (labels, labels).

    Parameters
    ----------
    extents : the labels' boxes
    """
    table = np.zeros((len(extents), len(extents)), np.float32)
    for i, inner in enumerate(extents):
        for j, outer in enumerate(extents):
            table[i, j] = ALLOWANCE * is_nested(inner, outer)
    return table


def is_nested(inner: Roi, outer: Roi) -> bool:
    """Whether a box is mostly inside another one that is much larger."""
    common = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(inner, outer))
    size = n_voxels(inner)
    return size <= MAX_SIZE * n_voxels(outer) and n_voxels(common) >= MIN_INSIDE * size


def n_voxels(roi: Roi) -> int:
    """Return the number of voxels of a region; 0 if it ends before it starts."""
    return int(np.prod([max(cut.stop - cut.start, 0) for cut in roi]))


def box_extent(box: Box) -> Roi:
    """Return the voxels of a box."""
    z, y, x = (slice(low, high) for low, high in zip(box.low, box.high))
    return z, y, x
