"""Two poor predictions made of the reference itself: where both score high, NSD tells nothing."""

from __future__ import annotations

import numpy as np

from segbench.core import Mask
from segbench.protocol.depth import deepest_voxels


def filled_box(mask: Mask) -> Mask:
    """Return the filled bounding box of a mask that is cropped to it."""
    return np.ones_like(mask)


def eroded(mask: Mask) -> Mask:
    """Return a mask without its outermost voxels; its deepest voxel stays.

    Parameters
    ----------
    mask : bool array, shape (z, y, x)
        Cropped to its bounding box, so not empty. A voxel stays if its six neighbours are in the
        mask, too.
    """
    from scipy import ndimage  # slow to import

    inner: Mask = ndimage.binary_erosion(mask)
    if not inner.any():
        inner[tuple(deepest_voxels(mask)[0])] = True
    return inner
