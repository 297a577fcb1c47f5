"""The structures in a phantom: of a trunk, a head, a pelvis, a heart, or many cells.

The anatomy is simplified: it has outlines, neighbours and contrasts that a segmentation model has
to distinguish. Levels are in the unit of the modality that images the region.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segbench.core import Spacing, Voxel
from segbench.phantoms.shapes import (
    Field,
    Rng,
    Structure,
    ellipsoidal_radius,
    ellipsoids,
    scattered_balls,
    shape_of,
    vessel_tree,
    waves,
)

SIDES = (-1, 1)

# MR signal between 0 and 1, by weighting
T1 = {"fat": 0.9, "bone": 0.08, "fluid": 0.15, "grey": 0.45, "white": 0.65, "lesion": 0.35}
T2 = {"fat": 0.65, "bone": 0.06, "fluid": 0.95, "grey": 0.6, "white": 0.42, "lesion": 0.75}


def abdomen(points: Field, spacing: Spacing, rng: Rng) -> list[Structure]:
    """Return the organs of an abdomen, in HU, with vessels and lesions in them."""
    shape = shape_of(points[0])
    enhanced = rng.uniform(0.3, 1)  # contrast enhancement of organs and vessels
    liver = ellipsoidal_radius(points, (-0.2, -0.08, -0.4), (0.9, 0.42, 0.4), rotation=0.3) < 1
    spleen = ellipsoidal_radius(points, (-0.3, 0.15, 0.6), (0.6, 0.28, 0.16), rotation=-0.4) < 1
    kidneys = [
        ellipsoidal_radius(points, (0.2, 0.3, side * 0.42), (0.55, 0.19, 0.15), rotation=side * 0.5)
        for side in SIDES
    ]
    stomach = ellipsoidal_radius(points, (-0.1, -0.3, 0.35), (0.6, 0.2, 0.3), rotation=-0.5)
    vessels = vessel_tree(shape, spacing, rng, radius_mm=4.0)
    lesions = scattered_balls(liver, spacing, rng, n=int(rng.integers(1, 5)), radii_mm=(4, 8))
    gas = (stomach < 0.8) & (points[1] < -0.32)
    vessels &= ~gas & (ellipsoidal_radius(points, (0, 0, 0), (9, 0.55, 0.75)) < 1)
    return [
        Structure(stomach < 1, 45, target=True),
        Structure(gas, -700, part=True),
        Structure(liver, 60 + 50 * enhanced, target=True),
        Structure(spleen, 60 + 65 * enhanced, target=True),
        *(Structure(kidney < 1, 50 + 130 * enhanced, target=True) for kidney in kidneys),
        *(Structure(kidney < 0.5, 50 + 60 * enhanced, part=True) for kidney in kidneys),
        Structure(vessels, 70 + 150 * enhanced, target=True, compact=False, part=True),
        Structure(lesions, 60 - 10 * enhanced, target=True, compact=False, part=True),
    ]


def chest(points: Field, spacing: Spacing, rng: Rng) -> list[Structure]:
    """Return lungs, heart and great vessels, in HU, with a nodule."""
    shape = shape_of(points[0])
    lungs = [
        ellipsoidal_radius(points, (0, 0, side * 0.44), (1.4, 0.52, 0.33), rotation=side * 0.1) < 1
        for side in SIDES
    ]
    both = lungs[0] | lungs[1]
    heart = ellipsoidal_radius(points, (0.2, -0.12, 0.12), (0.7, 0.34, 0.3), rotation=0.5)
    aorta = ellipsoidal_radius(points, (0, 0.25, 0.12), (9, 0.11, 0.11)) < 1
    trachea = ellipsoidal_radius(points, (-1, 0, 0), (1.0, 0.08, 0.09)) < 1
    vessels = vessel_tree(shape, spacing, rng, radius_mm=3.5, forks=5) & both & (heart >= 1)
    nodule = scattered_balls(both, spacing, rng, n=1, radii_mm=(6, 11))
    return [
        *(Structure(lung, -800, target=True) for lung in lungs),
        Structure(vessels, 40, target=True, compact=False, part=True),
        Structure(nodule, rng.uniform(-60, 40), target=True, part=True),
        Structure(heart < 1, 90, target=True),
        Structure(heart < 0.6, rng.uniform(110, 220), target=True, part=True),
        Structure(aorta, rng.uniform(100, 250), target=True),
        Structure(trachea, -900, target=True),
    ]


def skeleton(points: Field, trunk: Field) -> list[Structure]:
    """Return a spine and ribs, in HU; the bones have no box, they extend over the whole trunk."""
    spine = ellipsoidal_radius(points, (0, 0.48, 0), (9, 0.15, 0.17)) < 1
    canal = ellipsoidal_radius(points, (0, 0.6, 0), (9, 0.05, 0.06)) < 1
    process = ellipsoidal_radius(points, (0, 0.64, 0), (9, 0.12, 0.06)) < 1
    disc = np.sin(points[0] * 9) > 0.85
    # ribs are oblique, so a slice shows short arcs of each
    slant = np.sin(9 * points[0] + 8 * points[1])
    ribs = (np.abs(trunk - 0.84) < 0.03) & (slant > 0.7)
    bones = (spine & ~disc) | process | ribs
    return [
        Structure(disc & spine, 90),
        Structure(bones, 380, target=True, compact=False),
        Structure(canal, 30),
    ]


def head(points: Field, spacing: Spacing, rng: Rng, levels: dict[str, float]) -> list[Structure]:
    """Return a head with folds, ventricles, deep nuclei, small lesions and a ring-like tumour."""
    shape = shape_of(points[0])
    outline = ellipsoidal_radius(points, (0.15, 0, 0), (1.25, 0.88, 0.74))
    cortex = (outline + 0.02 * waves(shape, rng, cycles=7) < 0.81) & (outline < 0.85)
    white = outline + 0.06 * waves(shape, rng, cycles=6, n=10) < 0.64
    horns = [
        ellipsoidal_radius(points, (0, -0.05, side * 0.13), (0.4, 0.34, 0.08), rotation=side * 0.25)
        < 1
        for side in SIDES
    ]
    nuclei = [
        ellipsoidal_radius(
            points, (0.1, -0.05, side * 0.3), (0.35, 0.2, 0.09), rotation=-side * 0.3
        )
        < 1
        for side in SIDES
    ]
    side = rng.choice(SIDES)
    centre = (rng.uniform(-0.2, 0.2), rng.uniform(0.15, 0.35), side * rng.uniform(0.25, 0.35))
    tumour = ellipsoidal_radius(points, centre, (0.35, 0.2, 0.17)) + 0.15 * waves(
        shape, rng, cycles=3
    )
    spots = scattered_balls(white, spacing, rng, n=int(rng.integers(12, 25)), radii_mm=(1.5, 3))
    grey = 0.5 * (levels["grey"] + levels["white"])
    return [
        Structure(outline < 1, levels["fat"]),
        Structure(outline < 0.92, levels["bone"]),
        Structure(outline < 0.86, levels["fluid"]),
        Structure(cortex, levels["grey"]),
        Structure(white, levels["white"], target=True),
        *(Structure(nucleus, grey, target=True) for nucleus in nuclei),
        Structure(horns[0] | horns[1], levels["fluid"], target=True),
        Structure(spots, levels["lesion"], target=True, compact=False, part=True),
        Structure((tumour < 1.25) & cortex, levels["lesion"], target=True),
        Structure((tumour < 0.8) & cortex, rng.uniform(0.3, 1), target=True, part=True),
    ]


def pelvis(points: Field, spacing: Spacing, rng: Rng, levels: dict[str, float]) -> list[Structure]:
    """Return a pelvis with nested and touching organs."""
    shape = shape_of(points[0])
    body = ellipsoidal_radius(points, (0, 0, 0), (5, 0.78, 0.95))
    hips = [
        ellipsoidal_radius(points, (0.1, 0.02, side * 0.55), (0.7, 0.24, 0.2)) < 1 for side in SIDES
    ]
    bladder = ellipsoidal_radius(points, (-0.45, -0.22, 0), (0.6, 0.26, 0.3))
    gland = ellipsoidal_radius(points, (0.25, 0.08, 0), (0.5, 0.22, 0.24))
    core = ellipsoidal_radius(points, (0.2, 0.03, 0), (0.4, 0.14, 0.16)) < 1
    rectum = ellipsoidal_radius(points, (0, 0.45, 0.02), (9, 0.15, 0.14))
    vessels = vessel_tree(shape, spacing, rng, radius_mm=3.2)
    muscle = 0.6 * levels["grey"]
    return [
        Structure(body < 1, levels["fat"]),
        Structure(body < 0.84 + 0.05 * waves(shape, rng, cycles=3), muscle),
        *(Structure(hip, 0.8 * levels["fat"], target=True) for hip in hips),
        Structure(vessels & (body < 0.8), 0.95, target=True, compact=False),
        Structure(rectum < 1, levels["grey"], target=True),
        Structure(rectum < 0.6, 0.05, part=True),
        Structure(bladder < 1, muscle),
        Structure(bladder < 0.9, levels["fluid"], target=True),
        Structure(gland < 1, levels["lesion"], target=True),
        Structure(core, levels["grey"], target=True),
    ]


def uptake(points: Field, spacing: Spacing, rng: Rng) -> list[Structure]:
    """Return tracer uptake in a body, in SUV: organs, a heart wall and three lesions."""
    body = ellipsoidal_radius(points, (0, 0, 0), (3, 0.7, 0.85)) < 1
    liver = ellipsoidal_radius(points, (0, -0.05, -0.35), (0.5, 0.38, 0.35), rotation=0.3) < 1
    heart = ellipsoidal_radius(points, (-0.65, -0.2, 0.25), (0.28, 0.3, 0.26))
    kidneys = [
        ellipsoidal_radius(points, (0.35, 0.3, side * 0.38), (0.3, 0.18, 0.13)) < 1
        for side in SIDES
    ]
    bladder = ellipsoidal_radius(points, (0.9, -0.2, 0.05), (0.25, 0.2, 0.25)) < 1
    organs = [liver, heart < 1, *kidneys, bladder]
    inside = ndimage.binary_erosion(body, iterations=4) & ~np.any(organs, axis=0)
    lesions = []
    for _ in range(3):
        lesions.append(scattered_balls(inside, spacing, rng, n=1, radii_mm=(9, 17)))
        inside &= ~lesions[-1]
    return [
        Structure(body, rng.uniform(0.5, 0.9)),
        Structure(liver, rng.uniform(1.8, 3), target=True),
        Structure((heart < 1) & (heart > 0.55), rng.uniform(3, 7), target=True),
        *(Structure(kidney, rng.uniform(3, 5), target=True) for kidney in kidneys),
        Structure(bladder, rng.uniform(6, 9), target=True),
        *(Structure(lesion, rng.uniform(4, 9), target=True) for lesion in lesions),
    ]


def chambers(points: Field, rng: Rng) -> list[Structure]:
    """Return a heart in dB: dark chambers, one of them with a bright wall."""
    rotation = rng.uniform(-0.3, 0.3)
    left = ellipsoidal_radius(points, (0, 0.0, -0.12), (0.62, 0.6, 0.36), rotation=rotation)
    right = (
        ellipsoidal_radius(points, (0.05, -0.05, 0.42), (0.55, 0.45, 0.24), rotation=rotation) < 1
    )
    atrium = ellipsoidal_radius(points, (0, 0.62, -0.1), (0.5, 0.2, 0.28)) < 1
    return [
        Structure(right, -44, target=True),
        Structure(atrium, -46, target=True),
        Structure(left < 1, -14, target=True),
        Structure(left < 0.7, -46, target=True),
    ]


def mass(points: Field, rng: Rng) -> list[Structure]:
    """Return layered tissue in dB with a faint mass, a bright core and a cyst."""
    layers = np.sin(14 * points[1] + 2 * points[2]) > 0.7
    z, y, x = rng.uniform((-0.15, -0.2, -0.2), (0.15, 0.15, 0.0))
    rotation = rng.uniform(-0.5, 0.5)
    lesion = ellipsoidal_radius(
        points, (z, y, x), (0.55, *rng.uniform(0.24, 0.36, 2)), rotation=rotation
    )
    core = ellipsoidal_radius(points, (z, y, x - 0.05), (0.25, 0.1, 0.12)) < 1
    radii = (0.4, *rng.uniform(0.14, 0.22, 2))
    cyst = ellipsoidal_radius(points, (z + 0.1, y + 0.3, x + rng.uniform(0.25, 0.5)), radii) < 1
    return [
        Structure(layers, -17),
        Structure(lesion < 1, -rng.uniform(28, 36), target=True),
        Structure(core, -18, target=True, part=True),
        Structure(cyst, -48, target=True),
    ]


def packed_cells(shape: Voxel, spacing: Spacing, rng: Rng) -> tuple[NDArray[np.int32], Field]:
    """Return touching cells without overlap: each voxel's cell number and its distance.

    The distance is 0 in the centre of a cell and 1 on its surface.
    """
    radius_mm = rng.uniform(7, 10)
    cell_voxels = 4.2 * radius_mm**3 / np.prod(spacing)
    n = int(rng.uniform(0.3, 0.6) * np.prod(shape) / cell_voxels)
    radii = rng.uniform(0.7, 1.2, (n, 3)) * radius_mm / np.asarray(spacing)
    axes = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0] if len(set(spacing)) == 1 else None
    return ellipsoids(shape, rng.uniform(0, shape, (n, 3)), radii, axes)


def target_cells(owner: NDArray[np.int32], rng: Rng, *, n: int = 8) -> list[Structure]:
    """Return the ``n`` cells nearest to a random point near the middle, without fragments."""
    sizes = np.bincount(owner.ravel())
    cells = np.flatnonzero(sizes > 0.4 * np.median(sizes[1:]))[1:]
    centres = np.array(ndimage.center_of_mass(owner > 0, owner, cells))
    middle = np.asarray(owner.shape) * rng.uniform(0.35, 0.65, 3)
    nearest = np.argsort(np.linalg.norm(centres - middle, axis=1))[:n]
    return [Structure(owner == cell, 1, target=True) for cell in cells[nearest]]
