"""Crops of annotated scans: what a seed decides, and cutting them out on any device.

A crop is cut as at inference: its window is resized to the patch by ``resampling``. The random
shift and zoom are part of the window; flips, exchanged axes and a rotation are one linear map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segbench.core import LabelMap

from ..crop import FloatArray, Window, as_voxel, window_around
from ..resampling import crop_to_patch, to_device
from .objects import Scan, ScanObject

ZOOM_IN_PROBABILITY = 0.3  # of a crop with a box that enlarges a small object
ZOOM_OUT_FACTOR = 1.5  # on the window's edge, per step of the search without a box
ZOOM = (0.7, 1.4)  # factor on the window's edge
ROTATION_PROBABILITY, MAX_ROTATION = 0.3, math.radians(20)
MARGIN = 1.25  # of a window that is rotated, so that its corners show the scan
MIN_VISIBLE_VOXELS = 20  # patch voxels of an object; smaller ones are drawn again


@dataclass(frozen=True)
class IntensityParameters:
    """Random changes of the z-scored intensities."""

    gamma: float = 1.0
    scale: float = 1.0  # negative: inverted
    shift: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class CropParameters:
    """One crop of an object of a scan."""

    scan: str
    label: int
    window: Window
    axes: tuple[int, int, int]  # of the scan, along the axes of the patch
    flipped: tuple[bool, bool, bool]  # of the patch
    rotation: FloatArray | None  # (3, 3), after axes and flips
    intensity: IntensityParameters
    noise_seed: int
    min_voxels: int = MIN_VISIBLE_VOXELS  # of the object on the patch


@dataclass(frozen=True)
class DeviceScan:
    """A scan whose arrays are on a device."""

    scan: Scan
    voxels: Tensor
    label_map: Tensor


def scans_on_device(scans: Sequence[Scan], device: torch.device) -> dict[str, DeviceScan]:
    """Copy scans to a device; on the CPU the memory is shared, if torch can compare the type."""
    return {
        scan.name: DeviceScan(
            scan,
            to_device(scan.voxels, device),
            to_device(_comparable(scan.label_map), device),
        )
        for scan in scans
    }


def _comparable(label_map: LabelMap) -> LabelMap:
    """Return the labels in a type that torch compares."""
    known = label_map.dtype in (np.uint8, np.int16, np.int32, np.int64)
    return label_map if known else label_map.astype(np.int32)


def draw_crop(
    scan_object: ScanObject, rng: np.random.Generator, patch: int, *, with_box: bool
) -> CropParameters:
    """Draw a window of the crop rule, or of the search without a box, and augmentations."""
    window = (jittered_window if with_box else search_window)(scan_object, rng, patch)
    first, second, third = (int(axis) for axis in rng.permutation(3))
    flip_z, flip_y, flip_x = (bool(flip) for flip in rng.integers(0, 2, 3))
    rotated = rng.random() < ROTATION_PROBABILITY
    return CropParameters(
        scan_object.scan.name,
        scan_object.box.label,
        window,
        (first, second, third),
        (flip_z, flip_y, flip_x),
        _small_rotation(rng) if rotated else None,
        _draw_intensity(rng),
        int(rng.integers(1 << 62)),
    )


def jittered_window(scan_object: ScanObject, rng: np.random.Generator, patch: int) -> Window:
    """Return the window of the crop rule, randomly shifted, scaled and stretched.

    Some windows are those of the option ``zoom_in``, so that the option works with the weights.
    No window is much smaller than the object's box.
    """
    box = scan_object.box
    rule = window_around(box, patch, zoom_in=bool(rng.random() < ZOOM_IN_PROBABILITY))
    wide = rng.random() < 0.3
    zoom = rng.uniform(np.log(ZOOM[0]), np.log(ZOOM[1])) if wide else rng.normal(0, 0.1)
    scale = np.exp(zoom + rng.normal(0, 0.07, 3))
    smallest = 1.05 * np.subtract(box.high, box.low).max()
    size = np.maximum(np.round(np.maximum(np.array(rule.size) * scale, smallest)), 2).astype(int)
    middle = np.add(box.low, box.high) / 2
    return _centred_window(middle + rng.uniform(-0.05, 0.05, 3) * size, size)


def search_window(scan_object: ScanObject, rng: np.random.Generator, patch: int) -> Window:
    """Return a random window of the search without a box.

    The search starts at native resolution around the first click, deep inside the object. It
    zooms out by half while the prediction touches the border, centred on the prediction so far.
    """
    enough = 1.2 * window_around(scan_object.box, patch).size[0]
    zooms = 1 + max(0, math.ceil(math.log(enough / patch, ZOOM_OUT_FACTOR)))
    edge = patch * ZOOM_OUT_FACTOR ** int(rng.integers(zooms))
    size = np.round(edge * np.exp(rng.normal(0, 0.07, 3))).astype(int)
    start = np.array(scan_object.first_click)
    end = np.add(scan_object.box.low, scan_object.box.high) / 2
    middle = start + (end - start) * max(rng.uniform(-1, 1), 0.0)
    return _centred_window(middle + rng.uniform(-0.07, 0.07, 3) * size, size)


def paint_crops(
    crops: Sequence[CropParameters],
    patch: int,
    scans: dict[str, DeviceScan],
    *,
    antialias: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return z-scored images (n, z, y, x), zero outside the scan, and masks of the objects."""
    images, masks = zip(
        *(_cut(crop, patch, scans[crop.scan], antialias=antialias) for crop in crops)
    )
    return torch.stack(images), torch.stack(masks)


