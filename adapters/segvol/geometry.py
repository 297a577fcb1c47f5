"""Where SegVol looks: intensities, the foreground, boxes as it sees them, windows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Size = tuple[int, ...]
Roi = tuple[slice, ...]


def normalise(voxels: NDArray[Any]) -> NDArray[np.float32] | None:
    """Return the image between 0 and 1; None if it is the same everywhere.

    Voxels brighter than the mean give the range, their 0.05th to 99.95th percentile.
    """
    image = voxels.astype(np.float32)
    bright = image[image > image.mean()]
    if bright.size == 0 or image.min() == image.max():
        return None
    high, low = np.percentile(bright, 99.95), np.percentile(bright, 0.05)
    image = (np.clip(image, low, high) - bright.mean()) / max(bright.std(), 1e-8)
    image -= image.min()
    scaled: NDArray[np.float32] = (image / max(image.max(), 1e-8)).astype(np.float32)
    return scaled


def foreground_roi(image: NDArray[np.float32]) -> Roi:
    """Return the smallest window that holds every voxel above 0."""
    roi = []
    for axis in range(image.ndim):
        others = tuple(other for other in range(image.ndim) if other != axis)
        (occupied,) = np.nonzero((image > 0).any(axis=others))
        roi.append(slice(int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else slice(0, 0))
    return tuple(roi)


def resize_nearest(volume: Tensor, size: Size) -> Tensor:
    """Return a volume (z, y, x) in another size, by its nearest voxels."""
    return functional.interpolate(volume[None, None], size=size, mode="nearest")[0, 0]


def box_corners(mask: Tensor) -> Tensor:
    """Return a mask's first and last voxel (2, 3) as a box prompt has them.

    z is that of the whole mask, y and x are those of its middle slice: of the slice in which the
    middle one of all its voxels lies. All are -1 if the mask is empty.
    """
    voxels = torch.nonzero(mask)
    if len(voxels) == 0:
        return torch.full((2, 3), -1.0)
    middle = voxels[voxels[:, 0] == voxels[len(voxels) // 2, 0]]
    low, high = middle.amin(dim=0), middle.amax(dim=0)
    low[0], high[0] = voxels[0, 0], voxels[-1, 0]
    return torch.stack([low, high]).float()


def roi_around(found: Tensor, least: Size) -> Roi | None:
    """Return the window of what was found, grown towards a size; None if nothing was.

    Grown by half of what lacks on each side, rounded down, and cut at the borders: it may stay
    smaller than that size.
    """
    voxels = torch.nonzero(found)
    if len(voxels) == 0:
        return None
    roi = []
    sides = (voxels.amin(dim=0).tolist(), voxels.amax(dim=0).tolist(), least, found.shape)
    for first, last, size, n in zip(*sides):
        half = max(0, size - (last - first + 1)) // 2
        roi.append(slice(max(0, first - half), min(n, last + half + 1)))
    return tuple(roi)


def pad_widths(size: Size, least: Size) -> list[int]:
    """Return what `torch.nn.functional.pad` adds so that a volume is at least of a size."""
    pads: list[int] = []
    for n, wanted in zip(size[::-1], least[::-1]):
        lacks = max(wanted - n, 0)
        pads += [lacks // 2, lacks - lacks // 2]
    return pads


def sliding_windows(size: Size, window: Size) -> list[Roi]:
    """Return windows that cover a volume and overlap by half; the last ones end with it."""
    starts = []
    for n, length in zip(size, window):
        step = max(length // 2, 1)
        count = math.ceil((n - length) / step) + 1
        starts.append([min(number * step, n - length) for number in range(count)])
    return [
        tuple(slice(start, start + length) for start, length in zip(corner, window))
        for corner in itertools.product(*starts)
    ]
