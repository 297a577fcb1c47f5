"""The geometry of the authors' submission, with one switch per bug.

Reimplemented from a description of its behaviour, to measure the effect of each bug. The names
are those of ``options.BUGS``. Without any bug this is the paper's geometry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segbench.core import Box, Click, Interactions
from segbench.errors import AdapterError

from .crop import (
    Region,
    Window,
    as_voxel,
    default_box,
    window_around,
    window_around_prompts,
)
from .prompts import NEGATIVE, POSITIVE, draw_ball, patch_position

Bugs = Collection[str]


@dataclass(frozen=True)
class CropFrame:
    """A box, the window that is cropped, and the window assumed for clicks and output.

    The two windows differ only with ``pasted_at_origin``.
    """

    box: Box
    window: Window
    assumed_window: Window


def crop_frame(
    box: Box,
    clicks: Sequence[Click],
    patch: int,
    *,
    region: Region,
    bugs: Bugs,
    zoom_in: bool,
) -> CropFrame:
    """Return the window around a box; without ``fixed_crop`` it includes the clicks, too."""
    if "closed_boxes" in bugs:
        box = replace(box, high=as_voxel(n - 1 for n in box.high))
    if "fixed_crop" in bugs:
        window = window_around(box, patch, zoom_in=zoom_in)
    else:
        window = window_around_prompts(box, clicks, patch, zoom_in=zoom_in)
    if "rounded_centre" in bugs:
        window = replace(window, low=_rounded_low(box, window, region))
    assumed_window = window
    if "pasted_at_origin" in bugs and window.clipped_to(region) == _spans(window):
        assumed_window = Window(as_voxel(span.start for span in region), (patch, patch, patch))
    return CropFrame(box, window, assumed_window)


def default_box_for(label: int, labels: Sequence[int], region: Region, bugs: Bugs) -> Box | None:
    """Return the default box of a label without a drawn one; None if it gets none."""
    if "one_default_box" in bugs and label != labels[0]:
        return None
    box = default_box(tuple(span.stop - span.start for span in region), label)
    low, high = (
        as_voxel(n + span.start for n, span in zip(ends, region)) for ends in (box.low, box.high)
    )
    # the submission's default box does not lose its last planes
    kept = as_voxel(n + ("closed_boxes" in bugs) for n in high)
    return Box(label, low, kept, mid_slice=box.mid_slice + region[0].start)


def box_to_draw(box: Box, region: Region, bugs: Bugs) -> Box | None:
    """Return the part of a box that the submission draws; None if that is empty."""
    low, high = box.low, box.high
    if "negative_slices" in bugs:
        spans = [
            slice(start - span.start, stop - span.start).indices(span.stop - span.start)
            for start, stop, span in zip(low, high, region)
        ]
        low = as_voxel(start + side.start for (start, _, _), side in zip(spans, region))
        high = as_voxel(stop + side.start for (_, stop, _), side in zip(spans, region))
    if any(stop <= start for start, stop in zip(low, high)):
        return None
    return replace(box, low=low, high=high)


def draw_clicks_in_frame(
    channels: NDArray[Any], frame: CropFrame, clicks: Iterable[Click], radius: float, bugs: Bugs
) -> None:
    """Draw a label's clicks at their positions in the assumed window."""
    patch = channels.shape[1]
    if "open_balls" in bugs:
        radius = float(np.nextafter(radius, 0))
    for click in clicks:
        if "outside_clicks" in bugs and not frame.assumed_window.contains(click.voxel):
            continue
        centre = patch_position(click, frame.assumed_window, patch)
        if "corner_clicks" in bugs:
            centre -= 0.5 * patch / np.array(frame.assumed_window.size) - 0.5
        draw_ball(channels[POSITIVE if click.positive else NEGATIVE], centre, radius)


class FailedLabelLogits:
    """The submission's logits of a label that failed: 0 everywhere except in one slice."""

    def __init__(self, region: Region, device: torch.device) -> None:
        self.region = region
        self._device = device

    def slices(self, span: slice) -> Tensor:
        """Return the logits in some slices of the region; the second slice has minus infinity."""
        _, y, x = (side.stop - side.start for side in self.region)
        logits = torch.zeros((span.stop - span.start, y, x), device=self._device)
        second = self.region[0].start + 1
        if span.start <= second < span.stop:
            logits[second - span.start] = -torch.inf
        return logits


def refuse_missing_clicks(interactions: Interactions, labels: Sequence[int]) -> None:
    """Raise if some label has no click in some round, as the submission does."""
    for step, prompts in enumerate(interactions.rounds[1:], start=1):
        missing = sorted(set(labels) - {prompt.label for prompt in prompts})
        if missing:
            raise AdapterError(
                f"ours: KeyError(None): no click for label {missing[0]} in step {step}"
            )


def _rounded_low(box: Box, window: Window, region: Region) -> tuple[int, int, int]:
    return as_voxel(
        round((low + high) / 2 - span.start) - size // 2 + span.start
        for low, high, size, span in zip(box.low, box.high, window.size, region)
    )


def _spans(window: Window) -> Region:
    return tuple(slice(low, low + size) for low, size in zip(window.low, window.size))
