"""Separable linear operations on batches of volumes: one matrix per sample and axis.

Interpolation, blur and thick slices are all of this kind. A product of matrices is fast on a
processor and on a GPU, and does not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NOISE_GRID = 12  # values per axis of the coarse noise that a scene stores
SAMPLED = 5  # voxels of which one counts for the deviation of noise


def apply_along_axes(volumes: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiply each axis of (n, channels, z, y, x) by a matrix (n, out, in) per sample."""
    for axis, matrix in zip((2, 3, 4), matrices):
        moved = volumes.movedim(axis, -1)
        product = torch.bmm(moved.flatten(1, -2), matrix.transpose(1, 2))
        volumes = product.view(*moved.shape[:-1], -1).movedim(-1, axis)
    return volumes.contiguous()


def smooth_noise(grids: Tensor, cells: Tensor, patch: int) -> Tensor:
    """Interpolate coarse noise to the patch, with (nearly) unit deviation per sample.

    Parameters
    ----------
    grids : (n, channels, NOISE_GRID, NOISE_GRID, NOISE_GRID)
        White noise.
    cells : (n,)
        Number of coarse values that the patch spans, at most ``NOISE_GRID``.
    patch : int
        Edge of the result, (n, channels, patch, patch, patch).
    """
    steps = torch.linspace(0, 1, patch, device=grids.device)
    positions = (cells.to(grids.dtype) - 1)[:, None, None] * steps[None, :, None]
    nodes = torch.arange(grids.shape[-1], device=grids.device)
    matrix = (1 - (positions - nodes).abs()).clamp_min(0)
    noise = apply_along_axes(grids, (matrix,) * 3)
    deviation = noise.flatten(1)[:, ::SAMPLED].std(dim=1)
    return noise / (deviation.view(-1, 1, 1, 1, 1) + 1e-6)


def blur(volumes: Tensor, sigmas: Tensor) -> Tensor:
    """Blur (n, channels, z, y, x) with a Gaussian of ``sigmas`` (n,) voxels; below 0.2 not at all.

    At a face the kernel is cut and its sum kept at one.
    """
    patch = volumes.shape[-1]
    at = torch.arange(patch, device=volumes.device, dtype=volumes.dtype)
    squares = (at[:, None] - at[None, :]).square()
    width = sigmas.to(volumes.dtype).clamp_min(0.2).view(-1, 1, 1)
    kernel = torch.exp(-0.5 * squares / width.square())
    identity = torch.eye(patch, device=volumes.device, dtype=volumes.dtype)
    kernel = torch.where(sigmas.view(-1, 1, 1) < 0.2, identity, kernel)
    kernel = kernel / kernel.sum(dim=2, keepdim=True)
    return apply_along_axes(volumes, (kernel,) * 3)


def thick_slice_matrix(patch: int, slices: int) -> Tensor:
    """Return the (patch, patch) matrix that averages groups of slices and interpolates linearly."""
    if slices == 1:
        return torch.eye(patch)
    groups = torch.arange(patch) // slices
    n_groups = int(groups[-1]) + 1
    average = (groups[None, :] == torch.arange(n_groups)[:, None]).float()
    average = average / average.sum(dim=1, keepdim=True)
    centres = ((torch.arange(patch) + 0.5) / slices - 0.5).clamp(0, n_groups - 1)
    hats = (1 - (centres[:, None] - torch.arange(n_groups)[None, :]).abs()).clamp_min(0)
    return (hats / hats.sum(dim=1, keepdim=True)) @ average
