"""Bring a label map to the grid of its image: never by interpolation, nearest only by wish."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from nibabel.affines import apply_affine, voxel_sizes

from segbench.core import Grid, LabelMap
from segbench.data.convert.slabs import VOXELS
from segbench.data.convert.volume import STRAIGHT, Affine, case_affine, corners, shear_of
from segbench.errors import CaseError

SAME = 0.01  # of the smallest voxel size: how far equal places may differ by rounding


@dataclass(frozen=True)
class CaseGrid:
    """A grid in the order of cases."""

    affine: Affine  # from (x, y, z) to mm in RAS
    shape: tuple[int, ...]  # (x, y, z)

    @classmethod
    def of(cls, grid: Grid, label_map_shape: tuple[int, ...]) -> CaseGrid:
        """Return the grid of an array (z, y, x) of a case."""
        return cls(case_affine(grid), label_map_shape[::-1])


@dataclass(frozen=True, eq=False)
class Placed:
    """A label map on the grid of its image, and what was done for it."""

    label_map: LabelMap
    how: str = ""  # empty: the grids are equal
    is_resampled: bool = False


def place(
    label_map: LabelMap, own: CaseGrid, image: CaseGrid, *, resample: bool, name: str
) -> Placed:
    """Return a label map on the grid of its image; both are in the order of cases.

    A map that covers a part of the image's own voxels is filled up with background. Any other
    grid is refused, unless ``resample`` allows to take the nearest voxel.

    Raises
    ------
    CaseError
        If the grids differ, with the difference in mm.
    """
    if _is_same(own, image):
        return Placed(label_map)
    offset = _offset(own, image)
    if offset is not None:
        return Placed(
            _filled_up(label_map, offset, image), "filled up with background to the image's grid"
        )
    if not resample:
        raise CaseError(
            f"{name}: expected the grid of the image, found another: {difference(own, image)}; "
            "--resample-labels nearest takes the nearest label"
        )
    return Placed(_nearest(label_map, own, image), f"resampled: {difference(own, image)}", True)


def difference(own: CaseGrid, image: CaseGrid) -> str:
    """Return how two grids differ: shape, spacing, and the distance of their corners in mm."""
    parts = []
    if own.shape != image.shape:
        parts.append(f"{_by_x(own.shape)} voxels (x, y, z), the image {_by_x(image.shape)}")
    sizes, wanted = voxel_sizes(own.affine), voxel_sizes(image.affine)
    if not np.allclose(sizes, wanted, rtol=1e-3, atol=0):
        parts.append(f"spacing {_mm(sizes)}, the image {_mm(wanted)}")
    distance = _distances(own, image)
    parts.append(f"corners up to {distance:.4g} mm apart")
    return "; ".join(parts)


def _distances(own: CaseGrid, image: CaseGrid) -> float:
    mine, its = (apply_affine(grid.affine, corners(grid.shape)) for grid in (own, image))
    return float(np.linalg.norm(mine - its, axis=1).max())


def _by_x(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _mm(sizes: Affine) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes) + " mm"


def _is_same(own: CaseGrid, image: CaseGrid) -> bool:
    limit = SAME * voxel_sizes(image.affine).min()
    return own.shape == image.shape and _distances(own, image) <= limit


def _offset(own: CaseGrid, image: CaseGrid) -> tuple[int, ...] | None:
    """Return the place of a part of the image's own voxels; None if it is no such part."""
    inner = apply_affine(np.linalg.inv(image.affine) @ own.affine, corners(own.shape))
    start = np.rint(inner[0])
    wanted = corners(own.shape) + start
    fits = (start >= 0).all() and (start + own.shape <= image.shape).all()
    if not fits or np.abs(inner - wanted).max() > SAME:
        return None
    return tuple(int(at) for at in start)


def _filled_up(label_map: LabelMap, offset: tuple[int, ...], image: CaseGrid) -> LabelMap:
    filled = np.zeros(image.shape[::-1], label_map.dtype)
    sides = zip(offset[::-1], label_map.shape, strict=True)
    filled[tuple(slice(at, at + length) for at, length in sides)] = label_map
    return filled


def _nearest(label_map: LabelMap, own: CaseGrid, image: CaseGrid) -> LabelMap:
    """Return, for every voxel of the image, the label of the nearest voxel, else background."""
    matrix = np.linalg.inv(own.affine) @ image.affine
    x, y, z = image.shape
    found = np.zeros((z, y, x), label_map.dtype)
    rows = max(1, VOXELS // (8 * x))
    for slice_ in range(z):
        for start in range(0, y, rows):
            at = np.mgrid[0:x, start : min(start + rows, y), slice_ : slice_ + 1].reshape(3, -1)
            inner = np.floor(matrix[:3, :3] @ at + matrix[:3, 3:] + 0.5).astype(np.int64)
            inside = ((inner >= 0) & (inner < np.reshape(own.shape, (3, 1)))).all(axis=0)
            i, j, k = inner[:, inside]
            to_x, to_y, to_z = at[:, inside]
            found[to_z, to_y, to_x] = label_map[k, j, i]
    return found


def warnings_of(affine: Affine) -> list[str]:
    """Return what is unusual about a grid that is kept all the same."""
    shear = shear_of(affine)
    if shear > STRAIGHT:
        degrees = np.degrees(np.arcsin(shear))
        return [
            f"the grid is sheared (as by gantry tilt), its axes are {degrees:.4g} degrees from "
            "orthogonal; the voxels and the matrix are kept, ITK refuses such grids"
        ]
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    tilt = float(np.arccos(np.clip(np.abs(axes).max(axis=0), 0, 1)).max())
    if tilt > STRAIGHT:
        return [
            f"the grid is oblique, {np.degrees(tilt):.2g} degrees from the axes of the body; "
            "the voxels and the matrix are kept"
        ]
    return []