def mask_to_patch(label_map: Tensor, window: Window, patch: int, *, label: int) -> Tensor:
    """Return the mask of ``label`` on the patch: nearest neighbour, False outside.

    ``crop.crop_mask`` is the NumPy version of inference.
    """
    device = label_map.device
    mask = torch.ones((patch,) * 3, dtype=torch.bool, device=device)
    at = []
    for axis, (low, size, n) in enumerate(zip(window.low, window.size, label_map.shape)):
        nearest = low + ((np.arange(patch) + 0.5) * size / patch).astype(np.int64)
        inside = torch.from_numpy((nearest >= 0) & (nearest < n)).to(device)
        mask &= inside.view([patch if a == axis else 1 for a in range(3)])
        at.append(torch.from_numpy(nearest.clip(0, n - 1)).to(device))
    z, y, x = at
    return mask & (label_map[z[:, None, None], y[:, None], x] == label)


def _cut(
    crop: CropParameters, patch: int, source: DeviceScan, *, antialias: bool
) -> tuple[Tensor, Tensor]:
    edge, window = patch, crop.window
    if crop.rotation is not None:
        edge = 2 * round(MARGIN * patch / 2)
        window = window.enlarged(edge / patch)
    shape = source.scan.voxels.shape
    image = crop_to_patch(
        source.voxels,
        window,
        edge,
        region=tuple(slice(0, n) for n in shape),
        intensity=source.scan.intensity,
        antialias=antialias,
    )
    mask = mask_to_patch(source.label_map, window, edge, label=crop.label)
    flips = [axis for axis, flipped in enumerate(crop.flipped) if flipped]
    image, mask = (volume.permute(crop.axes).flip(flips) for volume in (image, mask))
    if crop.rotation is not None:
        image = _rotate(image, crop.rotation, patch, mode="bilinear")
        mask = _rotate(mask.float(), crop.rotation, patch, mode="nearest") > 0.5
    return _change_intensity(image, crop), mask


def _rotate(volume: Tensor, rotation: FloatArray, patch: int, *, mode: str) -> Tensor:
    """Rotate a cube around its centre and keep the middle (patch, patch, patch)."""
    share = patch / len(volume)
    matrix = torch.from_numpy(rotation[::-1, ::-1].copy()) * share  # grids are (x, y, z)
    affine = torch.cat((matrix, torch.zeros(3, 1)), dim=1)[None].to(volume.device)
    grid = F.affine_grid(affine, [1, 1, patch, patch, patch], align_corners=False)
    rotated = F.grid_sample(volume[None, None].contiguous(), grid, mode=mode, align_corners=False)
    return rotated[0, 0]


def _change_intensity(image: Tensor, crop: CropParameters) -> Tensor:
    """Apply gamma, scale, shift and noise; padding stays zero."""
    change, padding = crop.intensity, image == 0
    if change.gamma != 1.0:
        low, high = image.min(), image.max()
        unit = ((image - low) / (high - low + 1e-6)).clamp(0, 1)
        image = unit.pow(change.gamma) * (high - low) + low
    image = image * change.scale + change.shift
    if change.noise:
        generator = torch.Generator(image.device).manual_seed(crop.noise_seed)
        noise = torch.randn(image.shape, generator=generator, device=image.device)
        image = image + change.noise * noise
    return torch.where(padding, 0.0, image)


def _draw_intensity(rng: np.random.Generator) -> IntensityParameters:
    gamma = float(np.exp(rng.uniform(-0.5, 0.5))) if rng.random() < 0.3 else 1.0
    sign = -1.0 if rng.random() < 0.1 else 1.0
    scale, shift = 1.0, 0.0
    if rng.random() < 0.6:
        scale, shift = float(np.exp(rng.normal(0, 0.25))), float(rng.normal(0, 0.35))
    noise = float(rng.uniform(0, 0.3)) if rng.random() < 0.25 else 0.0
    return IntensityParameters(gamma, sign * scale, shift, noise)


def _small_rotation(rng: np.random.Generator) -> FloatArray:
    """Return a rotation by up to ``MAX_ROTATION`` around a random axis (Rodrigues)."""
    axis = rng.standard_normal(3)
    z, y, x = axis / np.linalg.norm(axis)
    angle = rng.uniform(0, MAX_ROTATION)
    cross = np.array([[0, -x, y], [x, 0, -z], [-y, z, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return np.asarray(turn, np.float32)


def _centred_window(middle: NDArray[np.float64], size: NDArray[np.int64]) -> Window:
    return Window(as_voxel(np.round(middle - size / 2).astype(int)), as_voxel(size))
