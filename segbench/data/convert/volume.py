"""A volume on the grid of its file, and the one orientation that all cases have.

In a case, x grows to the patient's left, y to the back and z to the head, as far as the source's
axes allow: each axis gets the direction that it is nearest to. This is LPS, the order in which
SimpleITK and the challenge's files index ``[z, y, x]``. Axes are only permuted and flipped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    io_orientation,
    ornt_transform,
)
from numpy.typing import NDArray

from segbench.core import Grid, Spacing
from segbench.errors import CaseError

CASE_AXES = "LPS"  # of the axes (x, y, z) of a case
STRAIGHT = 1e-4  # cosine, and radians: below, two axes count as orthogonal, one as straight
SINGULAR = 1e-9  # volume of the cell of three axes of length 1: below, they are in one plane
Affine = NDArray[np.float64]


@dataclass(frozen=True)
class SeriesIds:
    """By which labels of other images are found: hashes of UIDs, which may contain dates."""

    series: str
    frames_of_reference: frozenset[str]


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels in the order of their file, and where they are.

    Attributes
    ----------
    voxels : array, shape (i, j, k)
        As stored.
    affine : array of float64, shape (4, 4)
        From voxel index to mm in RAS, as nibabel has it: right, anterior and superior grow.
    notes : tuple of str
        What the reader decided or found unusual, for the report; no paths, nothing of a patient.
    modality : str
        CT, MR, PET, US or another, if the file says so; else empty.
    ids : SeriesIds, optional
        Of a DICOM series; others have none.
    """

    voxels: NDArray[Any]
    affine: Affine
    notes: tuple[str, ...] = ()
    modality: str = ""
    ids: SeriesIds | None = None

    @property
    def axes(self) -> str:
        """The direction that each axis is nearest to, such as ``RAS``."""
        return "".join(aff2axcodes(self.affine))


@dataclass(frozen=True, eq=False)
class LabelVolume:
    """A label map on the grid of its own file, and what the file calls its labels.

    Attributes
    ----------
    volume : Volume
        0 is background; how labels are chosen and numbered comes later.
    names : mapping of int to str
        Names of values, as far as the file has them.
    rule : str
        How voxels were made of what the file holds, if it holds no label map.
    empty : collection of int, optional
        Named values that have no voxel, as the notes of the volume say; None: not looked for.
    """

    volume: Volume
    names: Mapping[int, str] = field(default_factory=dict)
    rule: str = ""
    empty: Collection[int] | None = None


def checked_affine(affine: Affine, name: str) -> Affine:
    """Return a voxel-to-world matrix that gives each voxel a place of its own.

    Raises
    ------
    CaseError
        If it is not (4, 4), not finite, or singular, or an axis has no direction.
    """
    matrix = np.asarray(affine, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        found = matrix.tolist()
        raise CaseError(f"{name}: expected a finite 4 x 4 matrix from voxels to mm, found {found}")
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)  # directions only: voxels may be of any size
    if not sizes.all() or abs(np.linalg.det(matrix[:3, :3] / sizes)) < SINGULAR:
        raise CaseError(
            f"{name}: expected a matrix that can be inverted, found {matrix[:3].tolist()}"
        )
    return matrix


def shear_of(affine: Affine) -> float:
    """Return the largest cosine between two axes of a grid: 0 if all are orthogonal."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def axes_affine(axes: str, sizes: tuple[float, float, float]) -> Affine:
    """Return the matrix of a file whose axes are stated by hand, such as ``LPS``; voxel 0 is at 0.

    Raises
    ------
    CaseError
        If the axes are not three different ones.
    """
    pairs = ["LR", "PA", "IS"]  # the second of each grows in RAS
    found = [next((n for n, pair in enumerate(pairs) if axis in pair), -1) for axis in axes]
    if sorted(found) != [0, 1, 2]:
        raise CaseError(
            f"axes: expected one of L R, one of P A and one of I S, such as LPS, found {axes!r}"
        )
    matrix = np.diag([0.0, 0, 0, 1])
    for axis, (target, letter) in enumerate(zip(found, axes, strict=True)):
        matrix[target, axis] = sizes[axis] * (1 if letter == pairs[target][1] else -1)
    return matrix


def corners(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the indices of the eight corner voxels of a volume."""
    ends = np.array(shape, np.float64) - 1
    return np.array([ends * corner for corner in np.ndindex(2, 2, 2)])


def to_case_order(volume: Volume) -> NDArray[Any]:
    """Return the voxels as (z, y, x) in the orientation of cases; no voxel changes."""
    oriented = apply_orientation(volume.voxels, _to_case(volume.affine))
    return np.ascontiguousarray(oriented.transpose(2, 1, 0))


def grid_of(volume: Volume) -> Grid:
    """Return the grid of a volume, to be kept with its case; it has no sha256 yet."""
    i, j, k = volume.voxels.shape
    rows = tuple(tuple(float(value) for value in row) for row in volume.affine)
    return Grid(rows, volume.axes, (i, j, k), "")


def case_spacing(affine: Affine) -> Spacing:
    """Return the distance of neighbouring voxels of the case in mm, as (z, y, x)."""
    sizes = voxel_sizes(affine)
    order = np.argsort(_to_case(affine)[:, 0])  # the source axis of x, y and z
    x, y, z = (float(sizes[axis]) for axis in order)
    return z, y, x


def from_case_order(array: NDArray[Any], grid: Grid) -> NDArray[Any]:
    """Return an array of a case, (z, y, x), in the order of its source's axes.

    Raises
    ------
    CaseError
        If its shape is not that of the source.
    """
    affine = np.asarray(grid.affine)
    back = ornt_transform(axcodes2ornt(CASE_AXES), io_orientation(affine))
    found = np.ascontiguousarray(apply_orientation(array.transpose(2, 1, 0), back))
    if found.shape != tuple(grid.shape):
        raise CaseError(
            f"grid: expected an array for a source of shape {grid.shape}, found {found.shape}"
        )
    return found


def case_affine(grid: Grid) -> Affine:
    """Return the matrix from a case's index (x, y, z) to mm in RAS."""
    affine = np.asarray(grid.affine)
    to_case = _to_case(affine)
    matrix = np.eye(4)
    for axis, (target, sign) in enumerate(to_case.astype(int)):
        matrix[axis] = 0
        matrix[axis, target] = sign
        matrix[axis, 3] = 0 if sign > 0 else grid.shape[axis] - 1
    found: Affine = affine @ matrix
    return found


def _to_case(affine: Affine) -> NDArray[np.float64]:
    """Return, for each axis of the source, the axis of (x, y, z) and the sign it becomes."""
    found: NDArray[np.float64] = ornt_transform(io_orientation(affine), axcodes2ornt(CASE_AXES))
    return found
