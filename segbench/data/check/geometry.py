"""Spacing, shape and the order of axes.

A scan of anisotropic voxels has one axis of another spacing, through the slices; the two axes in
plane have equal spacing, and mostly similar sides. A spacing given as (x, y, z) for arrays in
(z, y, x) calls the wrong axis the odd one. That shows in the shape: the two axes said to be in
plane have different sides, and two others similar ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Grid, Spacing
from segbench.data.check.finding import AxisEvidence, Finding

EQUAL, ODD = math.log(1.02), math.log(1.1)  # ratios of spacings that count as equal, as different
SIZE_DIFFERS = 0.3  # logarithm of a ratio of sides
SIDES_ALIKE = 0.25  # the same, of the two sides in plane
SMOOTHNESS_DISAGREES = 0.3
BLOCK = 128  # voxels a side of the middle block whose smoothness is measured
FEWEST_SLICES = 4
AXES = "zyx"

# of voxels, and of whole volumes, in mm
VOXEL_MM = {"CT": (0.1, 15), "MR": (0.1, 20), "PET": (0.5, 15), "US": (0.02, 5)}
VOLUME_MM = {"CT": (20, 2500), "MR": (10, 2500), "PET": (30, 2500), "US": (5, 600)}
CROSS_SECTIONAL = ("CT", "PET")  # acquired in slices across the body, so that z is the odd axis


def axis_evidence(voxels: NDArray[Any], spacing: Spacing) -> AxisEvidence | None:
    """Return whether the image agrees with the odd axis of its spacing.

    None if no axis is odd, or the middle one, which stays in place when the order is reversed.
    """
    odd = odd_axis(spacing)
    if odd not in (0, 2) or min(voxels.shape) < 2:
        return None
    other = 2 - odd
    stated, reversed_size = _side_ratio(voxels.shape, odd), _side_ratio(voxels.shape, other)
    change = _change_along(voxels, odd), _change_along(voxels, other)
    smoothness = 0.0
    if min(change) > 0:
        coarser = 1 if spacing[odd] > spacing[other] else -1
        smoothness = coarser * math.log(change[0] / change[1])
    return AxisEvidence(odd, reversed_size - stated, reversed_size, smoothness)


def odd_axis(spacing: Spacing) -> int | None:
    """Return the axis whose spacing differs from the two others, which are equal."""
    logs = [math.log(mm) for mm in spacing]
    for axis in range(3):
        one, other = (logs[a] for a in range(3) if a != axis)
        if abs(one - other) <= EQUAL and abs(logs[axis] - (one + other) / 2) >= ODD:
            return axis
    return None


def _side_ratio(shape: tuple[int, ...], odd: int) -> float:
    one, other = (length for axis, length in enumerate(shape) if axis != odd)
    return abs(math.log(one / other))


def _change_along(voxels: NDArray[Any], axis: int) -> float:
    """Return the mean squared difference of neighbours along an axis, in the middle block."""
    middle = tuple(
        slice(max(n // 2 - BLOCK // 2, 0), n // 2 + (BLOCK + 1) // 2) for n in voxels.shape
    )
    block = np.nan_to_num(voxels[middle].astype(np.float64), posinf=0, neginf=0)
    block /= np.abs(block).max() or 1  # so that no square overflows
    return float(np.mean(np.square(np.diff(block, axis=axis))))


def looks_reversed(axes: AxisEvidence) -> bool:
    """Whether one case alone shows that its spacing names the wrong axis."""
    return (
        axes.size <= -SIZE_DIFFERS
        and axes.reversed_size <= SIDES_ALIKE
        and axes.smoothness <= SMOOTHNESS_DISAGREES
    )


def order_findings(
    case: str, modality: str, shape: tuple[int, ...], spacing: Spacing, axes: AxisEvidence | None
) -> Iterator[Finding]:
    """Yield at most one finding on the order of the axes."""
    facts = f"shape {shape}, spacing {_mm(spacing)} mm"
    numbers = {"shape": shape, "spacing": spacing}
    if axes is not None and looks_reversed(axes):
        yield reversed_finding(case, modality, axes, facts, numbers)
    elif modality in CROSS_SECTIONAL and _slices_are_last(shape, spacing, axes):
        what = f"axes: expected the slices of {modality} along the first one, found {facts}"
        yield Finding("array-order", case, what, numbers)


def reversed_finding(
    case: str, modality: str, axes: AxisEvidence, facts: str, numbers: dict[str, Any]
) -> Finding:
    """Return the finding that spacing and arrays have different orders, and which one is wrong.

    Slices of CT and PET are across the body, so that a spacing with another z is right there. A
    scan of another modality may have slices along any axis: its arrays are taken as they are.
    """
    odd, other = AXES[axes.odd_axis], AXES[2 - axes.odd_axis]
    is_array = axes.odd_axis == 0 and modality in CROSS_SECTIONAL
    what = f"spacing: expected an odd axis {other}, as the image has, found {odd}: {facts}"
    return Finding("array-order" if is_array else "spacing-order", case, what, numbers)


def _slices_are_last(shape: tuple[int, ...], spacing: Spacing, axes: AxisEvidence | None) -> bool:
    if axes is not None:
        return axes.odd_axis == 2 and axes.size >= SIZE_DIFFERS
    z, y, x = shape
    is_isotropic = max(spacing) <= min(spacing) * math.exp(EQUAL)
    return is_isotropic and z == y >= 64 and abs(math.log(x / z)) >= SIZE_DIFFERS


def size_findings(
    case: str, modality: str, shape: tuple[int, ...], spacing: Spacing
) -> Iterator[Finding]:
    """Yield a spacing or a size that the modality does not have."""
    low, high = VOXEL_MM.get(modality, (0, math.inf))
    if min(spacing) < low or max(spacing) > high:
        what = f"spacing: expected {low:g} to {high:g} mm in {modality}, found {_mm(spacing)}"
        yield Finding("spacing-implausible", case, what, {"spacing": spacing})
    elif modality in CROSS_SECTIONAL and spacing == (1, 1, 1):
        what = f"spacing: expected that of the scanner in {modality}, found 1 x 1 x 1 mm"
        yield Finding("spacing-default", case, what, {"spacing": spacing})
    extents = [side * mm for side, mm in zip(shape, spacing, strict=True)]
    low, high = VOLUME_MM.get(modality, (0, math.inf))
    if min(shape) < FEWEST_SLICES:
        what = f"imgs: expected at least {FEWEST_SLICES} voxels along each axis, found {shape}"
        yield Finding("size-implausible", case, what, {"shape": shape})
    elif min(extents) < low or max(extents) > high:
        found = " x ".join(f"{mm:.4g}" for mm in extents)
        what = f"imgs: expected a volume of {low} to {high} mm in {modality}, found {found} mm"
        yield Finding("size-implausible", case, what, {"extents_mm": extents})


def grid_findings(
    case: str, shape: tuple[int, ...], spacing: Spacing, grid: Grid
) -> Iterator[Finding]:
    """Yield a difference between a converted case and the grid of its source."""
    columns = np.asarray(grid.affine)[:3, :3]
    sizes = np.sqrt((columns**2).sum(axis=0))
    along = ["SI", "AP", "LR"]  # z, y and x of a case
    found = [[i for i, letter in enumerate(grid.axes) if letter in pair] for pair in along]
    if [len(axes) for axes in found] != [1, 1, 1]:
        what = f"grid_axes: expected directions such as LPS, found {grid.axes[:20]!r}"
        yield Finding("spacing-grid", case, what, {"axes": grid.axes})
        return
    order = [axis for (axis,) in found]
    expected, sides = tuple(float(sizes[i]) for i in order), tuple(grid.shape[i] for i in order)
    if not np.allclose(expected, spacing, rtol=1e-3) or sides != tuple(shape):
        what = (
            f"grid: expected shape {sides}, spacing {_mm(expected)} mm, "
            f"found {tuple(shape)}, {_mm(spacing)} mm"
        )
        yield Finding("spacing-grid", case, what, {"expected": expected, "spacing": spacing})


def _mm(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{mm:.4g}" for mm in spacing)
