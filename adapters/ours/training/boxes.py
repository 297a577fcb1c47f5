"""Simulated boxes in batches, on any device: by the challenge's rule, tight, or imprecise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segbench.core import Voxel

KINDS = ("middle_slice", "tight", "imprecise")
KIND_PROBABILITIES = (0.5, 0.2, 0.3)


@dataclass(frozen=True)
class BoxParameters:
    """How a box deviates from the object.

    The challenge draws the in-plane sides on the middle slice only, so objects may extend outside.
    """

    kind: str
    across: int  # axis across the slices: any, as the axes of crops are exchanged
    shift: int  # 0 to 5, in voxels of a patch of 256
    low: tuple[float, float, float]  # in [0, 1): imprecision of each face
    high: tuple[float, float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> BoxParameters:
        """Draw a kind of box and its numbers."""
        kind = KINDS[int(rng.choice(len(KINDS), p=KIND_PROBABILITIES))]
        across, shift = int(rng.integers(3)), int(rng.integers(0, 6))
        low, high = ((float(z), float(y), float(x)) for z, y, x in rng.random((2, 3)))
        return cls(kind, across, shift, low, high)


@dataclass(frozen=True)
class PatchBox:
    """A half-open box in voxels of the patch, which is drawn as it is."""

    low: Voxel
    high: Voxel
    kind: str = "given"


def simulated_boxes(
    references: Tensor, parameters: Sequence[BoxParameters | PatchBox]
) -> tuple[Tensor, Tensor]:
    """Return the half-open corners (n, 3) of a box around each (n, z, y, x) mask."""
    low, high = tight_boxes(references)
    for kind, draw in DRAWN.items():
        rows = [row for row, box in enumerate(parameters) if box.kind == kind]
        if rows:
            at = torch.tensor(rows, device=references.device)
            chosen = [parameters[row] for row in rows]
            low[at], high[at] = draw(references[at], chosen, low[at], high[at])
    return low, high


def tight_boxes(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the half-open corners (n, 3) of the smallest box around each (n, z, y, x) mask.

    Of an empty mask the first corner is the edge of the volume, and the second is 0.
    """
    used = [masks.any(dim=tuple(a for a in (1, 2, 3) if a != axis)) for axis in (1, 2, 3)]
    lows, highs = zip(*(_extent(line) for line in used))
    return torch.stack(lows, dim=1), torch.stack(highs, dim=1)


def _extent(used: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first used place of each (n, edge) row, and the one after the last."""
    edge = used.shape[1]
    at = torch.arange(edge, device=used.device)
    first = torch.where(used, at, edge).amin(dim=1)
    last = torch.where(used, at, -1).amax(dim=1)
    return first, last + 1


def _middle_slice_boxes(
    masks: Tensor, parameters: Sequence[BoxParameters], low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Return boxes whose in-plane sides are those of the middle slice, shifted outwards."""
    patch, device = masks.shape[-1], masks.device
    across = torch.tensor([box.across for box in parameters], device=device)
    shift = torch.tensor([box.shift for box in parameters], device=device) * patch // 256
    moved = torch.stack([mask.movedim(axis, 0) for mask, axis in zip(masks, across.tolist())])
    used = moved.any(dim=3).any(dim=2)
    # the middle one of the used slices, which may have gaps between them
    middle_rank = used.sum(dim=1) // 2 + 1
    reached = used & (used.cumsum(dim=1) == middle_rank[:, None])
    middle = reached.long().argmax(dim=1)
    planes = moved[torch.arange(len(masks), device=device), middle]
    low, high = low.clone(), high.clone()
    for side, used_side in enumerate((planes.any(dim=2), planes.any(dim=1))):
        first, end = _extent(used_side)
        # the remaining axes, in their order
        axis = side + (across <= side).long()
        low.scatter_(1, axis[:, None], (first - shift).clamp_min(0)[:, None])
        high.scatter_(1, axis[:, None], (end + shift)[:, None])
    return low, high


def _imprecise_boxes(
    masks: Tensor, parameters: Sequence[BoxParameters], low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Return boxes whose faces are a little outside or inside the object; none is empty."""
    patch, device = masks.shape[-1], masks.device
    out, into = patch // 12, patch // 24
    inwards = torch.tensor([box.low for box in parameters], device=device)
    outwards = torch.tensor([box.high for box in parameters], device=device)
    into_object = (high - low - 1) // 2  # at most to the middle of the object
    new_low = low - out + (inwards * (out + into + 1)).floor().long()
    new_high = high - into + (outwards * (out + into + 1)).floor().long()
    new_low = torch.minimum(new_low, low + into_object).clamp_min(0)
    return new_low, torch.maximum(new_high, high - into_object)


def _given_boxes(
    masks: Tensor, parameters: Sequence[PatchBox], low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    lows, highs = ([getattr(box, end) for box in parameters] for end in ("low", "high"))
    return low.new_tensor(lows), high.new_tensor(highs)


DRAWN: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {  # the kind "tight" is the default
    "middle_slice": _middle_slice_boxes,
    "imprecise": _imprecise_boxes,
    "given": _given_boxes,
}
