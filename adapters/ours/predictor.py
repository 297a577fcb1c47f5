"""The adapter: one forward pass per label and step, up to five for a label without a box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segbench.core import AdapterInfo, Box, Click, Image, Interactions, LabelMap, Mask
from segbench.errors import AdapterError
from segbench.models.finite_image import finite_image

from . import without_box
from .crop import Region, Window, crop_mask, window_around
from .enforce_clicks import enforce_clicks
from .intensity import Intensity, occupied_box
from .merging import LabelLogits, merge
from .options import OursOptions
from .prompts import CHANNELS, IMAGE, PREVIOUS, draw_box, draw_clicks
from .resampling import PatchOnVolume, crop_to_patch, to_device
from .submission import (
    FailedLabelLogits,
    box_to_draw,
    crop_frame,
    default_box_for,
    draw_clicks_in_frame,
    refuse_missing_clicks,
)
from .weights import load_checkpoint, sha256_of

VERSION = "0.3"
CACHED_VOXELS = 1 << 25  # of image patches, between steps: 128 MiB of float32
FAILURES = (RuntimeError, ValueError, IndexError)  # out of memory, or an impossible crop


class Ours:
    """The model on one image at a time; the output depends on image and interactions only."""

    def __init__(self, weights: Path, *, device: str, options: OursOptions) -> None:
        self.device = select_device(device)
        self.options = options
        network, self.recipe = load_checkpoint(weights)
        self.network = network.to(self.device)
        self.info = AdapterInfo(
            name="ours",
            version=VERSION,
            licence=self.recipe.licence,
            weights_sha256=sha256_of(weights),
            deterministic=self.device.type == "cpu",
            note=self.recipe.training,
        )
        self.set_image(Image(np.zeros((1, 1, 1), np.uint8), (1.0, 1.0, 1.0)), ())

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Set a new image and measure its intensities."""
        self._image: NDArray[Any] = finite_image(image.voxels)
        self._volume = to_device(self._image, self.device)
        self._labels = labels
        self._nonzero_box = occupied_box(self._image)
        self._intensity = Intensity.of(self._image)
        self._image_patches: dict[Window, Tensor] = {}

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment each label in its own crop and merge the labels by probability."""
        bugs = self.options.bugs
        if "empty_image_fails" in bugs and not self._image.any():
            raise AdapterError("ours: ValueError: an image of zeros has no non-zero region")
        if "silent_label_fails" in bugs:
            refuse_missing_clicks(interactions, self._labels)
        with torch.inference_mode():
            all_logits = list(self._all_logits(interactions))
            mixed = "mixed_merge" in bugs
            segmentation = merge(all_logits, self._image.shape, self.device, mixed=mixed)
        if self.options.enforce_clicks:
            enforce_clicks(segmentation, interactions.clicks, self._image, self._intensity)
        return segmentation

    def close(self) -> None:
        """Drop the cached image patches."""
        self._image_patches.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    # ---- one label ---------------------------------------------------------------------------

    def _all_logits(self, interactions: Interactions) -> Iterator[LabelLogits]:
        """Yield the logits of each label that has a box, drawn or default, or clicks."""
        boxes = {box.label: box for box in interactions.boxes}
        previous_boxes: Sequence[Region | None] | None = None
        for label in self._labels:
            box = boxes.get(label) or self._default_box(label, interactions)
            clicks = [click for click in interactions.clicks if click.label == label]
            try:
                if box is not None:
                    yield self._with_box(box, clicks, interactions)
                elif clicks and self.options.no_box == "follow":
                    if previous_boxes is None:
                        previous_boxes = without_box.label_boxes(interactions.previous_segmentation)
                    known = label <= len(previous_boxes)
                    previous_box = previous_boxes[label - 1] if known else None
                    yield self._without_box(clicks, previous_box, interactions)
            except FAILURES:
                if "failing_label_fills" not in self.options.bugs:
                    raise
                yield LabelLogits(label, FailedLabelLogits(self._visible_region, self.device))
                return

    @property
    def _visible_region(self) -> Region:
        """The voxels that the network may see: all, or the non-zero region."""
        if "nonzero_crop" in self.options.bugs:
            return self._nonzero_box
        return tuple(slice(0, n) for n in self._image.shape)

    def _default_box(self, label: int, interactions: Interactions) -> Box | None:
        if self.options.no_box != "paper":
            return None
        whole = tuple(slice(0, n) for n in self._image.shape)
        region = self._nonzero_box if "third_of_nonzero" in self.options.bugs else whole
        return default_box_for(label, self._labels, region, self.options.bugs)

    def _with_box(
        self, box: Box, clicks: Sequence[Click], interactions: Interactions
    ) -> LabelLogits:
        """Segment a label in one forward pass, in a crop around its box."""
        patch, bugs = self.recipe.patch, self.options.bugs
        frame = crop_frame(
            box,
            clicks,
            patch,
            region=self._visible_region,
            bugs=bugs,
            zoom_in=self.options.zoom_in,
        )
        previous = crop_mask(
            interactions.previous_segmentation, frame.window, patch, label=box.label
        )
        prompts = self._prompt_channels(previous)
        visible_box = box_to_draw(frame.box, self._visible_region, bugs)
        if visible_box is not None:
            draw_box(prompts, visible_box, frame.window)
        draw_clicks_in_frame(prompts, frame, clicks, self.recipe.ball_radius, bugs)
        logits = self._forward(frame.window, prompts)
        on_volume = PatchOnVolume(logits, frame.assumed_window, self._visible_region)
        return LabelLogits(box.label, on_volume)

    def _without_box(
        self, clicks: Sequence[Click], previous_box: Region | None, interactions: Interactions
    ) -> LabelLogits:
        """Segment a label around its clicks; enlarge the crop while the border is touched."""
        label, shape = clicks[0].label, self._image.shape
        box = without_box.estimate_box(clicks, previous_box)
        zoom_in = self.options.zoom_in and bool(previous_box)
        window = window_around(box, self.recipe.patch, zoom_in=zoom_in)
        previous = crop_mask(
            interactions.previous_segmentation, window, self.recipe.patch, label=label
        )
        logits = self._forward_with_clicks(window, previous, clicks)
        for _ in range(without_box.MAX_FORWARD_PASSES - 1):
            if not without_box.touches_border(logits > 0, window, shape):
                break
            prediction = (logits > 0).cpu().numpy()
            wider = window.enlarged(without_box.WINDOW_GROWTH)
            previous = crop_mask(
                interactions.previous_segmentation, wider, self.recipe.patch, label=label
            )
            previous = without_box.transfer_prediction(previous, prediction, window, wider)
            window = wider
            logits = self._forward_with_clicks(window, previous, clicks)
        return LabelLogits(label, PatchOnVolume(logits, window, self._visible_region))

    def _forward_with_clicks(
        self, window: Window, previous: Mask, clicks: Sequence[Click]
    ) -> Tensor:
        prompts = self._prompt_channels(previous)
        draw_clicks(prompts, clicks, window, self.recipe.ball_radius)
        return self._forward(window, prompts)

    # ---- the network -------------------------------------------------------------------------

    def _prompt_channels(self, previous: Mask) -> Mask:
        """Return the input channels as masks: the previous segmentation set, all others empty."""
        prompts = np.zeros((CHANNELS, *previous.shape), dtype=bool)
        prompts[PREVIOUS] = previous
        return prompts

    def _forward(self, window: Window, prompts: Mask) -> Tensor:
        """Return the foreground logits on the patch, averaged over the test-time flips."""
        channels = to_device(prompts, self.device).float()
        channels[IMAGE] = self._image_patch(window)
        passes = (self._forward_flipped(channels[None], axes) for axes in self.options.tta_flips)
        return reduce(torch.add, passes) / len(self.options.tta_flips)

    def _forward_flipped(self, inputs: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Return the logits of the flipped inputs, flipped back."""
        outputs = self.network(inputs.flip(axes) if axes else inputs)[0]
        logits: Tensor = (outputs[1] - outputs[0]).float()
        return logits.flip([axis - 2 for axis in axes]) if axes else logits

    def _image_patch(self, window: Window) -> Tensor:
        """Return the image in a window, resized; cached, as it does not change between steps."""
        if window not in self._image_patches:
            patch = self.recipe.patch
            if len(self._image_patches) * patch**3 >= CACHED_VOXELS:
                self._image_patches.pop(next(iter(self._image_patches)))
            self._image_patches[window] = crop_to_patch(
                self._volume,
                window,
                patch,
                region=self._visible_region,
                intensity=self._intensity,
                antialias=self.recipe.antialias,
            )
        return self._image_patches[window]


def select_device(name: str) -> torch.device:
    """Return the device of the option ``device``."""
    available = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise AdapterError(f"ours: device {name!r}: expected auto, cpu or cuda")
    if name == "cuda" and not available:
        raise AdapterError("ours: device cuda: torch sees no CUDA device")
    return torch.device("cuda" if name != "cpu" and available else "cpu")
