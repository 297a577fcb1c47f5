"""Which labels are inside others, and how that decides the voxels that two labels claim.

A label claims the voxels in which its probability is above 0.5. Of two labels that claim a voxel,
the more probable one gets it. A lesion in an organ is an exception: the organ is probable there,
too, because its box contains the lesion. A label whose box is inside a much larger one therefore
gets every voxel that both claim. Labels are drawn from the largest box to the smallest: each
competes with the label that has the voxel so far.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, Roi

MIN_INSIDE = 0.8  # fraction of the inner box that is inside the outer one
MAX_SIZE = 0.7  # of the inner box, relative to the outer one


def drawing_order(extents: Sequence[Roi]) -> list[int]:
    """Return the indices of boxes, from the largest to the smallest."""
    return sorted(range(len(extents)), key=lambda i: -n_voxels(extents[i]))


def nesting_table(extents: Sequence[Roi]) -> NDArray[np.bool_]:
    """Return whether label i is inside label ``owner - 1``, as (labels, 1 + owners); 0 is nobody.

    Parameters
    ----------
    extents : the labels' boxes
    """
    table = np.zeros((len(extents), 1 + len(extents)), bool)
    for i, inner in enumerate(extents):
        for j, outer in enumerate(extents):
            table[i, 1 + j] = is_nested(inner, outer)
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
