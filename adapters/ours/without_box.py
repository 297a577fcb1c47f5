"""The crop of a label without a box: around its clicks and its previous segmentation.

At the first click the window is one patch at native resolution. Later it is the crop of a box
around the label's previous segmentation and all its clicks. It is enlarged while the prediction
touches a face of the window that is inside the volume, as in nnInteractive's AutoZoom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from torch import Tensor

from segbench.core import Box, Click, LabelMap, Mask

from .crop import Region, Window, as_voxel, enclosing_box, window_around
from .forward import NetworkOnImage
from .merging import LabelLogits
from .prompts import draw_clicks
from .resampling import PatchOnVolume

WINDOW_GROWTH = 1.5  # factor on the window's edges, between two forward passes
MAX_FORWARD_PASSES = 5
MIN_BORDER_FRACTION = 0.002  # of a face; a prediction that covers less does not touch it


class PreviousBoxes:
    """The bounding boxes of the labels of a segmentation, found together when one is needed."""

    def __init__(self, segmentation: LabelMap) -> None:
        self.segmentation = segmentation

    def of(self, label: int) -> Region | None:
        """Return the box of a label; None if no voxel has it."""
        return self._boxes[label - 1] if label <= len(self._boxes) else None

    @cached_property
    def _boxes(self) -> Sequence[Region | None]:
        boxes: Sequence[Region | None] = find_objects(self.segmentation)
        return boxes


def segment_without_box(
    model: NetworkOnImage, clicks: Sequence[Click], previous: PreviousBoxes, *, zoom_in: bool
) -> LabelLogits[PatchOnVolume]:
    """Segment a label around its clicks; enlarge the crop while the border is touched."""
    label, patch = clicks[0].label, model.recipe.patch
    previous_box = previous.of(label)
    box = estimate_box(clicks, previous_box)
    window = window_around(box, patch, zoom_in=zoom_in and bool(previous_box))
    mask = model.previous_mask(previous.segmentation, window, label)
    logits = _forward_with_clicks(model, window, mask, clicks)
    for _ in range(MAX_FORWARD_PASSES - 1):
        if not touches_border(logits > 0, window, model.voxels.shape):
            break
        prediction = (logits > 0).cpu().numpy()
        wider = window.enlarged(WINDOW_GROWTH)
        mask = model.previous_mask(previous.segmentation, wider, label)
        mask = transfer_prediction(mask, prediction, window, wider)
        window = wider
        logits = _forward_with_clicks(model, window, mask, clicks)
    return LabelLogits(label, PatchOnVolume(logits, window, model.region))


def _forward_with_clicks(
    model: NetworkOnImage, window: Window, previous: Mask, clicks: Sequence[Click]
) -> Tensor:
    prompts = model.prompt_channels(previous)
    draw_clicks(prompts, clicks, window, model.recipe.ball_radius)
    return model.forward(window, prompts)


def estimate_box(clicks: Sequence[Click], previous_box: Region | None) -> Box:
    """Return the box around all clicks and the previous segmentation, extended by the last click.

    The user clicks into the centre of an error. If a positive click is outside the previous
    segmentation, the object extends as far again behind the click. If the segmentation is too
    small, the click is in the shell around it, and the opposite side is missing as much.
    """
    if previous_box is None:
        return enclosing_box(_label_box(clicks[0], clicks[0].voxel, clicks[0].voxel), clicks)
    low, last = [span.start for span in previous_box], [span.stop - 1 for span in previous_box]
    extended = _extend_towards_click(_label_box(clicks[0], low, last), clicks[-1])
    return enclosing_box(extended, clicks)


def _extend_towards_click(box: Box, click: Click) -> Box:
    """Return the box that a segmentation would have without the clicked error."""
    low, last, at = np.array(box.low), np.array(box.high) - 1, np.array(click.voxel)
    beyond = np.maximum(np.maximum(low - at, at - last), 0) * click.positive
    return _label_box(click, low - 2 * beyond, last + 2 * beyond)


def _label_box(click: Click, low: Iterable[int], last: Iterable[int]) -> Box:
    """Return the box of a click's label from its first to its last voxel on each axis."""
    high = as_voxel(n + 1 for n in last)
    return Box(click.label, as_voxel(low), high, mid_slice=click.voxel[0])


def touches_border(prediction: Tensor, window: Window, shape: tuple[int, ...]) -> bool:
    """Whether a (patch, patch, patch) mask touches a face of the window inside the volume."""
    faces = []
    for axis, (low, size, n) in enumerate(zip(window.low, window.size, shape)):
        if low > 0:
            faces.append(prediction.select(axis, 0))
        if low + size < n:
            faces.append(prediction.select(axis, -1))
    if not faces:
        return False
    fractions = torch.stack(faces).float().mean(dim=(1, 2))
    return bool((fractions >= MIN_BORDER_FRACTION).any())


def transfer_prediction(previous: Mask, prediction: Mask, window: Window, wider: Window) -> Mask:
    """Return the previous mask of ``wider`` with the prediction of ``window`` written into it.

    Both masks are on the patch of their window; resampling is nearest neighbour.
    """
    patch = len(prediction)
    sources, targets = [], []
    for low, size, start, edge in zip(window.low, window.size, wider.low, wider.size):
        at = start + (np.arange(patch) + 0.5) * edge / patch
        nearest: NDArray[np.int64] = np.floor((at - low) * patch / size).astype(np.int64)
        inside = np.flatnonzero((nearest >= 0) & (nearest < patch))
        sources.append(nearest[inside])
        targets.append(inside)
    merged = previous.copy()
    merged[np.ix_(*targets)] = prediction[np.ix_(*sources)]
    return merged
