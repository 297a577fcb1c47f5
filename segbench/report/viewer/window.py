"""The part of a case that the page shows: around the reference, predictions, boxes and clicks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import bounding_box
from segbench.core import Box, Click, Prompt, Roi, Voxel

MARGIN = 10  # voxels on each side


@dataclass(frozen=True)
class Extent:
    """A half-open box of voxels, (z, y, x); empty where ``low`` is above ``high``."""

    low: Voxel
    high: Voxel

    @property
    def roi(self) -> Roi:
        """The slices of an array."""
        z, y, x = (slice(a, b) for a, b in zip(self.low, self.high, strict=True))
        return z, y, x

    @property
    def shape(self) -> Voxel:
        """The number of voxels along each axis."""
        z, y, x = (b - a for a, b in zip(self.low, self.high, strict=True))
        return z, y, x


def extent_of(mask: NDArray[Any]) -> Extent | None:
    """Return the smallest extent of the voxels that are not 0; None if there are none."""
    z, y, x = bounding_box(mask)
    if z.start == z.stop:
        return None
    return Extent((z.start, y.start, x.start), (z.stop, y.stop, x.stop))


def extent_of_prompt(prompt: Prompt) -> Extent:
    """Return the extent of a box, or the voxel of a click."""
    if isinstance(prompt, Click):
        z, y, x = prompt.voxel
        return Extent(prompt.voxel, (z + 1, y + 1, x + 1))
    return Extent(prompt.low, prompt.high)


def window_around(
    extents: Iterable[Extent | None], prompts: Iterable[Box | Click], shape: Voxel
) -> Extent:
    """Return the extent of all that is to be seen, with a margin, inside the volume.

    The whole volume where there is nothing to be seen.
    """
    found = [extent for extent in extents if extent is not None]
    found += [extent_of_prompt(prompt) for prompt in prompts]
    if not found:
        return Extent((0, 0, 0), shape)
    low = np.min([extent.low for extent in found], axis=0) - MARGIN
    high = np.max([extent.high for extent in found], axis=0) + MARGIN
    low, high = low.clip(0, np.array(shape) - 1), high.clip(1, shape)
    return Extent(
        (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))
    )


@dataclass(frozen=True)
class Kept:
    """The slices that are stored, as indices of the volume along z, y and x."""

    z: tuple[int, ...]
    y: tuple[int, ...]
    x: tuple[int, ...]

    @property
    def axes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The indices by axis."""
        return self.z, self.y, self.x

    def n_voxels(self, window: Extent) -> int:
        """Return how many voxels the slices have inside a window."""
        nz, ny, nx = window.shape
        return len(self.z) * ny * nx + len(self.y) * nz * nx + len(self.x) * nz * ny


def slices_through(voxels: Iterable[Voxel]) -> Kept:
    """Return the three slices through each voxel."""
    at = list(voxels)
    z, y, x = (tuple(sorted({voxel[axis] for voxel in at})) for axis in range(3))
    return Kept(z, y, x)


def middle_of(mask: NDArray[Any]) -> Voxel:
    """Return a voxel in the slices in which a mask is largest; the middle of an empty one."""
    sums = [mask.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    z, y, x = (int(s.argmax()) if s.any() else len(s) // 2 for s in sums)
    return z, y, x
