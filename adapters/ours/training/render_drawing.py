"""Draw from a seed how a scene becomes an image: the modality, its blur, noise and artefacts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..crop import FloatArray
from .scene_parameters import MODALITIES, RenderParameters, Vector
from .separable import NOISE_GRID


@dataclass
class Draws:
    """A random generator, the patch, and the brightness of the background."""

    rng: np.random.Generator
    patch: int
    background: float = field(default=0.0)

    def noise(self, channels: int) -> FloatArray:
        """Draw coarse white noise, (channels, NOISE_GRID, NOISE_GRID, NOISE_GRID)."""
        grid = (channels, *(NOISE_GRID,) * 3)
        return np.asarray(self.rng.standard_normal(grid, np.float32))

    def cells(self, low: int, high: int) -> int:
        """Draw how many coarse values the patch spans: from ``low`` to below ``high``."""
        return int(self.rng.integers(low, high))

    def log_uniform(self, low: float, high: float) -> float:
        """Draw a number uniform on a logarithmic scale."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def near_middle(self) -> Vector:
        """Draw a position near the middle of the patch."""
        return np.asarray(self.rng.uniform(-0.06, 0.06, 3) * self.patch)

    def contrast(self) -> float:
        """Draw a difference in brightness to the surroundings, more often brighter."""
        sign = 1.0 if self.rng.random() < 0.6 else -1.0
        return sign * self.log_uniform(0.12, 0.7)


def draw_rendering(draw: Draws) -> RenderParameters:
    """Draw a modality and its blur, noise and artefacts."""
    rng, modality = draw.rng, MODALITIES[int(draw.rng.integers(len(MODALITIES)))]
    noise, noise_blur, bias, photons, last_blur = 0.0, 0.0, 0.0, 1.0, 0.0
    first_blur = float(rng.uniform(0, 1.0))
    if modality == "ct":  # additive noise, often correlated
        noise, noise_blur = draw.log_uniform(0.005, 0.12), float(rng.choice([0.0, 0.6]))
    elif modality == "mr":  # Rician noise, a bias field
        noise, bias = draw.log_uniform(0.005, 0.1), float(rng.uniform(0.05, 0.35))
    elif modality == "ultrasound":  # multiplicative speckle, shadows
        first_blur, noise_blur = float(rng.uniform(0.4, 1.2)), float(rng.uniform(0.4, 1.0))
        noise, bias = float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.1, 0.5))
    else:  # Poisson noise, a wide point spread function
        first_blur, last_blur = float(rng.uniform(0.5, 1.8)), float(rng.uniform(0, 0.9))
        photons = draw.log_uniform(20, 200)
    thick = rng.random() < 0.3
    gamma = draw.log_uniform(0.6, 1.7) if rng.random() < 0.35 else 1.0
    padding = (int(rng.integers(3)), bool(rng.integers(2)), float(rng.random()))
    return RenderParameters(
        modality,
        first_blur,
        noise,
        noise_blur,
        bias,
        draw.cells(2, 5),
        draw.noise(1),
        photons,
        last_blur,
        thick_axis=int(rng.integers(3)),
        thick_slices=int(rng.integers(2, 5)) if thick else 1,
        tail=float(rng.choice([0.005, 0.005, 0.02, 0.08])),
        gamma=gamma,
        scale=float(np.exp(rng.normal(0, 0.25))),
        shift=float(rng.normal(0, 0.35)),
        padding=padding if rng.random() < 0.3 else None,
    )
