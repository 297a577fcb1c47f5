"""Three planes through a label: image, reference, prediction, box and clicks, in mm.

The planes go through the largest area of the label in the reference, along each axis of the array.
Each shows a square around the label, its prediction, its box and its clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, Case, Click, LabelMap, Mask

AXES = "zyx"
MARGIN = 0.12  # of the longest side, on each side
Rectangle = tuple[float, float, float, float]  # left, right, first row, last row, in mm


@dataclass(frozen=True)
class ShownClick:
    """A click as a plane shows it."""

    number: int  # of the step
    positive: bool
    x: float  # mm
    y: float
    in_plane: bool  # otherwise it is in another slice


@dataclass(frozen=True, eq=False)
class Plane:
    """A part of one slice; arrays are (rows, columns)."""

    axis: int
    index: int
    image: NDArray[Any] | None
    reference: Mask
    prediction: Mask
    extent: Rectangle  # of the arrays
    window: Rectangle  # the square that is shown
    box: Rectangle | None
    clicks: tuple[ShownClick, ...]

    @property
    def name(self) -> str:
        """Its position and width, such as "z 45, 120 mm"."""
        left, right, *_ = self.window
        return f"{AXES[self.axis]} {self.index}, {right - left:.3g} mm"

    def without_image(self) -> Plane:
        """Return the plane without any data of the image."""
        return replace(self, image=None)


def three_planes(
    case: Case,
    prediction: LabelMap,
    label: int,
    *,
    box: Box | None,
    clicks: Sequence[tuple[int, Click]],
) -> list[Plane]:
    """Return the planes along z, y and x.

    Parameters
    ----------
    box : of this label
    clicks : the number of the step and the click, of this label
    """
    masks = case.reference == label, prediction == label
    low, high = _region(masks, box, [click for _, click in clicks])
    spacing = np.array(case.image.spacing)
    centre, sides = (low + high - 1) / 2 * spacing, (high - low) * spacing
    found = []
    for axis in range(3):
        index = largest_area(masks[0], axis)
        across, down = (2, 1) if axis == 0 else (2, 0) if axis == 1 else (1, 0)
        grid = _Grid(axis, index, across, down, spacing)
        half = max(sides[across], sides[down]) * (0.5 + MARGIN)
        square = [centre - half, centre + half]
        ranges = _voxels_in(square, spacing, case.reference.shape)
        image, reference, predicted = (
            grid.part(array, ranges) for array in (case.image.voxels, *masks)
        )
        found.append(
            Plane(
                *(axis, index, image, reference, predicted),
                extent=grid.rectangle(*(ranges - 0.5).T),
                window=(*(end[across] for end in square), *(end[down] for end in square)),
                box=grid.box(box),
                clicks=tuple(grid.click(number, click) for number, click in clicks),
            )
        )
    return found


def largest_area(mask: Mask, axis: int) -> int:
    """Return the slice along an axis in which a mask has most voxels; of equal ones the middle."""
    areas = np.count_nonzero(mask, axis=tuple(other for other in range(3) if other != axis))
    best = np.flatnonzero(areas == areas.max())
    return int(best[len(best) // 2])


@dataclass(frozen=True, eq=False)
class _Grid:
    """Where the voxels of a plane are, in mm: x along the axis ``across``, y along ``down``."""

    axis: int
    index: int
    across: int
    down: int
    spacing: NDArray[np.float64]

    def part(self, array: NDArray[Any], ranges: NDArray[np.intp]) -> NDArray[Any]:
        """Return the voxels of the plane in ranges of indices, shape (3, 2)."""
        place: list[Any] = [slice(*pair) for pair in ranges.tolist()]
        place[self.axis] = self.index
        return np.array(array[tuple(place)])

    def rectangle(self, low: Sequence[float], high: Sequence[float]) -> Rectangle:
        """Return positions in voxels as left, right, top, bottom in mm."""
        x, y = self.spacing[self.across], self.spacing[self.down]
        across, down = self.across, self.down
        return low[across] * x, high[across] * x, low[down] * y, high[down] * y

    def box(self, box: Box | None) -> Rectangle | None:
        """Return a box, if the plane goes through it."""
        if box is None or not box.low[self.axis] <= self.index < box.high[self.axis]:
            return None
        return self.rectangle([i - 0.5 for i in box.low], [i - 0.5 for i in box.high])

    def click(self, number: int, click: Click) -> ShownClick:
        """Return a click, moved into the plane along the axis."""
        x, _, y, _ = self.rectangle(click.voxel, click.voxel)
        return ShownClick(number, click.positive, x, y, click.voxel[self.axis] == self.index)


def _region(
    masks: tuple[Mask, Mask], box: Box | None, clicks: Sequence[Click]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the corners of a half-open region with all that is shown."""
    corners = [(click.voxel, tuple(i + 1 for i in click.voxel)) for click in clicks]
    corners += [(box.low, box.high)] if box else []
    corners += [_corners(mask) for mask in masks if mask.any()]
    lows, highs = zip(*corners, strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _corners(mask: Mask) -> tuple[Any, Any]:
    profiles = (mask.any(axis=tuple(o for o in range(3) if o != axis)) for axis in range(3))
    occupied = [np.flatnonzero(profile) for profile in profiles]
    return tuple(int(i[0]) for i in occupied), tuple(int(i[-1]) + 1 for i in occupied)


def _voxels_in(
    square: Sequence[NDArray[np.float64]], spacing: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.intp]:
    """Return the half-open ranges of the voxels that a square touches, shape (3, 2)."""
    low = np.clip(np.floor(square[0] / spacing), 0, shape)
    high = np.clip(np.ceil(square[1] / spacing) + 1, 0, shape)
    return np.column_stack([low, high]).astype(np.intp)
