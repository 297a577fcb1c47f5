"""What a seed decides of a generated scene: objects, places, contrasts, the modality.

Coordinates are patch voxels relative to the centre of the patch, (z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..crop import FloatArray

Vector = NDArray[np.float64]
MAX_REGIONS = 6
MODALITIES = ("ct", "mr", "ultrasound", "emission")


@dataclass(frozen=True)
class ObjectParameters:
    """One object: where it is, its shape, its brightness."""

    centre: Vector
    turn: Vector  # (3, 3): rotation, for a blob divided by its half axes
    noise: FloatArray  # coarse, for the rough surface and, mirrored, for the texture
    cells: int
    roughness: float = 0.0
    power: float = 2.0  # of the superellipsoid: 2 round, 5 box-like
    tube: tuple[float, ...] | None = None  # length, width, sways, phases, speeds; None: a blob
    hollow: float = 0.0  # thickness of the wall of a hollow object, relative to its half axes
    brightness: float = 0.0
    contrast: float | None = None  # to the surroundings, instead of the brightness
    core: tuple[float, float] | None = None  # depth and brightness of a different core
    texture: float = 0.0
    inside_of: int | None = None  # index of the object that contains this one
    competes: bool = False  # takes only voxels that no earlier object claims more


@dataclass(frozen=True)
class RenderParameters:
    """How the scene becomes an image."""

    modality: str
    blur: float  # voxels, as all the blurs
    noise: float
    noise_blur: float
    bias: float
    bias_cells: int
    bias_noise: FloatArray
    photons: float
    last_blur: float
    thick_axis: int
    thick_slices: int
    tail: float  # share of voxels that is clipped at either end
    gamma: float
    scale: float  # jitter of the z-score: statistics of a volume differ from those of a patch
    shift: float
    padding: tuple[int, bool, float] | None  # axis, far side, share of the free slices


@dataclass(frozen=True)
class SceneParameters:
    """A generated scene; ``target`` is the object to segment."""

    objects: tuple[ObjectParameters, ...]
    target: int
    min_voxels: int  # of the target; a scene with fewer or more is drawn again
    max_voxels: int
    warp: float
    warp_cells: int
    warp_noise: FloatArray
    levels: FloatArray  # brightness of the background regions
    region_cells: int
    region_noise: FloatArray
    texture_cells: int
    texture_noise: FloatArray
    render: RenderParameters
    noise_seed: int
