"""Simulate images of several modalities from maps of ideal brightness, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .scene_parameters import RenderParameters, SceneParameters
from .separable import apply_along_axes, blur, smooth_noise, thick_slice_matrix

EVERY = 7  # voxels of which one counts for the percentiles
Values = Callable[[str], Tensor]


def render(scenes: Sequence[SceneParameters], brightness: Tensor, targets: Tensor) -> Tensor:
    """Return z-scored images of (n, z, y, x) maps of brightness; padding next to a target is zero.

    The generator of a scene's noise is on the device of the maps and starts from its seed.
    """
    parameters = [scene.render for scene in scenes]
    device = brightness.device

    def value(name: str) -> Tensor:
        return torch.tensor([float(getattr(p, name)) for p in parameters], device=device)

    image = brightness.clone()
    bounded = [row for row, p in enumerate(parameters) if p.modality in ("ultrasound", "emission")]
    image[bounded] = image[bounded].clamp_min(0)
    image = blur(image[:, None], value("blur"))[:, 0]
    image = _add_noise(scenes, image)
    image = blur(image[:, None], value("last_blur"))[:, 0]
    image = _thick_slices(parameters, image)
    image = _clip_to_percentiles(image, value("tail"), value("gamma"))
    flat = image.flatten(1)
    mean, deviation = (v.view(-1, 1, 1, 1) for v in (flat.mean(1), flat.std(1)))
    image = (image - mean) / (deviation + 1e-3)
    image = image * value("scale").view(-1, 1, 1, 1) + value("shift").view(-1, 1, 1, 1)
    return image * ~_padding(parameters, targets)


def _add_noise(scenes: Sequence[SceneParameters], image: Tensor) -> Tensor:
    """Apply each scene's noise and bias field, by its modality."""
    device, patch = image.device, image.shape[-1]
    noisy = image.clone()
    for modality, formula in FORMULAS.items():
        rows = [row for row, scene in enumerate(scenes) if scene.render.modality == modality]
        if not rows:
            continue
        chosen = [scenes[row] for row in rows]
        generators = [
            torch.Generator(device).manual_seed(scene.noise_seed % (1 << 62)) for scene in chosen
        ]
        noisy[rows] = formula([scene.render for scene in chosen], image[rows], generators)
    bias = smooth_noise(
        torch.stack([torch.from_numpy(scene.render.bias_noise) for scene in scenes]).to(device),
        torch.tensor([scene.render.bias_cells for scene in scenes], device=device),
        patch,
    )[:, 0]
    strength = _numbers([scene.render for scene in scenes], "bias", device)
    return noisy * (strength * bias).exp()


Generators = Sequence[torch.Generator]


def _ct(parameters: Sequence[RenderParameters], image: Tensor, generators: Generators) -> Tensor:
    """Additive noise, often correlated."""
    noise = _blurred_noise(parameters, image, generators, 1)[:, 0]
    noise = noise / noise.flatten(1).std(1).view(-1, 1, 1, 1)
    return image + _numbers(parameters, "noise", image.device) * noise


def _mr(parameters: Sequence[RenderParameters], image: Tensor, generators: Generators) -> Tensor:
    """Rician noise: the magnitude of a complex signal."""
    noise = (
        _white_noise(image, generators, 2) * _numbers(parameters, "noise", image.device)[:, None]
    )
    return ((image + noise[:, 0]).square() + noise[:, 1].square()).sqrt()


def _ultrasound(
    parameters: Sequence[RenderParameters], image: Tensor, generators: Generators
) -> Tensor:
    """Multiplicative speckle."""
    speckle = _blurred_noise(parameters, image, generators, 2).square().sum(1).sqrt()
    relative = speckle / speckle.flatten(1).mean(1).view(-1, 1, 1, 1) - 1
    return image.clamp_min(0.02) * (1 + _numbers(parameters, "noise", image.device) * relative)


def _emission(
    parameters: Sequence[RenderParameters], image: Tensor, generators: Generators
) -> Tensor:
    """Poisson noise of PET and fluorescence."""
    photons = _numbers(parameters, "photons", image.device)
    rates = image.clamp_min(0) * photons
    counts = [torch.poisson(rate, generator) for rate, generator in zip(rates, generators)]
    return torch.stack(counts) / photons


FORMULAS = {"ct": _ct, "mr": _mr, "ultrasound": _ultrasound, "emission": _emission}


def _blurred_noise(
    parameters: Sequence[RenderParameters], image: Tensor, generators: Generators, channels: int
) -> Tensor:
    sigmas = torch.tensor([p.noise_blur for p in parameters], device=image.device)
    return blur(_white_noise(image, generators, channels), sigmas)


def _white_noise(image: Tensor, generators: Generators, channels: int) -> Tensor:
    """Return (n, channels, z, y, x) of white noise, each sample from its own generator."""
    shape, device = (channels, *image.shape[1:]), image.device
    return torch.stack([torch.randn(shape, generator=g, device=device) for g in generators])


def _numbers(parameters: Sequence[RenderParameters], name: str, device: torch.device) -> Tensor:
    values = [float(getattr(p, name)) for p in parameters]
    return torch.tensor(values, device=device).view(-1, 1, 1, 1)


def _thick_slices(parameters: Sequence[RenderParameters], image: Tensor) -> Tensor:
    """Average neighbouring slices and resample, as in an anisotropic scan."""
    rows = [row for row, p in enumerate(parameters) if p.thick_slices > 1]
    if not rows:
        return image
    patch = image.shape[-1]
    chosen = [parameters[row] for row in rows]
    matrices = [
        torch.stack(
            [
                thick_slice_matrix(patch, p.thick_slices if p.thick_axis == axis else 1)
                for p in chosen
            ]
        ).to(image.device)
        for axis in range(3)
    ]
    image = image.clone()
    image[rows] = apply_along_axes(image[rows][:, None], matrices)[:, 0]
    return image


def _clip_to_percentiles(image: Tensor, tail: Tensor, gamma: Tensor) -> Tensor:
    """Clip to percentiles as in the challenge's files, and apply the gamma; result in [0, 1]."""
    values = image.flatten(1)[:, ::EVERY].sort(dim=1).values
    last = values.shape[1] - 1
    low, high = (
        values.gather(1, (share * last).round().long()[:, None]).view(-1, 1, 1, 1)
        for share in (tail, 1 - tail)
    )
    unit = ((image - low) / (high - low + 1e-5)).clamp(0, 1)
    return unit.pow(gamma.view(-1, 1, 1, 1))


def _padding(parameters: Sequence[RenderParameters], targets: Tensor) -> Tensor:
    """Return the slab next to each target where a window extends outside the volume."""
    patch, device = targets.shape[-1], targets.device
    padding = torch.zeros_like(targets)
    at = torch.arange(patch, device=device)
    for row, p in enumerate(parameters):
        if p.padding is None:
            continue
        axis, far_side, share = p.padding
        used = targets[row].any(dim=tuple(a for a in range(3) if a != axis))
        used = used.flip(0) if far_side else used
        free = torch.where(used, at, patch).min()  # slices before the first one of the target
        slab = (share * (free + 1)).floor()
        outside = at < slab
        outside = outside.flip(0) if far_side else outside
        shape = [patch if a == axis else 1 for a in range(3)]
        padding[row] = outside.view(shape).expand(patch, patch, patch)
    return padding
