"""Paint batches of generated scenes on any device: the owner and the brightness of every voxel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .rendering import render
from .scene_parameters import MAX_REGIONS, ObjectParameters, SceneParameters
from .separable import smooth_noise

BACKGROUND = -1  # in the map of owners
NEAR = -0.6  # value of an object's field up to which its surroundings reach


def paint_scenes(
    scenes: Sequence[SceneParameters], patch: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return z-scored images (n, z, y, x) and the masks of the targets (bool) of scenes.

    A scene is the same up to rounding whatever else is in the batch, and on every device, except
    for the voxel noise, which is drawn on the device from the scene's own seed.
    """
    owner, brightness = paint_geometry(scenes, patch, device)
    targets = owner == column([scene.target for scene in scenes], device, torch.int16)
    return render(scenes, brightness, targets), targets


def paint_geometry(
    scenes: Sequence[SceneParameters], patch: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the index of the object that owns each voxel, and the ideal brightness."""
    coordinates = _warped_coordinates(scenes, patch, device)
    brightness = _background(scenes, patch, device)
    owner = torch.full(brightness.shape, BACKGROUND, dtype=torch.int16, device=device)
    best = torch.zeros_like(brightness)
    for index in range(max(len(scene.objects) for scene in scenes)):
        rows = [row for row, scene in enumerate(scenes) if index < len(scene.objects)]
        objects = [scenes[row].objects[index] for row in rows]
        at = torch.tensor(rows, device=device)
        painted = _paint_object(
            objects, index, coordinates[at], owner[at], brightness[at], best[at]
        )
        owner[at], brightness[at], best[at] = painted
    return owner, brightness


def column(values: Sequence[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return one number per sample as (n, 1, 1, 1)."""
    dtype = torch.float32 if dtype is None else dtype
    return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1, 1)


def stack(arrays: Sequence[Any], device: torch.device) -> Tensor:
    """Return arrays as one float32 tensor."""
    return torch.from_numpy(np.stack(arrays).astype(np.float32, copy=False)).to(device)


def _warped_coordinates(
    scenes: Sequence[SceneParameters], patch: int, device: torch.device
) -> Tensor:
    """Return voxel positions relative to the centre, (n, 3, z, y, x), smoothly deformed."""
    axis = torch.arange(patch, dtype=torch.float32, device=device) - (patch - 1) / 2
    straight = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"))
    noise = smooth_noise(
        stack([scene.warp_noise for scene in scenes], device),
        torch.tensor([scene.warp_cells for scene in scenes], device=device),
        patch,
    )
    strength = column([scene.warp for scene in scenes], device)
    return straight + strength[:, None] * noise


def _background(scenes: Sequence[SceneParameters], patch: int, device: torch.device) -> Tensor:
    """Return regions of different or nearly equal brightness, with a weak texture."""
    fields = smooth_noise(
        stack([scene.region_noise for scene in scenes], device),
        torch.tensor([scene.region_cells for scene in scenes], device=device),
        patch,
    )
    levels = stack([np.resize(scene.levels, MAX_REGIONS) for scene in scenes], device)
    counts = column([len(scene.levels) for scene in scenes], device)
    highest, brightness = fields[:, 0], levels[:, 0].view(-1, 1, 1, 1).expand_as(fields[:, 0])
    for region in range(1, MAX_REGIONS):  # a region is where its field is the highest
        inside = (fields[:, region] > highest) & (region < counts)
        highest = torch.where(inside, fields[:, region], highest)
        brightness = torch.where(inside, levels[:, region].view(-1, 1, 1, 1), brightness)
    texture = smooth_noise(
        stack([scene.texture_noise for scene in scenes], device),
        torch.tensor([scene.texture_cells for scene in scenes], device=device),
        patch,
    )
    return brightness + 0.03 * texture[:, 0]


