"""The network's answer for one label, refined by a random walk that knows edges and clicks.

The prior of the walk is a weighted sum of the network's log-odds and those of the ellipsoid in the
box. The walk itself, and what a click adds to the prior, are those of the adapter `random_walker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segbench.core import Box, Image, Interactions
from segbench_adapters import kit

from .._coarse_grid import CoarseGrid, FloatArray, coarse_grid
from .._nesting import box_extent
from .._random_walk import Hint, box_odds, current_hint, label_roi, random_walk
from .._walk_settings import SMOOTHNESS
from .crop import Region, as_voxel
from .merging import LabelLogits
from .refinement_settings import (
    BOX_WEIGHT,
    MAX_NETWORK_ODDS,
    MAX_REACH,
    NETWORK_WEIGHT,
    NETWORK_WEIGHT_ALONE,
)
from .resampling import PatchOnVolume, ValuesOnVolume, blocks_on_volume, to_device


@dataclass(frozen=True)
class LabelProbability:
    """The probability of one label in a region; outside it is zero."""

    label: int
    extent: Region  # the label's box; without one, that of the voxels with a probability > 0.5
    probability: ValuesOnVolume

    @property
    def region(self) -> Region:
        """The voxels that the probability covers."""
        return self.probability.region


def refine(
    network: LabelLogits[PatchOnVolume], image: Image, box: Box | None, hints: tuple[Hint, ...]
) -> LabelProbability | None:
    """Return the refined probability of a label; None if nothing says where it is.

    Without a box, the walk covers what the network takes for the object.
    """
    around = network_box(network) if box is None else box
    if around is None and not any(hint.positive for hint in hints):
        return None
    grid = coarse_grid(image, label_roi(around, hints, image.voxels.shape))
    odds = prior_odds(network.logits, grid, box)
    smoothness = smoothness_for(grid, around)
    probability = random_walk(grid, image.spacing, odds, box, hints, smoothness)
    extent = foreground_extent(grid, probability) if box is None else box_extent(box)
    values = to_device(probability, network.logits.device)
    blocks = blocks_on_volume(values, grid.roi, grid.factors)
    return LabelProbability(network.label, extent, blocks)


def prior_odds(network_logits: PatchOnVolume, grid: CoarseGrid, box: Box | None) -> FloatArray:
    """Return the log-odds of network and box on a grid."""
    odds = network_odds(network_logits, grid)
    if box is None:
        return NETWORK_WEIGHT_ALONE * odds
    return NETWORK_WEIGHT * odds + BOX_WEIGHT * box_odds(grid, box)


def network_odds(network_logits: PatchOnVolume, grid: CoarseGrid) -> FloatArray:
    """Return the network's log-odds on a grid."""
    shape = as_voxel(grid.values.shape)
    means = network_logits.block_means(grid.roi, grid.factors, shape, outside=-MAX_NETWORK_ODDS)
    odds: FloatArray = means.clamp(-MAX_NETWORK_ODDS, MAX_NETWORK_ODDS).cpu().numpy()
    return odds


def smoothness_for(grid: CoarseGrid, around: Box | None) -> float:
    """Return the smoothness of the walk, less for an object that it would smooth away.

    Where there are no edges, the walk averages the prior within the square root of the smoothness,
    in grid voxels. An object fills about half of its box.
    """
    if around is None:
        return SMOOTHNESS
    sides = [(b - a) / factor for a, b, factor in zip(around.low, around.high, grid.factors)]
    width = float(np.cbrt(0.5 * np.prod(sides)))
    return min(SMOOTHNESS, float((MAX_REACH * width) ** 2))


def click_hints(
    interactions: Interactions, boxes: Mapping[int, Box]
) -> tuple[tuple[int, Hint], ...]:
    """Return the label of each click, and the click with how far it is believed."""
    segmentation = interactions.previous_segmentation
    return tuple(
        (click.label, current_hint(click, segmentation, boxes.get(click.label)))
        for click in interactions.clicks
    )


def foreground_extent(grid: CoarseGrid, probability: FloatArray) -> Region:
    """Return the box of the grid voxels with a probability above 0.5, in image voxels."""
    box = kit.bounding_box(probability > 0.5)
    return tuple(
        slice(cut.start + span.start * factor, cut.start + span.stop * factor)
        for cut, span, factor in zip(grid.roi, box, grid.factors)
    )


def network_box(network: LabelLogits[PatchOnVolume]) -> Box | None:
    """Return the box of what the network takes for the object; None if that is nothing."""
    region = network.logits.foreground_box()
    if region is None:
        return None
    low, high = as_voxel(span.start for span in region), as_voxel(span.stop for span in region)
    return Box(network.label, low, high, mid_slice=(low[0] + high[0]) // 2)
