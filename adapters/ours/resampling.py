"""Resampling of windows to patches and back, on the device that runs the network.

Volumes are processed in slabs of slices, so that no float array of a whole volume ever exists.
Nothing here synchronises with the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .crop import FloatArray, Region, Window, linear_interpolation_matrix
from .intensity import EPSILON, Intensity

SLAB_SLICES = 16  # converted to float at a time


def to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device; on the CPU it shares memory if possible."""
    if values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    if not (values.flags.writeable and values.flags.c_contiguous and values.dtype.isnative):
        values = values.astype(values.dtype.newbyteorder("="), order="C", copy=True)
    return torch.from_numpy(values).to(device, non_blocking=True)


def slabs(span: slice) -> Iterator[slice]:
    """Split a span of slices into slabs."""
    for start in range(span.start, span.stop, SLAB_SLICES):
        yield slice(start, min(start + SLAB_SLICES, span.stop))


def crop_to_patch(
    volume: Tensor,
    window: Window,
    patch: int,
    *,
    region: Region,
    intensity: Intensity,
    antialias: bool,
) -> Tensor:
    """Z-score a window and resize it to the (patch, patch, patch), zero outside ``region``.

    ``crop.crop_image`` is the NumPy version for training.
    """
    covered = window.clipped_to(region)
    along_z, *plane = (
        to_device(matrix, volume.device)
        for matrix in volume_to_patch_matrices(window, covered, patch, antialias=antialias)
    )
    resized = torch.zeros((patch, patch**2), device=volume.device)
    for slab in slabs(covered[0]):
        scored = _z_score(volume[(slab, *covered[1:])], intensity)
        flat = _in_plane(scored, plane).reshape(len(scored), -1)
        resized += along_z[:, slab.start - covered[0].start : slab.stop - covered[0].start] @ flat
    return resized.reshape(patch, patch, patch)


def volume_to_patch_matrices(
    window: Window, covered: Region, patch: int, *, antialias: bool
) -> Iterator[FloatArray]:
    """Yield for each axis the matrix from the covered voxels of a window to the patch."""
    for low, size, span in zip(window.low, window.size, covered):
        zoom = size / patch
        centres = (np.arange(patch) + 0.5) * zoom - 0.5
        support = max(zoom, 1.0) if antialias else 1.0
        matrix = linear_interpolation_matrix(centres, size, support=support)
        yield matrix[:, span.start - low : span.stop - low]


class PatchOnVolume:
    """Values on a patch, resampled to the voxels of its window, a few slices at a time."""

    def __init__(self, values: Tensor, window: Window, region: Region) -> None:
        self.region = window.clipped_to(region)
        self._values = values
        self._along_z, *self._plane = (
            to_device(matrix, values.device)
            for matrix in patch_to_volume_matrices(window, self.region, values.shape[0])
        )

    def slices(self, span: slice) -> Tensor:
        """Return the values in some slices of the region, trilinear."""
        first = self.region[0].start
        patch = len(self._values)
        rows = self._along_z[span.start - first : span.stop - first]
        return _in_plane(
            (rows @ self._values.reshape(patch, -1)).reshape(-1, patch, patch), self._plane
        )


def patch_to_volume_matrices(window: Window, covered: Region, patch: int) -> Iterator[FloatArray]:
    """Yield for each axis the matrix from the patch to the covered voxels of a window."""
    for low, size, span in zip(window.low, window.size, covered):
        centres = (np.arange(span.start, span.stop) - low + 0.5) * patch / size - 0.5
        yield linear_interpolation_matrix(centres, patch, support=1.0)


def _in_plane(slices: Tensor, plane: list[Tensor]) -> Tensor:
    """Apply one matrix along y and one along x."""
    along_y, along_x = plane
    return along_y @ slices @ along_x.T


def _z_score(voxels: Tensor, intensity: Intensity) -> Tensor:
    return (voxels.float() - intensity.mean) / float(np.float32(intensity.deviation + EPSILON))
