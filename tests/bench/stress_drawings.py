"""Drawings of stress scenes: levels in which one object is large, tiny or faint."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segbench.core import Mask, Spacing, Voxel
from segbench.phantoms.scene import Field, coordinates, radius, waves
from tests.bench.scene_parts import TISSUE

TINY_SIZE = 30, 100  # voxels in all
SHAPE = (48, 112, 112)
LARGE_SHAPE = (96, 280, 280)

Rng = np.random.Generator


@dataclass(frozen=True)
class Drawing:
    """Levels with one object, and the modality that will show them."""

    modality: str
    levels: Field
    mask: Mask
    spacing: Spacing


def lung(rng: Rng, seed: int) -> Drawing:
    """Return a dark organ with bright vessels in it, dented by a ball, in a body with its twin."""
    points = _warped(LARGE_SHAPE, rng, 0.04, cycles=2.0)
    body = radius(points, (0, 0, 0), (3, 0.95, 0.98)) < 1
    side = rng.uniform(170, 230) / LARGE_SHAPE[1]
    radii = (rng.uniform(0.7, 0.95), side, rng.uniform(0.45, 0.55) * side)
    dent = radius(points, (0.1, 0, 0), rng.uniform(0.25, 0.4, 3) + (0.3, 0, 0)) < 1
    left, right = ((radius(points, (0, 0, x), radii) < 1) & ~dent for x in (-0.45, 0.45))
    trunks = [waves(LARGE_SHAPE, rng, cycles=5) for _ in range(2)]
    levels = np.where(body, np.float32(TISSUE), np.float32(0))
    levels[left | right] = 0.12
    levels[(left | right) & (np.hypot(*trunks) < 0.25)] = TISSUE
    return Drawing("CT", levels, left, (2.5, 0.8, 0.8))


def large_organ(rng: Rng, seed: int) -> Drawing:
    """Return a smooth organ between neighbours, most of a similar level."""
    points = _warped(LARGE_SHAPE, rng, 0.05, cycles=2.0)
    return _between_neighbours(points, rng, ("CT", "MR", "Microscopy")[seed % 3])


def large_lobed(rng: Rng, seed: int) -> Drawing:
    """Return the same with a surface of folds, 15 to 40 voxels apart."""
    points = _warped(LARGE_SHAPE, rng, 0.03, cycles=rng.uniform(5, 9))
    return _between_neighbours(points, rng, ("MR", "Microscopy", "CT")[seed % 3])


def lesion(rng: Rng, seed: int) -> Drawing:
    """Return a hot spot in PET, with hot organs elsewhere."""
    levels = rng.uniform(0.12, 0.25) * (1 + 0.2 * waves(SHAPE, rng, cycles=3))
    mask = _ball(rng)
    for _ in range(3):
        organ = radius(coordinates(SHAPE), rng.uniform(-0.9, 0.9, 3), rng.uniform(0.2, 0.4, 3)) < 1
        levels[organ & ~ndimage.binary_dilation(mask, iterations=6)] = rng.uniform(0.4, 1.0)
    levels[mask] = rng.uniform(0.7, 1.2)
    return Drawing("PET", levels, mask, (4.0, 4.0, 4.0))


def nodule(rng: Rng, seed: int) -> Drawing:
    """Return a bright nodule among vessels of its level, in CT."""
    trunks = [waves(SHAPE, rng, cycles=4) for _ in range(2)]
    mask = _ball(rng)
    levels = np.where(np.hypot(*trunks) < 0.25, np.float32(TISSUE), np.float32(0.12))
    levels[ndimage.binary_dilation(mask, iterations=2)] = 0.12
    levels[mask] = TISSUE
    return Drawing("CT", levels, mask, (2.0, 1.0, 1.0))


def spot(rng: Rng, seed: int) -> Drawing:
    """Return a spot in MR, darker or brighter than the uneven tissue around it."""
    mask = _ball(rng)
    levels = TISSUE + 0.04 * waves(SHAPE, rng, cycles=3)
    levels[mask] += rng.choice((-1, 1)) * rng.uniform(0.2, 0.35)
    return Drawing("MR", levels, mask, (2.0, 1.0, 1.0))


def faint_organ(rng: Rng, seed: int) -> Drawing:
    """Return a tilted organ that touches another one of nearly its level."""
    z, y, x = _warped(SHAPE, rng, 0.03, cycles=1.6)
    tilt = rng.uniform(0.5, 0.9) * rng.choice((-1, 1))
    mask = (
        radius((z, y + tilt * z, x), (0, 0, 0), rng.uniform((0.6, 0.3, 0.4), (0.8, 0.4, 0.6))) < 1
    )
    other = radius((z, y, x), (0, rng.choice((-0.6, 0.6)), 0.2), rng.uniform(0.35, 0.5, 3)) < 1
    return _faint(mask, other, rng, seed)


def faint_bent(rng: Rng, seed: int) -> Drawing:
    """Return a bent tube whose box contains mostly what it bends around."""
    z, y, x = _warped(SHAPE, rng, 0.03, cycles=1.6)
    around = (np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)) % (2 * np.pi)
    width = rng.uniform(0.14, 0.2)
    ring = np.hypot((np.hypot(y, x) - rng.uniform(0.4, 0.55)) / width, z / rng.uniform(0.3, 0.6))
    mask = _largest_part((ring < 1) & (around < rng.uniform(1.1, 1.5) * np.pi))
    return _faint(mask, np.hypot(y, x) < 0.2, rng, seed)


def faint_small(rng: Rng, seed: int) -> Drawing:
    """Return an uneven ball of 600 to 3,000 voxels that touches one of nearly its level."""
    z, y, x = _warped(SHAPE, rng, 0.02, cycles=4)
    centre, radii = rng.uniform(-0.4, 0.4, 3), rng.uniform((0.2, 0.1, 0.1), (0.35, 0.18, 0.18))
    mask = _largest_part(radius((z, y, x), centre, radii) < 1)
    aside = centre + (0, rng.choice((-1, 1)) * 2 * radii[1], 0)
    return _faint(mask, radius((z, y, x), aside, radii) < 1, rng, seed)


def _warped(shape: Voxel, rng: Rng, by: float, *, cycles: float) -> list[Field]:
    return [axis + by * waves(shape, rng, cycles=cycles) for axis in coordinates(shape)]


def _between_neighbours(points: list[Field], rng: Rng, modality: str) -> Drawing:
    """Return a large organ that four others touch, drawn where it is not."""
    side = rng.uniform(180, 220) / LARGE_SHAPE[1]
    radii = np.array([rng.uniform(0.6, 0.8), side, rng.uniform(0.6, 0.9) * side])
    mask = radius(points, (0, 0, 0), radii if rng.random() < 0.5 else radii[[0, 2, 1]]) < 1
    contrast = rng.choice((-1, 1)) * rng.uniform(0.12, 0.25)
    levels = TISSUE + 0.05 * waves(LARGE_SHAPE, rng, cycles=3)
    for angle in rng.uniform(0, 2 * np.pi) + np.arange(4) * np.pi / 2:
        centre = (rng.uniform(-0.3, 0.3), 0.8 * np.sin(angle), 0.8 * np.cos(angle))
        neighbour = radius(points, centre, rng.uniform(0.25, 0.45, 3)) < 1
        levels[neighbour] = TISSUE + rng.uniform(-0.5, 0.5) * contrast
    mask = _largest_part(mask)
    levels[mask] = TISSUE + contrast
    return Drawing(modality, levels, mask, (2.0, 0.9, 0.9))


def _largest_part(mask: Mask) -> Mask:
    parts, _ = ndimage.label(mask)
    largest: Mask = parts == np.bincount(parts[mask]).argmax()
    return largest


def _ball(rng: Rng) -> Mask:
    """Return an uneven ball of exactly a tiny object's size, not near the volume's border."""
    centre = rng.uniform(0.25, 0.75, 3) * SHAPE
    points = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    distances = radius(points, centre, rng.uniform(0.8, 1.25, 3))
    distances *= 1 + 0.1 * waves(SHAPE, rng, cycles=8)
    size = int(rng.integers(*TINY_SIZE, endpoint=True))
    mask = np.zeros(SHAPE, bool)
    mask.flat[np.argsort(distances, axis=None, kind="stable")[:size]] = True
    return mask


def _faint(mask: Mask, other: Mask, rng: Rng, seed: int) -> Drawing:
    """Draw a faint object over another one of nearly its level."""
    contrast = rng.choice((-1, 1)) * rng.uniform(0.05, 0.09)
    levels = TISSUE + 0.02 * waves(SHAPE, rng, cycles=2)
    levels[other] += rng.uniform(0.5, 1) * contrast
    levels[mask & ~other] += contrast
    levels[mask & other] += contrast * rng.uniform(0, 0.4)
    return Drawing(("CT", "MR")[seed % 2], levels, mask, (2.0, 1.0, 1.0))


LARGE: dict[str, Callable[[Rng, int], Drawing]] = {
    "largelung": lung,
    "largeorgan": large_organ,
    "largelobed": large_lobed,
}
TINY: dict[str, Callable[[Rng, int], Drawing]] = {
    "tinylesion": lesion,
    "tinynodule": nodule,
    "tinyspot": spot,
}
FAINT: dict[str, Callable[[Rng, int], Drawing]] = {
    "faintorgan": faint_organ,
    "faintbent": faint_bent,
    "faintsmall": faint_small,
}
