"""Where to look when no box was drawn: round the clicks and what was found so far.

The window begins as the native patch round the first click. It is laid round the label's last
answer and all of its clicks, and grows while the prediction leaves it through a face that lies
inside the volume.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from torch import Tensor

from segbench.core import Box, Click, LabelMap, Mask

from .crop import Region, Window, as_voxel

GROWTH = 1.5  # of the window's edges, between two looks
MOST_LOOKS = 5
TOUCH = 0.002  # share of a face that the prediction must cover to leave through it


def box_to_follow(label: int, clicks: Sequence[Click], found: Region | None) -> Box:
    """Return the smallest box round all clicks and the label's last answer, and what they imply.

    The user clicks into the middle of what is missing. A positive click outside the answer
    therefore says that the object goes on as far behind it, and a click into the shell round an
    answer that is too small says so of all sides.
    """
    low, high = np.min([click.at for click in clicks], 0), np.max([click.at for click in clicks], 0)
    if found is not None:
        start, last = np.array([(span.start, span.stop - 1) for span in found]).T
        at = np.array(clicks[-1].at)
        beyond = np.maximum(np.maximum(start - at, at - last), 0) * clicks[-1].positive
        low = np.minimum(low, start - 2 * beyond)
        high = np.maximum(high, last + 2 * beyond)
    return Box(label, as_voxel(low), as_voxel(high + 1), drawn_at=int(low[0] + high[0]) // 2)


def leaves(prediction: Tensor, window: Window, shape: tuple[int, ...]) -> bool:
    """Whether a (patch, patch, patch) mask touches a face of the window inside the volume."""
    faces = []
    for axis, (low, size, n) in enumerate(zip(window.low, window.size, shape)):
        if low > 0:
            faces.append(prediction.select(axis, 0))
        if low + size < n:
            faces.append(prediction.select(axis, -1))
    if not faces:
        return False
    shares = torch.stack(faces).float().mean(dim=(1, 2))
    return bool((shares >= TOUCH).any())


def carry_over(previous: Mask, seen: Mask, window: Window, wider: Window) -> Mask:
    """Put the prediction seen in ``window`` over the previous mask on the patch of ``wider``.

    Both masks are on the patch of their window; voxels take the nearest.
    """
    patch = len(seen)
    sources, targets = [], []
    for low, size, start, edge in zip(window.low, window.size, wider.low, wider.size):
        at = start + (np.arange(patch) + 0.5) * edge / patch
        nearest: NDArray[np.int64] = np.floor((at - low) * patch / size).astype(np.int64)
        inside = np.flatnonzero((nearest >= 0) & (nearest < patch))
        sources.append(nearest[inside])
        targets.append(inside)
    carried = previous.copy()
    carried[np.ix_(*targets)] = seen[np.ix_(*sources)]
    return carried


def boxes_found(previous: LabelMap) -> Sequence[Region | None]:
    """Return the smallest box of every label of the last answer; entry 0 is label 1."""
    found: Sequence[Region | None] = find_objects(previous)
    return found
