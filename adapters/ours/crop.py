"""The content-aware crop of the paper (Eq. 12-13): its position, and resizing it to the patch.

A window around a box is cropped and resized to the network's patch. Positions are voxel centres:
voxel ``j`` of a window of ``n`` voxels is at ``(j + 0.5) * patch / n - 0.5`` in the patch. Resizing
is separable and linear, so each axis needs one small matrix; its columns are the voxels of the
window that are inside the volume. Voxels outside count as zero and are never stored. At zoom 1 the
matrices are exact identities. ``resampling`` does the same on a device, and the inverse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, Click, LabelMap, Mask, Voxel

from .intensity import Intensity

FloatArray = NDArray[np.float32]
Region = tuple[slice, ...]

MAX_ZOOM_IN = 4  # a smaller window shows interpolation, not the image


@dataclass(frozen=True)
class Window:
    """A cuboid of voxels, a cube at inference; may extend outside the volume."""

    low: Voxel
    size: Voxel

    def clipped_to_volume(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Return the part of the volume that the window covers."""
        return self.clipped_to(tuple(slice(0, n) for n in shape))

    def clipped_to(self, region: Region) -> Region:
        """Return the part of a region of the volume that the window covers."""
        return tuple(
            slice(*(min(max(end, span.start), span.stop) for end in (low, low + size)))
            for low, size, span in zip(self.low, self.size, region)
        )

    def contains(self, voxel: Voxel) -> bool:
        """Whether a voxel is inside."""
        return all(low <= at < low + n for at, low, n in zip(voxel, self.low, self.size))

    def enlarged(self, factor: float) -> Window:
        """Return the window with ``factor`` times the edges and the same centre."""
        size = [int(np.ceil(edge * factor)) for edge in self.size]
        low = [(2 * low + edge - n) // 2 for low, edge, n in zip(self.low, self.size, size)]
        return Window(as_voxel(low), as_voxel(size))


def default_box(shape: tuple[int, ...], label: int) -> Box:
    """Return the box of a label without a drawn one: the central third (Eq. 5).

    It has at least one voxel per axis, for volumes thinner than three slices.
    """
    low = tuple(n // 3 for n in shape)
    high = tuple(max(2 * n // 3, n // 3 + 1) for n in shape)
    middle = (low[0] + high[0]) // 2
    return Box(label, as_voxel(low), as_voxel(high), mid_slice=middle)


def window_around(box: Box, patch: int, *, zoom_in: bool = False) -> Window:
    """Return the cube of edge ``ceil(zoom * patch)`` centred on ``box`` (Eq. 12-13).

    Boxes are whole voxels, so ``ceil(max((extent + patch / 3) / patch, 1) * patch)`` is computed
    in integers: no rounding error adds a voxel. With ``zoom_in`` the window of a small box has
    1.5 times the edge of the box, as that of a large one, instead of the whole patch.
    """
    extent = max(high - low for low, high in zip(box.low, box.high))
    edge = max(patch, extent + -(-patch // 3))
    if zoom_in and edge == patch:
        edge = min(max(-(-3 * extent // 2), patch // MAX_ZOOM_IN), patch)
    low = as_voxel((low + high - edge) // 2 for low, high in zip(box.low, box.high))
    return Window(low, (edge, edge, edge))


def window_around_prompts(
    box: Box, clicks: Sequence[Click], patch: int, *, zoom_in: bool
) -> Window:
    """Return the window around a box; if clicks are outside it, that around box and clicks."""
    window = window_around(box, patch, zoom_in=zoom_in)
    if all(window.contains(click.voxel) for click in clicks):
        return window
    return window_around(enclosing_box(box, clicks), patch)


def enclosing_box(box: Box, clicks: Iterable[Click]) -> Box:
    """Return the smallest box that contains a box and clicks."""
    lows, highs = zip(
        (box.low, box.high), *((click.voxel, np.add(click.voxel, 1)) for click in clicks)
    )
    low, high = as_voxel(np.min(lows, axis=0)), as_voxel(np.max(highs, axis=0))
    return replace(box, low=low, high=high)


def crop_image(
    voxels: NDArray[Any], window: Window, patch: int, *, intensity: Intensity, antialias: bool
) -> FloatArray:
    """Z-score a window of a volume and resize it to the patch, trilinear, zero outside.

    ``antialias`` widens the interpolation kernel by the zoom. Plain trilinear interpolation skips
    voxels above zoom 2, which is rare with a patch of 192 and frequent with a small one.
    """
    cropped = intensity.z_score(voxels[window.clipped_to_volume(voxels.shape)])
    for axis, (low, size) in enumerate(zip(window.low, window.size)):
        zoom = size / patch
        centres = (np.arange(patch) + 0.5) * zoom - 0.5
        support = max(zoom, 1.0) if antialias else 1.0
        matrix = linear_interpolation_matrix(centres, size, support=support)
        first = max(-low, 0)
        cropped = _apply_along_axis(axis, matrix[:, first : first + cropped.shape[axis]], cropped)
    return cropped


def crop_mask(label_map: LabelMap, window: Window, patch: int, *, label: int) -> Mask:
    """Return the mask of ``label`` on the patch: nearest neighbour, False outside."""
    mask = np.zeros((patch, patch, patch), dtype=bool)
    sources, targets = [], []
    for low, size, n in zip(window.low, window.size, label_map.shape):
        nearest = low + ((np.arange(patch) + 0.5) * size / patch).astype(int)
        inside = np.flatnonzero((nearest >= 0) & (nearest < n))
        sources.append(nearest[inside])
        targets.append(inside)
    mask[np.ix_(*targets)] = label_map[np.ix_(*sources)] == label
    return mask


def linear_interpolation_matrix(
    centres: NDArray[np.floating[Any]], n: int, *, support: float
) -> FloatArray:
    """Return the (centres, n) matrix that interpolates n values linearly at ``centres``.

    Each row is a triangle of half-width ``support`` and sums to one. Centres beyond the ends get
    the last value.
    """
    clamped = np.clip(centres, 0, n - 1)[:, None]
    hats = np.maximum(1 - np.abs(clamped - np.arange(n)) / support, 0)
    matrix: FloatArray = (hats / hats.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def _apply_along_axis(axis: int, matrix: FloatArray, values: FloatArray) -> FloatArray:
    """Apply a matrix along one axis."""
    moved = np.tensordot(matrix, values, axes=(1, axis))
    return np.moveaxis(moved, 0, axis)


def as_voxel(values: Iterable[int]) -> Voxel:
    """Return three integers of any type as a voxel."""
    z, y, x = values
    return (int(z), int(y), int(x))
