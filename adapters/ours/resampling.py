"""Resampling of windows to patches and back, on the device that runs the network.

Volumes are processed in slabs of slices, so that no float array of a whole volume ever exists.
Nothing here synchronises with the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segbench.core import Voxel

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


class ValuesOnVolume:
    """Values that one matrix per axis resamples to the voxels of a region, slice by slice."""

    def __init__(self, values: Tensor, region: Region, matrices: Iterable[FloatArray]) -> None:
        self.region = region
        self._values = values
        self._along_z, *self._plane = (to_device(matrix, values.device) for matrix in matrices)

    def slices(self, span: slice) -> Tensor:
        """Return the values in some slices of the region, trilinear."""
        first = self.region[0].start
        rows = self._along_z[span.start - first : span.stop - first]
        return _resample(self._values, (rows, *self._plane))


def blocks_on_volume(values: Tensor, region: Region, factors: Voxel) -> ValuesOnVolume:
    """Return values of blocks of voxels, at the voxels of their region."""
    matrices = (
        linear_interpolation_matrix(
            (np.arange(span.stop - span.start) + 0.5) / factor - 0.5, n, support=1.0
        )
        for span, factor, n in zip(region, factors, values.shape)
    )
    return ValuesOnVolume(values, region, matrices)


class PatchOnVolume:
    """Values on a patch, at the voxels of its window that are in a region of the volume."""

    def __init__(self, values: Tensor, window: Window, region: Region) -> None:
        self.region, self.device = window.clipped_to(region), values.device
        self._values, self._window = values, window
        matrices = patch_to_volume_matrices(window, self.region, len(values))
        self._on_volume = ValuesOnVolume(values, self.region, matrices)

    def slices(self, span: slice) -> Tensor:
        """Return the values in some slices of the region, trilinear."""
        return self._on_volume.slices(span)

    def block_means(self, roi: Region, factors: Voxel, shape: Voxel, outside: float) -> Tensor:
        """Return means over the blocks of a region of the volume.

        Parameters
        ----------
        roi : the region; its last voxels are repeated where a block ends outside of it
        factors : voxels of a block along each axis
        shape : blocks along each axis
        outside : the value of voxels that the patch does not cover
        """
        voxels = [
            np.minimum(span.start + np.arange(n * factor), span.stop - 1)
            for span, n, factor in zip(roi, shape, factors)
        ]
        matrices = patch_to_voxels_matrices(self._window, voxels, len(self._values))
        means = []
        for matrix, at, span, factor in zip(matrices, voxels, self.region, factors):
            matrix[(at < span.start) | (at >= span.stop)] = 0
            mean = matrix.reshape(-1, factor, matrix.shape[1]).mean(axis=1)
            means.append(to_device(mean, self.device))
        return _resample(self._values - outside, means) + outside

    def foreground_box(self) -> Region | None:
        """Return the region that the positive values cover; None if there are none."""
        positive = self._values > 0
        spans = []
        for axis, (low, size, span) in enumerate(
            zip(self._window.low, self._window.size, self.region)
        ):
            others = tuple(other for other in range(3) if other != axis)
            at = torch.nonzero(positive.amax(dim=others)).flatten().tolist()
            if not at:
                return None
            voxel = size / len(self._values)
            start, stop = low + int(at[0] * voxel), low + int(np.ceil((at[-1] + 1) * voxel))
            spans.append(slice(max(start, span.start), min(stop, span.stop)))
        return None if any(span.start >= span.stop for span in spans) else tuple(spans)


def patch_to_volume_matrices(window: Window, covered: Region, patch: int) -> Iterator[FloatArray]:
    """Yield for each axis the matrix from the patch to the covered voxels of a window."""
    voxels = [np.arange(span.start, span.stop) for span in covered]
    return patch_to_voxels_matrices(window, voxels, patch)


def patch_to_voxels_matrices(
    window: Window, voxels: Iterable[NDArray[np.int_]], patch: int
) -> Iterator[FloatArray]:
    """Yield for each axis the matrix from the patch to some voxels."""
    for low, size, at in zip(window.low, window.size, voxels):
        yield linear_interpolation_matrix((at - low + 0.5) * patch / size - 0.5, patch, support=1.0)


def _resample(values: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Apply one matrix along each axis."""
    along_z, *plane = matrices
    slices = (along_z @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])
    return _in_plane(slices, plane)


def _in_plane(slices: Tensor, plane: list[Tensor]) -> Tensor:
    """Apply one matrix along y and one along x."""
    along_y, along_x = plane
    return along_y @ slices @ along_x.T


def _z_score(voxels: Tensor, intensity: Intensity) -> Tensor:
    return (voxels.float() - intensity.mean) / float(np.float32(intensity.deviation + EPSILON))
