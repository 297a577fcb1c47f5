"""From the probability of every label to one label map, in which labels may be inside others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from segbench.core import LabelMap
from segbench_adapters import kit

from .._nesting import drawing_order, nesting_table
from .crop import Region
from .merging import bounding_region, empty_segmentation, intersection, overlap, relative
from .refinement import LabelProbability
from .resampling import slabs


def merge_nested(
    labels: Sequence[LabelProbability], shape: tuple[int, ...], device: torch.device
) -> LabelMap:
    """Return the label map; a voxel needs a probability above 0.5, and ties go to smaller labels.

    `_nesting.py` has the rule for labels that are inside others.
    """
    labels = sorted(labels, key=lambda one: one.label)
    dtype = kit.label_map_dtype(one.label for one in labels)
    segmentation = empty_segmentation(shape, dtype, device)
    if labels:
        extents = [one.extent for one in labels]
        order = drawing_order(extents)
        is_inside = torch.from_numpy(nesting_table(extents)).to(device)
        for slab in slabs(bounding_region([one.region for one in labels])[0]):
            present = [i for i in order if overlap(labels[i].region[0], slab)]
            _merge_slices(segmentation, slab, labels, present, is_inside)
    return segmentation.cpu().numpy().astype(dtype, copy=False)


def _merge_slices(
    segmentation: Tensor,
    slab: slice,
    labels: Sequence[LabelProbability],
    present: Sequence[int],
    is_inside: Tensor,
) -> None:
    """Merge the labels that are present in a few slices, in the order given."""
    if len(present) == 1:
        one = labels[present[0]]
        span = intersection(one.region[0], slab)
        segmentation[(span, *one.region[1:])] = (one.probability.slices(span) > 0.5) * one.label
    elif present:
        union = (slab, *bounding_region([labels[i].region for i in present])[1:])
        numbers = torch.tensor([0, *(one.label for one in labels)], device=segmentation.device)
        owners = _owners(labels, present, union, is_inside)
        segmentation[union] = numbers.to(segmentation.dtype)[owners]


def _owners(
    labels: Sequence[LabelProbability], present: Sequence[int], union: Region, is_inside: Tensor
) -> Tensor:
    """Return who gets each voxel of a region: 0 nobody, i + 1 the label ``labels[i]``."""
    size = [span.stop - span.start for span in union]
    owners = torch.zeros(size, dtype=torch.int32, device=is_inside.device)
    best = torch.full(size, 0.5, device=is_inside.device)
    for i in present:
        one = labels[i]
        span = intersection(one.region[0], union[0])
        here = relative((span, *one.region[1:]), union)
        probability = one.probability.slices(span)
        rivals = owners[here]
        equal = (probability == best[here]) & (i + 1 < rivals)
        wins = (probability > 0.5) & ((probability > best[here]) | equal | is_inside[i][rivals])
        owners[here] = torch.where(wins, i + 1, rivals)
        best[here] = torch.where(wins, probability, best[here])
    return owners
