"""Generated scenes: an object in a patch, with the size that the crop gives to real objects.

The crop resizes a box of ``s`` voxels to ``s / zoom(s)`` patch voxels (Eq. 12). Scenes draw ``s``
log-uniformly and build the object in the resulting size, so that training and test sizes agree.
Half of the scenes contain one object among different ones, a quarter one in a crowd of similar
ones (such as nuclei), a quarter a tube.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segbench.core import Box, Mask

from ..crop import FloatArray, window_around
from .rendering import log_uniform, render
from .shapes import Vector, blob, region_map, smooth_noise, tube, warped_coordinates

MIN_VOXELS, MAX_FRACTION = 60, 0.6  # of an object: voxels, and share of the patch


@dataclass(frozen=True)
class Scene:
    """One training example without prompts: image patch (z-scored) and reference."""

    image: FloatArray
    reference: Mask


@dataclass
class Canvas:
    """An unfinished scene: the mask of the object, and the brightness of every voxel."""

    object_mask: Tensor
    brightness: Tensor


def generated_scene(rng: np.random.Generator, patch: int) -> Scene:
    """Return a new scene of random content."""
    while True:
        canvas = (crowd, tubes, single, single)[int(rng.integers(4))](rng, patch)
        voxels = int(canvas.object_mask.sum())
        if MIN_VOXELS <= voxels <= MAX_FRACTION * patch**3:
            return _render_scene(rng, canvas)


def single(rng: np.random.Generator, patch: int) -> Canvas:
    """Return one blob among up to eight others of any brightness."""
    coordinates = warped_coordinates(rng, patch)
    canvas = _background(rng, patch)
    for _ in range(int(rng.integers(0, 9))):
        centre, radii = rng.uniform(-0.6, 0.6, 3) * patch, _radii(rng, patch) * 0.7
        inside = blob(rng, coordinates, centre, radii) > 0
        canvas.brightness[inside] = float(rng.uniform(0, 1))
    field = blob(rng, coordinates, _near_middle(rng, patch), _radii(rng, patch))
    return _add_object(rng, canvas, field)


def tubes(rng: np.random.Generator, patch: int) -> Canvas:
    """Return one tube with up to four others, similar or not."""
    coordinates = warped_coordinates(rng, patch)
    canvas = _background(rng, patch)
    for _ in range(int(rng.integers(0, 5))):
        centre, radii = rng.uniform(-0.5, 0.5, 3) * patch, _radii(rng, patch)
        inside = tube(rng, coordinates, centre, radii) > 0
        canvas.brightness[inside] = float(rng.uniform(0, 1))
    field = tube(rng, coordinates, _near_middle(rng, patch), _radii(rng, patch))
    return _add_object(rng, canvas, field)


def crowd(rng: np.random.Generator, patch: int) -> Canvas:
    """Return adjacent blobs of one size and brightness; the object is the central one."""
    coordinates = warped_coordinates(rng, patch)
    radii = np.minimum(_radii(rng, patch), patch / 4)
    pitch = 2 * float(radii.max()) * rng.uniform(0.85, 1.6)
    places = _lattice(rng, patch, pitch)
    fields = torch.stack([blob(rng, coordinates, place, radii) for place in places])
    best, owner = fields.max(0)
    canvas = _background(rng, patch)
    bright = float(rng.uniform(0.3, 1.0))
    levels = torch.from_numpy(rng.normal(bright, 0.06, len(places)).astype(np.float32))
    inside = best > 0
    canvas.brightness[inside] = levels[owner][inside]
    if float(canvas.brightness.std()) < 0.05:  # otherwise the blobs are invisible
        canvas.brightness[inside] += 0.4
    canvas.object_mask = inside & (owner == 0)
    return canvas


def _lattice(rng: np.random.Generator, patch: int, pitch: float) -> list[Vector]:
    """Return at most 27 positions on a jittered lattice, the central one first."""
    steps = np.arange(-1, 2)
    cells = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    cells = cells[np.argsort((cells**2).sum(1), kind="stable")]
    jitter = rng.uniform(-0.2, 0.2, cells.shape)
    near = [np.asarray(place) for place in (cells + jitter) * pitch]
    return [place for place in near if np.abs(place).max() < 0.7 * patch]


def _background(rng: np.random.Generator, patch: int) -> Canvas:
    """Return regions of different or nearly equal brightness, with a weak texture."""
    std = float(rng.choice([0.05, 0.2, 0.5]))
    levels = torch.from_numpy(rng.normal(rng.uniform(0, 0.7), std, 6).astype(np.float32))
    brightness = levels[region_map(rng, patch)]
    texture = smooth_noise(rng, patch, int(rng.integers(patch // 8, patch // 3)))[0]
    return Canvas(torch.zeros(brightness.shape, dtype=torch.bool), brightness + 0.03 * texture)


def _add_object(rng: np.random.Generator, canvas: Canvas, field: Tensor) -> Canvas:
    """Add the object to the scene, brighter or darker than its surroundings."""
    inside = field > 0
    near = canvas.brightness[(field > -0.6) & ~inside]
    surrounding = float(near.mean()) if len(near) else 0.5
    sign = 1.0 if rng.random() < 0.6 else -1.0
    level = surrounding + sign * log_uniform(rng, 0.12, 0.7)
    canvas.brightness[inside] = level
    if rng.random() < 0.3:  # a core of another brightness, as in necrotic tumours
        canvas.brightness[field > rng.uniform(0.2, 0.5)] = level + float(rng.normal(0, 0.3))
    if rng.random() < 0.5:
        texture = smooth_noise(rng, len(field), int(rng.integers(4, 12)))[0]
        canvas.brightness += rng.uniform(0.02, 0.12) * texture * inside
    canvas.object_mask = inside
    return canvas


def _radii(rng: np.random.Generator, patch: int) -> Vector:
    """Return the half axes, in patch voxels, of an object that the crop rule has resized."""
    side = round(log_uniform(rng, 10, 4 * patch))
    box = Box(1, (0, 0, 0), (side, side, side), mid_slice=0)
    shown = side * patch / window_around(box, patch).size[0]
    aspect = rng.uniform(0.45, 1.0, 3)
    return np.asarray(shown / 2 * aspect / aspect.max())


def _near_middle(rng: np.random.Generator, patch: int) -> Vector:
    return np.asarray(rng.uniform(-0.06, 0.06, 3) * patch)


def _render_scene(rng: np.random.Generator, canvas: Canvas) -> Scene:
    """Render and z-score, with jitter: statistics of a volume differ from those of a patch."""
    image = render(rng, canvas.brightness)
    image = (image - image.mean()) / (image.std() + 1e-3)
    image = image * float(np.exp(rng.normal(0, 0.25))) + float(rng.normal(0, 0.35))
    reference = canvas.object_mask.numpy()
    if rng.random() < 0.3:
        _pad_one_side(rng, image, reference)
    return Scene(image.contiguous().numpy(), reference)


def _pad_one_side(rng: np.random.Generator, image: Tensor, reference: Mask) -> None:
    """Zero a slab next to the object, as where a window extends outside the volume."""
    axis, far_side = int(rng.integers(3)), bool(rng.integers(2))
    slices = np.flatnonzero(reference.any(axis=tuple(a for a in range(3) if a != axis)))
    max_slab = len(image) - 1 - int(slices[-1]) if far_side else int(slices[0])
    slab = int(rng.integers(0, max_slab + 1))
    edge = slice(len(image) - slab, None) if far_side else slice(0, slab)
    image[tuple(edge if a == axis else slice(None) for a in range(3))] = 0
