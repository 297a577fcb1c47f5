"""Shapes of generated scenes: signed fields over a patch, positive inside.

A field is evaluated on ``coordinates``, a (3, z, y, x) tensor of voxel positions relative to the
centre of the patch, warped by a smooth random deformation.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Vector = NDArray[np.float64]


def smooth_noise(rng: np.random.Generator, patch: int, cells: int, channels: int = 1) -> Tensor:
    """Return (channels, z, y, x) of smooth, unit-variance noise from ``cells`` values per axis."""
    coarse = torch.from_numpy(rng.standard_normal((1, channels, cells, cells, cells), np.float32))
    fine = F.interpolate(coarse, size=(patch,) * 3, mode="trilinear", align_corners=True)[0]
    return fine / (fine.std() + 1e-6)


def warped_coordinates(rng: np.random.Generator, patch: int) -> Tensor:
    """Return voxel positions relative to the centre, warped by up to a tenth of the patch."""
    axis = torch.arange(patch, dtype=torch.float32) - (patch - 1) / 2
    straight = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    strength = patch * float(rng.choice([0.0, 0.02, 0.05]))
    return straight + strength * smooth_noise(rng, patch, int(rng.integers(3, 7)), 3)


def rotation(rng: np.random.Generator) -> Vector:
    """Return a random rotation matrix."""
    orthogonal, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return np.asarray(orthogonal)


def blob(rng: np.random.Generator, coordinates: Tensor, centre: Vector, radii: Vector) -> Tensor:
    """Return a rotated superellipsoid with a rough surface, from round to box-like."""
    power = float(rng.choice([2, 2, 2, 3, 5]))
    roughness = float(rng.choice([0.0, 0.05, 0.12, 0.25]))
    turn = rotation(rng) / radii[:, None]
    offsets = coordinates - torch.tensor(centre, dtype=torch.float32).view(3, 1, 1, 1)
    local = torch.einsum("ij,jzyx->izyx", torch.tensor(turn, dtype=torch.float32), offsets)
    field = 1 - local.abs().pow(power).sum(0).pow(1 / power)
    if not roughness:
        return field
    return field + roughness * smooth_noise(rng, len(field), int(rng.integers(4, 11)))[0]


def tube(rng: np.random.Generator, coordinates: Tensor, centre: Vector, radii: Vector) -> Tensor:
    """Return a winding tube along the first axis, such as a spinal cord or a vessel."""
    length, width = float(radii.max()), float(radii.max() * rng.uniform(0.12, 0.4))
    z, y, x = coordinates - torch.tensor(centre, dtype=torch.float32).view(3, 1, 1, 1)
    sway, calibre = rng.uniform(0, 0.35, 2) * length, 1 + 0.25 * np.sin(rng.uniform(0, 6))
    phase, speed = rng.uniform(0, 6, 2), rng.uniform(0.5, 2.5, 2) / length
    across = y - float(sway[0]) * torch.sin(float(phase[0]) + float(speed[0]) * z)
    along = x - float(sway[1]) * torch.sin(float(phase[1]) + float(speed[1]) * z)
    inside = 1 - (across.square() + along.square()).sqrt() / (width * float(calibre))
    return torch.minimum(inside, (length - z.abs()) / width)


def region_map(rng: np.random.Generator, patch: int) -> Tensor:
    """Return a (z, y, x) map of 1 to 6 smooth background regions, labelled from 0."""
    fields = smooth_noise(rng, patch, int(rng.integers(3, 8)), int(rng.integers(1, 7)))
    return fields.argmax(0)
