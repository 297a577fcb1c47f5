"""The structures in a phantom, and how each modality shows them: blur, noise, sector, bias field.

Coordinates are from -1 to 1 along every axis, so that a scene fills a volume of any shape. Levels
are mean intensities; 1 is the brightest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from segbench.core import Mask, Voxel

Field = NDArray[np.floating[Any]]
Rng = np.random.Generator


@dataclass(frozen=True)
class Structure:
    """A structure; later ones are painted over earlier ones. Only a target can have a label."""

    mask: Mask
    level: float
    target: bool = True


def make_scene(
    modality: str, shape: Voxel, rng: Rng, *, with_boxes: bool = True
) -> tuple[NDArray[np.uint8], list[Structure]]:
    """Return an image and the structures in it, in the order in which they are painted."""
    structures = cells(shape, rng) if modality == "Microscopy" else body(shape, rng, with_boxes)
    if modality == "US":
        seen = sector(shape)
        structures = [replace(each, mask=each.mask & seen) for each in structures]
    levels = np.zeros(shape, np.float32)
    for structure in structures:
        levels[structure.mask] = structure.level
    image = MODALITIES[modality](ndimage.gaussian_filter(levels, 0.5), rng)
    image *= 255 / np.percentile(image, 99.5)
    return np.clip(image, 0, 255).astype(np.uint8), structures


def body(shape: Voxel, rng: Rng, with_boxes: bool) -> list[Structure]:
    """Return a body with organs and, as thin structures, two vessel trees and lesions.

    With boxes the organs are the targets, and they are painted over the thin structures; without
    boxes it is the other way round.
    """
    points = [axis + 0.03 * waves(shape, rng, cycles=1.6) for axis in coordinates(shape)]
    outline = radius(points, (0, 0, 0), (3, 0.8, 0.92)) < 1
    muscle = rng.uniform(0.3, 0.4)
    shift = rng.uniform(0, 2 * np.pi)
    organs = []
    for angle in shift + np.arange(6) * np.pi / 3 + rng.uniform(-0.2, 0.2, 6):
        centre = (rng.uniform(-0.3, 0.3), 0.45 * np.sin(angle), 0.5 * np.cos(angle))
        radii = rng.uniform((0.35, 0.18, 0.18), (0.6, 0.28, 0.32))
        level = muscle + rng.choice((-1, 1)) * rng.uniform(0.08, 0.25)
        organs.append(Structure(radius(points, centre, radii) < 1, level, with_boxes))
    trunks = [waves(shape, rng, cycles=2.5) for _ in range(3)]
    thin = [
        Structure(outline & (np.hypot(trunks[0], trunks[1]) < 0.3), 0.75, not with_boxes),
        Structure(outline & (np.hypot(trunks[1], trunks[2]) < 0.25), 0.55, not with_boxes),
        Structure(outline & (waves(shape, rng, cycles=3.5) > 2.2), 0.1, not with_boxes),
    ]
    parts = [*thin, *organs] if with_boxes else [*organs, *thin]
    return [Structure(outline, muscle, target=False), *parts]


def cells(shape: Voxel, rng: Rng, *, n_targets: int = 8) -> list[Structure]:
    """Return many touching cells; those nearest to the middle are the targets."""
    n = int(np.prod(shape) / 6000)
    tree = spatial.KDTree(rng.uniform(0, shape, (n, 3)))
    distances, owners = map(np.asarray, tree.query(np.moveaxis(np.indices(shape), 0, -1)))
    owners[distances > rng.uniform(7, 12, n)[owners]] = n
    middle = rng.uniform(0.4, 0.6, 3) * shape
    targets = set(np.ravel(tree.query(middle, k=n_targets)[1]))
    return [Structure(owners == cell, rng.uniform(0.4, 1), cell in targets) for cell in range(n)]


def coordinates(shape: Voxel) -> tuple[Field, Field, Field]:
    """Return z, y and x of each voxel, from -1 to 1."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    return z, y, x


def radius(points: Sequence[Field], centre: Sequence[float], radii: Iterable[float]) -> Field:
    """Return the distance from a centre in units in which it is 1 on the ellipsoid's surface."""
    scaled = ((p - c) / r for p, c, r in zip(points, centre, radii, strict=True))
    return np.sqrt(sum(each**2 for each in scaled))


def waves(shape: Voxel, rng: Rng, *, cycles: float, n: int = 6) -> Field:
    """Return a smooth random field of mean 0 and variance 1: a sum of ``n`` plane waves.

    ``cycles`` is the number of periods along one axis.
    """
    total = np.zeros(shape, np.float32)
    for _ in range(n):
        direction = rng.normal(size=3)
        rates = 2j * np.pi * cycles * direction / np.linalg.norm(direction)
        z, y, x = (
            np.exp(rate * np.linspace(0, 1, m)) for rate, m in zip(rates, shape, strict=True)
        )
        plane = np.exp(1j * rng.uniform(0, 2 * np.pi)) * z[:, None] * y
        total += (plane[..., None].astype(np.complex64) * x.astype(np.complex64)).real
    return total * np.float32(np.sqrt(2 / n))


def ct(levels: Field, rng: Rng) -> Field:
    """Return the levels with smooth noise."""
    return levels + 0.12 * ndimage.gaussian_filter(rng.normal(size=levels.shape), (0.3, 0.7, 0.7))


def mr(levels: Field, rng: Rng) -> Field:
    """Return the levels with a bias field and Rician noise."""
    bias = np.exp(0.2 * waves(levels.shape, rng, cycles=0.6))
    noise = rng.normal(0, 0.04, (2, *levels.shape))
    magnitude: Field = np.hypot(levels * bias + noise[0], noise[1])
    return magnitude


def pet(levels: Field, rng: Rng) -> Field:
    """Return the levels at a low resolution and with few counts."""
    counts = rng.poisson(8 * ndimage.gaussian_filter(levels, 1.0))
    return ndimage.gaussian_filter(counts.astype(np.float32), 0.7)


def us(levels: Field, rng: Rng) -> Field:
    """Return the levels in a sector, with speckle."""
    echoes: Field = ndimage.gaussian_filter(rng.normal(size=(2, *levels.shape)), (0, 0.9, 0.6, 1.2))
    speckle: Field = np.hypot(*echoes)
    return levels * speckle * sector(levels.shape)


def sector(shape: Voxel) -> Mask:
    """Return the part of a volume that an ultrasound probe at its top sees."""
    _, y, x = coordinates(shape)
    seen: Mask = (np.abs(np.arctan2(x, y + 1.25)) < 0.6) & (np.hypot(x, y + 1.25) > 0.3)
    return seen


def microscopy(levels: Field, rng: Rng) -> Field:
    """Return photon counts of the levels with haze from out of focus."""
    haze = ndimage.gaussian_filter(levels, (4, 6, 6))
    return rng.poisson(40 * (levels + 0.3 * haze)).astype(np.float32)


MODALITIES: dict[str, Callable[[Field, Rng], Field]] = {
    "CT": ct,
    "MR": mr,
    "PET": pet,
    "US": us,
    "Microscopy": microscopy,
}
