"""From one probability map a label to one label map (section 2.5 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segbench.core import LabelMap

from .crop import Floats


@dataclass(frozen=True)
class Part:
    """What the network says of one label: probabilities inside a region, zero elsewhere."""

    label: int
    region: tuple[slice, ...]
    probability: Floats  # shape of the region


def merge(parts: Sequence[Part], shape: tuple[int, ...]) -> LabelMap:
    """Return argmax over {p_bg, p_1, ..., p_K}, where p_bg is the product of all 1 - p_c.

    Equal probabilities go to the background first, then to the smaller label. Only the box that
    holds all regions is ever stored as floats.
    """
    ordered = sorted(parts, key=lambda part: part.label)
    labels = np.zeros(shape, dtype=smallest_dtype([part.label for part in ordered]))
    if not ordered:
        return labels
    union = _union([part.region for part in ordered])
    inside = labels[union]
    background = np.ones(inside.shape, dtype=np.float32)
    best = np.zeros(inside.shape, dtype=np.float32)
    for part in ordered:
        here = tuple(
            slice(own.start - whole.start, own.stop - whole.start)
            for own, whole in zip(part.region, union)
        )
        background[here] *= 1 - part.probability
        better = part.probability > best[here]
        inside[here][better] = part.label
        best[here][better] = part.probability[better]
    inside[best <= background] = 0
    return labels


def smallest_dtype(labels: Sequence[int]) -> type[np.uint8] | type[np.uint16]:
    """Return the smaller of uint8 and uint16 that holds every label."""
    return np.uint8 if max(labels, default=0) <= np.iinfo(np.uint8).max else np.uint16


def _union(regions: Sequence[tuple[slice, ...]]) -> tuple[slice, ...]:
    """Return the smallest box that holds all regions."""
    return tuple(
        slice(min(span.start for span in spans), max(span.stop for span in spans))
        for spans in zip(*regions)
    )
