"""Simulate images of several modalities from a map of ideal brightness."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .shapes import smooth_noise


def render(rng: np.random.Generator, brightness: Tensor) -> Tensor:
    """Return an image in [0, 1] of a (z, y, x) map of ideal brightness, in a random modality."""
    modality = (ct, mr, ultrasound, emission)[int(rng.integers(4))]
    image = modality(rng, brightness)
    if rng.random() < 0.3:
        image = thick_slices(image, axis=int(rng.integers(3)), slices=int(rng.integers(2, 5)))
    return clip_to_percentiles(rng, image)


def ct(rng: np.random.Generator, brightness: Tensor) -> Tensor:
    """Simulate CT: slight blur, additive noise, often correlated."""
    image = gaussian_blur(brightness, rng.uniform(0, 1.0))
    noise = gaussian_blur(white_noise(rng, image), rng.choice([0.0, 0.6]))
    return image + log_uniform(rng, 0.005, 0.12) * noise / noise.std()


def mr(rng: np.random.Generator, brightness: Tensor) -> Tensor:
    """Simulate MR: Rician noise and a bias field."""
    image = gaussian_blur(brightness, rng.uniform(0, 1.0))
    noise = log_uniform(rng, 0.005, 0.1)
    magnitude = (image + noise * white_noise(rng, image)).square()
    magnitude = (magnitude + (noise * white_noise(rng, image)).square()).sqrt()
    return magnitude * bias_field(rng, len(image), rng.uniform(0.05, 0.35))


def ultrasound(rng: np.random.Generator, brightness: Tensor) -> Tensor:
    """Simulate ultrasound: multiplicative speckle, shadows."""
    image = gaussian_blur(brightness.clamp_min(0.02), rng.uniform(0.4, 1.2))
    real, imaginary = (
        gaussian_blur(white_noise(rng, image), rng.uniform(0.4, 1.0)) for _ in range(2)
    )
    speckle = (real.square() + imaginary.square()).sqrt()
    strength = rng.uniform(0.3, 0.9)
    speckled = image * (1 + strength * (speckle / speckle.mean() - 1))
    return speckled * bias_field(rng, len(image), rng.uniform(0.1, 0.5))


def emission(rng: np.random.Generator, brightness: Tensor) -> Tensor:
    """Simulate PET or fluorescence: Poisson noise, a wide point spread function."""
    sharp = gaussian_blur(brightness.clamp_min(0), rng.uniform(0.5, 1.8)).numpy()
    photons = log_uniform(rng, 20, 200)
    counts = torch.from_numpy((rng.poisson(sharp * photons) / photons).astype(np.float32))
    return gaussian_blur(counts, rng.uniform(0, 0.9))


def bias_field(rng: np.random.Generator, patch: int, strength: float) -> Tensor:
    """Return a smooth positive factor per voxel."""
    return (strength * smooth_noise(rng, patch, int(rng.integers(2, 5)))[0]).exp()


def clip_to_percentiles(rng: np.random.Generator, image: Tensor) -> Tensor:
    """Clip to percentiles as in the challenge's files, at random stronger or with a gamma."""
    tail = float(rng.choice([0.005, 0.005, 0.02, 0.08]))
    low, high = torch.quantile(image.flatten()[::5], torch.tensor([tail, 1 - tail]))
    unit = ((image - low) / (high - low + 1e-5)).clamp(0, 1)
    gamma = log_uniform(rng, 0.6, 1.7) if rng.random() < 0.35 else 1.0
    return torch.pow(unit, gamma)


def thick_slices(image: Tensor, *, axis: int, slices: int) -> Tensor:
    """Average neighbouring slices and resample, as in an anisotropic scan."""
    kernel = [slices if a == axis else 1 for a in range(3)]
    coarse = F.avg_pool3d(image[None, None], kernel, kernel, ceil_mode=True)
    size = tuple(image.shape)
    return F.interpolate(coarse, size=size, mode="trilinear", align_corners=False)[0, 0]


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of ``sigma`` voxels."""
    if sigma < 0.2:
        return image
    radius = int(np.ceil(2.5 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel, blurred = kernel / kernel.sum(), image[None, None]
    for axis in range(3):
        view = [1, 1, 1, 1, 1]
        view[axis + 2] = len(kernel)
        padding = [0] * 6
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = radius
        blurred = F.conv3d(F.pad(blurred, padding, mode="replicate"), kernel.view(view))
    return blurred[0, 0]


def white_noise(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Return white noise in the shape of ``like``."""
    return torch.from_numpy(rng.standard_normal(tuple(like.shape), np.float32))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number uniform on a logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
