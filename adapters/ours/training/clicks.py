"""The simulated user on any device, in batches: the deepest voxel of the largest error.

The same rule as ``segbench.protocol.simulator``, in torch alone: largest 26-connected component,
first in memory among equals; exact Euclidean depth in voxels, outside the volume is outside. Of
equally deep voxels the first one is taken, where the protocol draws one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_VOXELS = 1 << 24  # of a volume: component labels are float32 numbers
JUMPS = 5  # of labels to the label of their label, between two comparisons with neighbours


@dataclass(frozen=True)
class BatchClicks:
    """One click per sample."""

    voxels: Tensor  # (n, 3), int64
    positive: Tensor  # (n,), bool
    exists: Tensor  # (n,), bool; False where prediction and reference are equal


def next_clicks(predictions: Tensor, references: Tensor) -> BatchClicks:
    """Return the next click of each sample of two (n, z, y, x) bool tensors."""
    errors = predictions ^ references
    depth = squared_depth(largest_components(errors)).flatten(1)
    deepest = depth.argmax(dim=1)
    _, height, width = errors.shape[1:]
    voxels = torch.stack(
        (deepest // (height * width), deepest // width % height, deepest % width), dim=1
    )
    positive = references.flatten(1).gather(1, deepest[:, None])[:, 0]
    return BatchClicks(voxels, positive, errors.flatten(1).any(dim=1))


def largest_components(masks: Tensor) -> Tensor:
    """Return the largest 26-connected component of each (n, z, y, x) bool mask.

    Of components of equal size the one with the first voxel in memory.

    Notes
    -----
    A label is the number of voxels from a voxel of the component to the end of the volume, so the
    first voxel has the largest one. Labels spread by a maximum over the 26 neighbours. After each
    look at the neighbours every label also jumps to the largest label that any voxel of the same
    label has met, several times: a long component takes a few rounds, not one per voxel of length.
    """
    n, size = len(masks), math.prod(masks.shape[1:])
    if size >= MAX_VOXELS:
        raise ValueError(f"a volume of {size} voxels: expected fewer than {MAX_VOXELS}")
    numbers = torch.arange(size, 0, -1, device=masks.device, dtype=torch.float32)
    labels = torch.where(masks, numbers.view(1, *masks.shape[1:]), 0.0)
    start = torch.arange(n, device=masks.device) * (size + 1)  # of a sample's part of the table
    offsets = start.view(-1, 1, 1, 1).expand(masks.shape)
    while True:
        met = F.max_pool3d(labels[:, None], 3, stride=1, padding=1)[:, 0] * masks
        grown = met > labels
        if not bool(grown.any()):
            break
        # entry l of a sample's table: the largest label that the voxels of label l have met
        table = torch.arange(size + 1, device=masks.device).repeat(n)
        at = offsets[grown] + labels[grown].long()
        table.scatter_reduce_(0, at, met[grown].long(), "amax")
        table = table.view(n, size + 1)
        for _ in range(JUMPS):
            table = table.gather(1, table)
        labels = table.gather(1, labels.long().flatten(1)).view(masks.shape).float()
    flat = labels.long().flatten(1)
    sizes = torch.zeros((n, size + 1), dtype=torch.int64, device=masks.device)
    sizes.scatter_add_(1, flat, torch.ones_like(flat))
    sizes[:, 0] = 0
    # larger first, then the larger label, which is the component that comes first
    ranked = sizes * (size + 1) + torch.arange(size + 1, device=masks.device)
    winner = ranked.argmax(dim=1).view(-1, 1, 1, 1)
    return masks & (labels == winner)


def squared_depth(masks: Tensor) -> Tensor:
    """Return the exact squared distance (voxels) to the outside of each (n, z, y, x) bool mask.

    Float32, 0 outside. Felzenszwalb and Huttenlocher's separable minimum, by shifts.
    """
    depth = _distance_along_first_axis(masks).square()
    for axis in (2, 3):
        depth = _smallest_parabola(depth.transpose(axis, 3)).transpose(axis, 3)
    return depth


def _distance_along_first_axis(masks: Tensor) -> Tensor:
    """Return the distance to the nearest voxel outside along z, (n, z, y, x) float32."""
    edge = masks.shape[1]
    at = torch.arange(1, edge + 1, device=masks.device, dtype=torch.float32).view(1, -1, 1, 1)
    before = torch.where(masks, 0.0, at).cummax(dim=1).values
    after = torch.where(masks, 0.0, edge + 1 - at).flip(1).cummax(dim=1).values.flip(1)
    return torch.minimum(at - before, edge + 1 - at - after)


def _smallest_parabola(depth: Tensor) -> Tensor:
    """Return the minimum over j of depth[j] + (i - j)^2 along the last axis; outside is 0."""
    edge = depth.shape[-1]
    at = torch.arange(1, edge + 1, device=depth.device, dtype=depth.dtype)
    border = torch.minimum(at, edge + 1 - at).square()
    smallest = torch.minimum(depth, border)
    reach = math.isqrt(int(smallest.max())) if smallest.numel() else 0
    for shift in range(1, min(reach, edge - 1) + 1):
        square = float(shift * shift)
        smallest[..., shift:] = torch.minimum(smallest[..., shift:], depth[..., :-shift] + square)
        smallest[..., :-shift] = torch.minimum(smallest[..., :-shift], depth[..., shift:] + square)
    return smallest
