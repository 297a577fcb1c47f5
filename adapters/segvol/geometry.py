"""SegVol's preprocessing: intensities, box corners, sliding windows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from segbench.core import Roi
from segbench_adapters import kit

Size = tuple[int, ...]


def normalise(voxels: NDArray[Any]) -> NDArray[np.float32] | None:
    """Scale the image to [0, 1]; None if it is constant.

    The range is the 0.05th to 99.95th percentile of the voxels brighter than the mean.
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


def resize_nearest(volume: Tensor, size: Size) -> Tensor:
    """Resize a volume (z, y, x), nearest neighbour."""
    return functional.interpolate(volume[None, None], size=size, mode="nearest")[0, 0]


def box_corners(mask: Tensor) -> Tensor:
    """Return a mask's first and last voxel (2, 3) as a box prompt.

    z covers the whole mask; y and x cover its middle slice, the one that contains the middle of
    all its voxels. All are -1 if the mask is empty.
    """
    voxels = torch.nonzero(mask)
    if len(voxels) == 0:
        return torch.full((2, 3), -1.0)
    middle = voxels[voxels[:, 0] == voxels[len(voxels) // 2, 0]]
    low, high = middle.amin(dim=0), middle.amax(dim=0)
    low[0], high[0] = voxels[0, 0], voxels[-1, 0]
    return torch.stack([low, high]).float()


def roi_around(mask: Tensor, min_size: Size) -> Roi | None:
    """Return a mask's bounding box, enlarged towards a size; None if the mask is empty.

    Each side grows by half of the missing size, rounded down, and is cut at the borders: the
    region may stay smaller than the size.
    """
    box = kit.bounding_box(mask.cpu().numpy())
    if box[0].start == box[0].stop:
        return None
    roi = []
    for side, size, n in zip(box, min_size, mask.shape):
        half = max(0, size - (side.stop - side.start)) // 2
        roi.append(slice(max(0, side.start - half), min(n, side.stop + half)))
    return tuple(roi)


def pad_widths(size: Size, min_size: Size) -> list[int]:
    """Return the widths for `torch.nn.functional.pad` to reach a minimum size."""
    pads: list[int] = []
    for n, minimum in zip(size[::-1], min_size[::-1]):
        missing = max(minimum - n, 0)
        pads += [missing // 2, missing - missing // 2]
    return pads


def sliding_windows(size: Size, window: Size) -> list[Roi]:
    """Return windows that cover a volume and overlap by half; the last ones end at its border."""
    starts = []
    for n, length in zip(size, window):
        step = max(length // 2, 1)
        count = math.ceil((n - length) / step) + 1
        starts.append([min(number * step, n - length) for number in range(count)])
    return [
        tuple(slice(start, start + length) for start, length in zip(corner, window))
        for corner in itertools.product(*starts)
    ]
