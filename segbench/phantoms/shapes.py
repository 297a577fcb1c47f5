"""The geometry of phantoms: warped ellipsoids, cells, vessel trees, and how they are painted.

Large shapes use coordinates from -1 to 1 along every axis, so they fill a volume of any shape.
Small ones (balls, tubes) have radii in mm, so they are round at any spacing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segbench.core import Mask, Spacing, Voxel

Field = NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True)
class Structure:
    """A structure in a phantom; later structures are painted over earlier ones.

    ``level`` is its mean intensity in the modality's unit. ``compact`` structures can have a box;
    the others are trees and scattered lesions. A ``part`` is inside another structure; if it has
    no label of its own, it has the label of that structure.
    """

    mask: Mask
    level: float
    target: bool = False
    compact: bool = True
    part: bool = False


def paint(structures: Iterable[Structure], shape: Voxel) -> Field:
    """Return the levels of the structures, painted in order on 0."""
    levels = np.zeros(shape, np.float32)
    for structure in structures:
        levels[structure.mask] = structure.level
    return levels


def waves(shape: Voxel, rng: Rng, *, cycles: float, n: int = 6) -> Field:
    """Return a smooth random field of mean 0 and variance 1: a sum of ``n`` plane waves.

    ``cycles`` is the number of periods along one axis.
    """
    total: Field = np.zeros(shape, np.float32)
    for _ in range(n):
        direction = rng.normal(size=3)
        frequencies = direction * (cycles / np.linalg.norm(direction))
        plane, line = _wave(shape, frequencies, rng.uniform(0, 2 * np.pi))
        total += plane.real[:, :, None] * line.real - plane.imag[:, :, None] * line.imag
    total *= np.float32(np.sqrt(2 / n))
    return total


def _wave(
    shape: Voxel, frequencies: NDArray[np.float64], phase: float
) -> tuple[NDArray[np.complex64], NDArray[np.complex64]]:
    """Factor a plane wave into (z, y) and x: the exponential of a sum is a product."""
    z, y, x = (
        np.exp(2j * np.pi * k * np.linspace(0, 1, n))
        for k, n in zip(frequencies, shape, strict=True)
    )
    plane = np.exp(1j * phase) * z[:, None] * y
    return plane.astype(np.complex64), x.astype(np.complex64)


def warped_points(shape: Voxel, rng: Rng, *, warp: float = 0.03) -> Field:
    """Return smoothly warped coordinates of each voxel, from -1 to 1; shape (3, z, y, x)."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    bend = [warp * waves(shape, rng, cycles=1.6, n=4) for _ in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij")) + np.stack(bend)


def ellipsoidal_radius(
    points: Field, centre: Sequence[float], radii: Sequence[float], *, rotation: float = 0.0
) -> Field:
    """Return the distance from ``centre`` that is 1 on the ellipsoid's surface.

    ``rotation`` rotates the ellipsoid in plane, in radians.
    """
    z, y, x = (points[axis] - np.float32(centre[axis]) for axis in range(3))
    sin, cos = np.float32(np.sin(rotation)), np.float32(np.cos(rotation))
    along, across = cos * y + sin * x, cos * x - sin * y
    squares: Field = (z / radii[0]) ** 2 + (along / radii[1]) ** 2 + (across / radii[2]) ** 2
    return np.sqrt(squares, dtype=np.float32)


def ellipsoids(
    shape: Voxel,
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    axes: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int32], Field]:
    """Place many small ellipsoids; where they overlap, a voxel belongs to the nearer one.

    Parameters
    ----------
    shape : of the volume
    centres, radii : shape (n, 3), in voxels
    axes : shape (n, 3, 3), the orthogonal axes of each; those of the array if None

    Returns
    -------
    The number of each voxel's ellipsoid (1..n, 0 for none) and its distance from the centre of
    that ellipsoid, which is 1 on the surface and infinite outside.
    """
    owner = np.zeros(shape, np.int32)
    nearest = np.full(shape, np.inf, np.float32)
    axes = np.broadcast_to(np.eye(3), (len(radii), 3, 3)) if axes is None else axes
    for index, (centre, radius, own_axes) in enumerate(zip(centres, radii, axes, strict=True), 1):
        extent = np.abs(own_axes.T) @ radius
        low = np.clip(np.ceil(centre - extent), 0, shape).astype(int)
        high = np.clip(np.floor(centre + extent) + 1, low, shape).astype(int)
        region = tuple(slice(*bounds) for bounds in zip(low, high, strict=True))
        offsets = np.stack(np.meshgrid(*np.ogrid[region], indexing="ij"), axis=-1) - centre
        distance = np.linalg.norm(offsets @ own_axes.T / radius, axis=-1)
        nearer = distance < np.minimum(nearest[region], 1)
        owner[region][nearer] = index
        nearest[region][nearer] = distance[nearer]
    return owner, nearest


def balls(shape: Voxel, spacing: Spacing, centres_mm: ArrayLike, radii_mm: ArrayLike) -> Mask:
    """Return the union of balls, each at least 1.5 voxels wide so that tubes have no gaps."""
    centres = np.asarray(centres_mm, np.float64).reshape(-1, 3) / spacing
    radii = np.asarray(radii_mm, np.float64).reshape(-1, 1) / spacing
    owner, _ = ellipsoids(shape, centres, np.maximum(radii, 0.75))
    return owner > 0


def vessel_tree(
    shape: Voxel, spacing: Spacing, rng: Rng, *, radius_mm: float, forks: int = 4
) -> Mask:
    """Return a vessel tree that starts at one face: tubes that bend, fork and become thinner."""
    size = np.multiply(shape, spacing)
    start = size * (rng.uniform(0.05, 0.2), rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.65))
    tips = [(start, np.array([1.0, 0.0, 0.0]), radius_mm)]
    centres: list[NDArray[np.float64]] = []
    radii: list[float] = []
    for _ in range(forks + 1):
        new_tips = []
        for position, direction, radius in tips:
            path, last_direction = _tube(position, direction, size, rng)
            centres.extend(path)
            radii.extend([radius] * len(path))
            new_tips += [
                (path[-1], last_direction + rng.normal(0, 0.8, 3), radius * 0.78) for _ in range(2)
            ]
        tips = new_tips
    return balls(shape, spacing, centres, radii)


def _tube(
    position: NDArray[np.float64],
    direction: NDArray[np.float64],
    size: NDArray[np.float64],
    rng: Rng,
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Return a random path that turns back to the middle near a face, and its last direction."""
    path = []
    step_mm = size.min() / 60
    for _ in range(int(rng.integers(8, 18))):
        from_centre = 2 * position / size - 1
        direction = (
            direction + rng.normal(0, 0.15, 3) - 0.3 * from_centre * np.abs(from_centre) ** 3
        )
        direction = direction / np.linalg.norm(direction)
        position = position + step_mm * direction
        path.append(position)
    return path, direction


def scattered_balls(
    region: Mask, spacing: Spacing, rng: Rng, *, n: int, radii_mm: tuple[float, float]
) -> Mask:
    """Return ``n`` balls around random voxels of ``region``, clipped to it."""
    voxels = np.argwhere(region)
    centres = voxels[rng.integers(0, len(voxels), n)] * np.asarray(spacing)
    return balls(shape_of(region), spacing, centres, rng.uniform(*radii_mm, n)) & region


def shape_of(volume: NDArray[Any]) -> Voxel:
    """Return the shape of a volume, as a triple."""
    z, y, x = volume.shape
    return z, y, x
