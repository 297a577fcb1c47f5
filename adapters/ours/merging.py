"""From the logits of every label to one label map (section 2.5 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segbench.core import LabelMap
from segbench_adapters import kit

from .crop import Region
from .resampling import slabs

Score = Callable[[Tensor], Tensor]  # from logits to what is compared


class SlicedLogits(Protocol):
    """Logits over a region of the volume, a few slices at a time."""

    @property
    def region(self) -> Region:
        """The voxels that the logits cover."""

    def slices(self, span: slice) -> Tensor:
        """Return the logits of some slices."""


Logits = TypeVar("Logits", bound=SlicedLogits, covariant=True)


@dataclass(frozen=True)
class LabelLogits(Generic[Logits]):
    """The logits of one label inside a region; outside it the label's probability is zero."""

    label: int
    logits: Logits

    @property
    def region(self) -> Region:
        """The voxels that the logits cover."""
        return self.logits.region


def merge(
    all_logits: Sequence[LabelLogits[SlicedLogits]],
    shape: tuple[int, ...],
    device: torch.device,
    score: Score | None = None,
) -> LabelMap:
    """Return argmax over {p_bg, p_1, ..., p_K}, where p_bg is the product of all 1 - p_c.

    Log-probabilities are compared; ties go to the background, then to the smaller label. With
    ``score`` its values replace the log-probabilities of the labels. The result is copied from the
    device once, at the end.
    """
    ordered = sorted(all_logits, key=lambda one: one.label)
    dtype = kit.label_map_dtype(one.label for one in ordered)
    segmentation = empty_segmentation(shape, dtype, device)
    if ordered:
        for slab in slabs(bounding_region([one.region for one in ordered])[0]):
            present = [one for one in ordered if overlap(one.region[0], slab)]
            _merge_slices(segmentation, slab, present, score)
    return segmentation.cpu().numpy().astype(dtype, copy=False)


def empty_segmentation(
    shape: tuple[int, ...], dtype: type[np.unsignedinteger[Any]], device: torch.device
) -> Tensor:
    """Return zeros on a device, for labels of a type; torch has little for unsigned 16 bits."""
    torch_dtype = torch.uint8 if dtype is np.uint8 else torch.int32
    return torch.zeros(shape, dtype=torch_dtype, device=device)


def _merge_slices(
    segmentation: Tensor,
    slab: slice,
    all_logits: Sequence[LabelLogits[SlicedLogits]],
    score: Score | None,
) -> None:
    """Merge a few slices, within the bounding rectangle of all regions."""
    if not all_logits:  # between two windows
        return
    if len(all_logits) == 1 and score is None:  # p > 1 - p: nothing to compare with
        (one,) = all_logits
        span = intersection(one.region[0], slab)
        segmentation[(span, *one.region[1:])] = (one.logits.slices(span) > 0) * one.label
        return
    union = (slab, *bounding_region([one.region for one in all_logits])[1:])
    inside = segmentation[union]
    background = torch.zeros(inside.shape, device=segmentation.device)
    best = torch.full(inside.shape, -torch.inf, device=segmentation.device)
    for one in all_logits:
        span = intersection(one.region[0], slab)
        logits = one.logits.slices(span)
        here = relative((span, *one.region[1:]), union)
        background[here] -= F.softplus(logits)
        scores = -F.softplus(-logits) if score is None else score(logits)
        inside[here] = torch.where(scores > best[here], one.label, inside[here])
        best[here] = torch.maximum(best[here], scores)
    inside *= best > background


def intersection(span: slice, other: slice) -> slice:
    """Return what two spans have in common; it may end before it starts."""
    return slice(max(span.start, other.start), min(span.stop, other.stop))


def overlap(span: slice, other: slice) -> bool:
    """Whether two spans have an index in common."""
    common = intersection(span, other)
    return bool(common.start < common.stop)


def relative(region: Region, whole: Region) -> Region:
    """Return a region in coordinates of a larger one."""
    return tuple(
        slice(own.start - outer.start, own.stop - outer.start) for own, outer in zip(region, whole)
    )


def bounding_region(regions: Sequence[Region]) -> Region:
    """Return the smallest region that contains all regions."""
    return tuple(
        slice(min(span.start for span in spans), max(span.stop for span in spans))
        for spans in zip(*regions)
    )
