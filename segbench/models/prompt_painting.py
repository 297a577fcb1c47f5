"""Paint prompts into a label map: the baselines without a network do only this.

numpy only, syntax of Python 3.9: adapters import this.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segbench.arrays import label_map_dtype
from segbench.core import Click, Interactions, LabelMap, Mask, Roi, Voxel

BALL_RADIUS = (
    4.0  # voxels, as the paper's click channels (section 2.2 of the paper that `ours` follows)
)


def paint_prompts(interactions: Interactions, fill: Callable[[Voxel], Mask]) -> LabelMap:
    """Return a label map of the prompts alone, later ones over earlier ones.

    Parameters
    ----------
    interactions : Interactions
        Boxes are filled with ``fill``; a positive click paints a ball of its label, a negative
        one erases its label from a ball.
    fill : callable
        Takes the size of a box in voxels (z, y, x), returns the bool mask to fill in the box.

    Returns
    -------
    uint8 or uint16 array, shape of the previous segmentation
        uint16 if a label is above 255.
    """
    labels = (prompt.label for prompts in interactions.rounds for prompt in prompts)
    segmentation = np.zeros(interactions.previous_segmentation.shape, label_map_dtype(labels))
    for box in interactions.boxes:
        roi = tuple(slice(a, b) for a, b in zip(box.low, box.high))
        size = segmentation[roi].shape  # smaller than the box where that exceeds the volume
        z, y, x = size
        segmentation[roi][fill((z, y, x))] = box.label
    for click in interactions.clicks:
        _paint_click(segmentation, click)
    return segmentation


def _paint_click(segmentation: LabelMap, click: Click) -> None:
    roi, mask = ball_mask(segmentation.shape, click.voxel, BALL_RADIUS)
    crop = segmentation[roi]
    if click.positive:
        crop[mask] = click.label
    else:
        crop[mask & (crop == click.label)] = 0


def ball_mask(shape: tuple[int, ...], center: Voxel, radius: float) -> tuple[Roi, Mask]:
    """Return the region of interest of a ball, cropped to the volume, and its mask in there.

    A voxel is inside if its distance to ``center`` is at most ``radius``, both in voxels.
    """
    half_width = int(radius)
    lows = [max(c - half_width, 0) for c in center]
    highs = [min(c + half_width + 1, n) for c, n in zip(center, shape)]
    z, y, x = (np.arange(a, b) - c for a, b, c in zip(lows, highs, center))
    squares = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2
    roi = (slice(lows[0], highs[0]), slice(lows[1], highs[1]), slice(lows[2], highs[2]))
    return roi, squares <= radius**2