def _paint_object(
    objects: Sequence[ObjectParameters],
    index: int,
    coordinates: Tensor,
    owner: Tensor,
    brightness: Tensor,
    best: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Paint one object of each scene over what is there; return owner, brightness and best."""
    device = coordinates.device
    noise = smooth_noise(
        stack([shape.noise for shape in objects], device),
        torch.tensor([shape.cells for shape in objects], device=device),
        coordinates.shape[-1],
    )[:, 0]

    def value(of: Callable[[ObjectParameters], Any], dtype: torch.dtype | None = None) -> Tensor:
        return column([of(shape) for shape in objects], device, dtype)

    field = _fields(objects, coordinates) + value(lambda shape: shape.roughness) * noise
    hollow = value(lambda shape: shape.hollow)
    field = torch.where(hollow > 0, torch.minimum(field, hollow - field), field)
    competes = value(lambda shape: shape.competes, torch.bool)
    inside = field > torch.where(competes, best, 0.0)
    parent = value(
        lambda shape: BACKGROUND if shape.inside_of is None else shape.inside_of, torch.int16
    )
    allowed = (parent == BACKGROUND) | (owner == parent)
    inside &= allowed
    near = (field > NEAR) & ~inside & allowed
    surroundings = (brightness * near).sum((1, 2, 3), keepdim=True)
    surroundings = surroundings / near.sum((1, 2, 3), keepdim=True).clamp_min(1)
    is_relative = value(lambda shape: shape.contrast is not None, torch.bool)
    relative = surroundings + value(lambda shape: shape.contrast or 0.0)
    level = torch.where(is_relative, relative, value(lambda shape: shape.brightness))
    has_core = value(lambda shape: shape.core is not None, torch.bool)
    depth = value(lambda shape: shape.core[0] if shape.core else 0.0)
    shift = value(lambda shape: shape.core[1] if shape.core else 0.0)
    appearance = torch.where(has_core & (field > depth), level + shift, level)
    appearance = appearance + value(lambda shape: shape.texture) * noise.flip((1, 2, 3))
    return (
        torch.where(inside, torch.tensor(index, dtype=torch.int16, device=device), owner),
        torch.where(inside, appearance, brightness),
        torch.where(inside & competes, field, best),
    )


def _fields(objects: Sequence[ObjectParameters], coordinates: Tensor) -> Tensor:
    """Return a value per voxel and object, (n, z, y, x): positive inside, 1 in the middle."""
    device = coordinates.device
    turns = stack([shape.turn for shape in objects], device)
    centres = stack([shape.centre for shape in objects], device)[:, :, None]
    local = torch.bmm(turns, coordinates.flatten(2) - centres)
    local = local.view(coordinates.shape)
    fields = torch.empty_like(local[:, 0])
    for is_tube, formula in ((False, _blob_field), (True, _tube_field)):
        rows = [row for row, shape in enumerate(objects) if (shape.tube is not None) == is_tube]
        if rows:
            chosen = [objects[row] for row in rows]
            fields[rows] = formula(chosen, local[rows])
    return fields


def _blob_field(blobs: Sequence[ObjectParameters], local: Tensor) -> Tensor:
    """Superellipsoids: 1 minus the distance from the middle in half axes."""
    fields = torch.empty_like(local[:, 0])
    for power in sorted({blob.power for blob in blobs}):  # a power of one number is fast
        rows = [row for row, blob in enumerate(blobs) if blob.power == power]
        fields[rows] = 1 - local[rows].abs().pow(power).sum(1).pow(1 / power)
    return fields


def _tube_field(tubes: Sequence[ObjectParameters], local: Tensor) -> Tensor:
    """Tubes along the first local axis, bent by two sines."""
    length, width, *waves = (
        column([tube.tube[part] for tube in tubes if tube.tube], local.device) for part in range(8)
    )
    sway_y, sway_x, phase_y, phase_x, speed_y, speed_x = waves
    z, y, x = local.unbind(1)
    across = y - sway_y * torch.sin(phase_y + speed_y * z)
    along = x - sway_x * torch.sin(phase_x + speed_x * z)
    inside = 1 - (across.square() + along.square() + 1e-12).sqrt() / width
    return torch.minimum(inside, (length - z.abs()) / width)
