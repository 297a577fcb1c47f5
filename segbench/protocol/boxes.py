"""The challenge's box: its in-plane sides come from one slice, with some slack."""

from __future__ import annotations

import numpy as np

from segbench.core import Box, Mask

MAX_SLACK = 5  # pixels on a slice of 256 x 256


def draw_box(mask: Mask, label: int, rng: np.random.Generator) -> Box:
    """Draw the box of one object as the challenge does.

    The extent in z is exact. The in-plane sides are those of the object on its middle occupied
    slice only, widened by one random slack, so the object may stick out on other slices.

    Parameters
    ----------
    mask : bool array, shape (z, y, x), with at least one voxel
    label : the label the box belongs to
    rng : draws the slack, 0 to 5 pixels on a slice of 256 x 256

    References
    ----------
    PROTOCOL 2.3, after the challenge's get_boxes.py.
    """
    return box_with_slack(mask, label, int(rng.integers(0, MAX_SLACK + 1)))


def box_with_slack(mask: Mask, label: int, slack: int) -> Box:
    """Return the challenge's box of one object, its in-plane sides widened by a known slack.

    Parameters
    ----------
    mask : bool array, shape (z, y, x), with at least one voxel
    label : the label the box belongs to
    slack : pixels on a slice of 256 x 256, 0 for a box that fits the middle slice
    """
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    middle = int(slices[len(slices) // 2])
    y_low, y_high = _side(mask[middle].any(axis=1), slack)
    x_low, x_high = _side(mask[middle].any(axis=0), slack)
    low = (int(slices[0]), y_low, x_low)
    return Box(label, low, (int(slices[-1]) + 1, y_high, x_high), mid_slice=middle)


def widest_slack(side: int) -> int:
    """Return how many pixels the rule may widen a box to either side on an axis of this length."""
    return int(MAX_SLACK * side / 256)


def _side(profile: Mask, slack: int) -> tuple[int, int]:
    """Return the half-open extent of a profile, widened and clamped to it."""
    indices = np.flatnonzero(profile)
    extra = int(slack * profile.size / 256)
    return max(int(indices[0]) - extra, 0), min(int(indices[-1]) + extra + 1, profile.size)
