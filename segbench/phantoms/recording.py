"""How each modality images the structures: intensity window, blur, noise, sector, bias field.

A modality is a function of a shape, a spacing and a random generator; it returns a `Recording`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segbench.core import Mask, Spacing, Voxel
from segbench.phantoms import anatomy
from segbench.phantoms.shapes import (
    Field,
    Rng,
    Structure,
    ellipsoidal_radius,
    paint,
    warped_points,
    waves,
)


@dataclass(frozen=True)
class Recording:
    """An image and the structures in it, in painting order."""

    voxels: NDArray[np.uint8]  # (z, y, x)
    structures: tuple[Structure, ...]


def ct(shape: Voxel, spacing: Spacing, rng: Rng) -> Recording:
    """Image a trunk (abdomen or chest) in HU with a soft-tissue window."""
    points = warped_points(shape, rng)
    trunk = ellipsoidal_radius(points, (0, 0.02, 0), (4, 0.72, 0.92))
    region = anatomy.abdomen if rng.random() < 0.6 else anatomy.chest
    structures = [
        Structure(trunk < 1, -100),  # skin and fat
        Structure(trunk < 0.9, 50),
        *region(points, spacing, rng),
        *anatomy.skeleton(points, trunk),
    ]
    density = paint(structures, shape)
    density[trunk >= 1] = -1000
    density = ndimage.gaussian_filter(density, (0.4, 0.6, 0.6))
    noise = ndimage.gaussian_filter(_normal_noise(shape, rng), (0.3, 0.7, 0.7))
    density += rng.uniform(20, 45) * noise
    width = rng.uniform(300, 420)
    return Recording(_to_uint8((density + width / 2 - 50) / width), tuple(structures))


def mr(shape: Voxel, spacing: Spacing, rng: Rng) -> Recording:
    """Image a head or a pelvis, T1 or T2 weighted, with a bias field and Rician noise.

    The signal is between 0 and 1 before the bias field.
    """
    points = warped_points(shape, rng)
    levels = anatomy.T1 if rng.random() < 0.5 else anatomy.T2
    region = anatomy.head if rng.random() < 0.6 else anatomy.pelvis
    structures = region(points, spacing, rng, levels)
    signal = ndimage.gaussian_filter(paint(structures, shape), (0.3, 0.5, 0.5))
    signal *= 1 + 0.06 * waves(shape, rng, cycles=8, n=12)
    signal *= np.exp(rng.uniform(0.1, 0.3) * waves(shape, rng, cycles=0.6, n=3))
    sigma = rng.uniform(0.02, 0.06)
    magnitude = np.hypot(
        signal + sigma * _normal_noise(shape, rng), sigma * _normal_noise(shape, rng)
    )
    return Recording(_to_uint8(magnitude / np.percentile(magnitude, 99.5)), tuple(structures))


def pet(shape: Voxel, spacing: Spacing, rng: Rng) -> Recording:
    """Image tracer uptake in SUV: organs and hot lesions, low resolution, few counts."""
    points = warped_points(shape, rng)
    structures = anatomy.uptake(points, spacing, rng)
    uptake = ndimage.gaussian_filter(paint(structures, shape), 1.0)
    counts = rng.uniform(1, 4)  # per SUV and voxel
    measured = rng.poisson(counts * uptake).astype(np.float32) / np.float32(counts)
    measured = ndimage.gaussian_filter(measured, 0.7)
    return Recording(_to_uint8(measured / np.percentile(measured, 99.7)), tuple(structures))


def us(shape: Voxel, spacing: Spacing, rng: Rng) -> Recording:
    """Image a heart or a mass in a sector with speckle and an acoustic shadow.

    Levels are in dB below the brightest echo.
    """
    points = warped_points(shape, rng)
    points[2] *= rng.choice(anatomy.SIDES)
    cone, angle, depth = _sector(shape, rng)
    structures = (anatomy.chambers if rng.random() < 0.5 else anatomy.mass)(points, rng)
    echoes = paint([Structure(cone, -22), *structures], shape)
    echoes += 1.5 * waves(shape, rng, cycles=4)
    centre = rng.uniform(-0.4, 0.4)
    echoes[(np.abs(angle - centre) < rng.uniform(0.03, 0.07)) & (depth > 0.8)] -= 14
    echoes -= 5 * depth
    image = (ndimage.gaussian_filter(echoes, 0.6) + 20 * np.log10(_speckle(shape, rng)) + 52) / 52
    image[~cone] = 0
    visible = tuple(_crop_structure(cone, structure) for structure in structures)
    return Recording(_to_uint8(image), visible)


def _sector(shape: Voxel, rng: Rng) -> tuple[Mask, Field, Field]:
    """Return the mask of the sector, and the angle and depth of each voxel."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    down = y + np.float32(1.25)
    angle, depth = np.arctan2(x, down), np.hypot(np.hypot(x, down), 0.5 * z)
    opening = rng.uniform(0.5, 0.68)
    cone = (np.abs(angle) < opening) & (depth > 0.35) & (depth < 2.15)
    return cone & (np.abs(z) < 0.45 + 0.35 * down), angle, depth


def _speckle(shape: Voxel, rng: Rng) -> Field:
    """Return the envelope of echoes of random phase, finer in depth than laterally; mean 1."""
    waves_in, waves_out = (
        ndimage.gaussian_filter(_normal_noise(shape, rng), (0.9, 0.6, 1.2)) for _ in range(2)
    )
    envelope = np.hypot(waves_in, waves_out) + np.float32(1e-3)
    return np.asarray(envelope / envelope.mean(), np.float32)


def _crop_structure(cone: Mask, structure: Structure) -> Structure:
    return Structure(structure.mask & cone, structure.level, structure.target, part=structure.part)


def microscopy(shape: Voxel, spacing: Spacing, rng: Rng) -> Recording:
    """Image photon counts of many bright cells on a dark background; a few are targets."""
    owner, distance = anatomy.packed_cells(shape, spacing, rng)
    centred = np.where(owner > 0, distance, 0)
    hollow = rng.random() < 0.4  # a stained membrane instead of a stained nucleus
    stain = 0.2 + 0.8 * centred**4 if hollow else 1 - 0.35 * centred**2
    brightness = np.append(0, rng.uniform(25, 70, int(owner.max())))
    photons = brightness[owner] * stain * (1 + 0.2 * waves(shape, rng, cycles=10))
    focus = ndimage.gaussian_filter(photons, (1.2, 0.8, 0.8))
    haze = ndimage.gaussian_filter(photons, (4, 6, 6))
    counts = rng.poisson(np.clip(focus + 0.5 * haze + 4, 0, None)) + 1.5 * _normal_noise(shape, rng)
    image = (counts - 3) / (np.percentile(counts, 99.8) - 3)
    return Recording(_to_uint8(image), tuple(anatomy.target_cells(owner, rng)))


def _normal_noise(shape: Voxel, rng: Rng) -> Field:
    return rng.standard_normal(shape, dtype=np.float32)


def _to_uint8(image: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Convert an image between 0 and 1 to the challenge's 8 bits."""
    grey: NDArray[np.uint8] = (255 * np.clip(image, 0, 1)).astype(np.uint8)
    return grey
