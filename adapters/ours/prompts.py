"""The network's input: the image and the prompts as eight channels, in the weights' order.

The order is that of nnInteractive's weights, with which the paper's training starts: image,
previous segmentation, box, negative box, positive clicks, negative clicks, and two scribble
channels. The challenge has no negative boxes and no scribbles: these channels are zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, Click

from .crop import Region, Window

CHANNELS = 8
IMAGE, PREVIOUS, BOX, POSITIVE, NEGATIVE = 0, 1, 2, 4, 5


def draw_box(channels: NDArray[Any], box: Box, window: Window) -> None:
    """Fill the box."""
    channels[BOX][box_on_patch(box, window, channels.shape[1])] = 1


def box_on_patch(box: Box, window: Window, patch: int) -> Region:
    """Return every patch voxel whose centre is inside the box, and at least one per axis."""
    sides = zip(box.low, box.high, window.low, window.size)
    return tuple(_span(low, high, start, patch / size) for low, high, start, size in sides)


def draw_clicks(
    channels: NDArray[Any], clicks: Iterable[Click], window: Window, radius: float
) -> None:
    """Draw each click as a ball of ``radius`` patch voxels (Eq. 3-4).

    Balls are clipped to the patch; a click far outside the window draws nothing.
    """
    for click in clicks:
        centre = patch_position(click, window, channels.shape[1])
        draw_ball(channels[POSITIVE if click.positive else NEGATIVE], centre, radius)


def patch_position(click: Click, window: Window, patch: int) -> NDArray[np.float64]:
    """Return the position of the clicked voxel's centre in the patch, in patch voxels."""
    low, size = np.array(window.low), np.array(window.size)
    position: NDArray[np.float64] = (np.array(click.voxel) + 0.5 - low) * patch / size - 0.5
    return position


def draw_ball(channel: NDArray[Any], centre: NDArray[np.float64], radius: float) -> None:
    """Set to 1 every voxel at most ``radius`` from ``centre``; writes only to its neighbourhood."""
    low = np.clip(np.floor(centre - radius).astype(int), 0, channel.shape)
    high = np.clip(np.ceil(centre + radius).astype(int) + 1, 0, channel.shape)
    offsets = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high))]
    squares = sum((offset - c) ** 2 for offset, c in zip(offsets, centre))
    channel[tuple(slice(a, b) for a, b in zip(low, high))][squares <= radius**2] = 1


def ball_radius(patch: int) -> float:
    """Return the click radius for a patch: 4 voxels at 192, in proportion below, at least 2.

    In proportion, so that a ball marks the same part of the object. At least 2, because a single
    voxel is lost in the first strided convolution.
    """
    return max(4 * patch / 192, 2.0)


def _span(low: int, high: int, start: int, scale: float) -> slice:
    """Return the patch voxels of one axis whose centres are in ``low <= voxel < high``."""
    first = int(np.ceil((low - start) * scale - 0.5))
    last = int(np.ceil((high - start) * scale - 0.5))
    if last <= first:  # thinner than a patch voxel: the one at its centre
        first = int(np.floor(((low + high) / 2 - start) * scale))
        last = first + 1
    return slice(max(first, 0), max(last, 0))
