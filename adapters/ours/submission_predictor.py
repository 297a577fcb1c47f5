"""The adapter with bugs of the authors' submission: variants ``paper`` and ``submission``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from segbench.core import AdapterInfo, Box, Click, Image, Interactions, LabelMap
from segbench.errors import AdapterError
from segbench_adapters import kit

from .enforce_clicks import enforce_clicks
from .forward import NetworkOnImage
from .intensity import occupied_box
from .merging import LabelLogits, SlicedLogits, merge
from .options import OursOptions
from .prompts import draw_box
from .resampling import PatchOnVolume
from .submission import (
    Bugs,
    FailedLabelLogits,
    box_to_draw,
    crop_frame,
    default_box_for,
    draw_clicks_in_frame,
    refuse_missing_clicks,
)
from .without_box import PreviousBoxes, segment_without_box

FAILURES = (RuntimeError, ValueError, IndexError)  # out of memory, or an impossible crop


class OursAsSubmitted:
    """`Ours` with the bugs that it is given; ``options.BUGS`` describes each."""

    info: AdapterInfo

    def __init__(self, model: NetworkOnImage, options: OursOptions, bugs: Bugs) -> None:
        self.model, self.options, self.bugs, self.info = model, options, bugs, model.info
        self._labels: tuple[int, ...] = ()

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Set a new image; the network may see its non-zero region only."""
        voxels = kit.finite_image(image.voxels)
        self._nonzero_box = occupied_box(voxels)
        self.model.set_image(voxels, self._nonzero_box if "nonzero_crop" in self.bugs else None)
        self._labels = labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment each label in its own crop and merge the labels."""
        model, bugs = self.model, self.bugs
        if "empty_image_fails" in bugs and not model.voxels.any():
            raise AdapterError("ours: ValueError: an image of zeros has no non-zero region")
        if "silent_label_fails" in bugs:
            refuse_missing_clicks(interactions, self._labels)
        with torch.inference_mode():
            all_logits = list(self._all_logits(interactions))
            score = raw_logits if "mixed_merge" in bugs else None
            segmentation = merge(all_logits, model.voxels.shape, model.device, score)
        if self.options.enforce_clicks:
            enforce_clicks(segmentation, interactions.clicks, model.voxels, model.intensity)
        return segmentation

    def close(self) -> None:
        """Drop the cached image patches."""
        self.model.close()

    def _all_logits(self, interactions: Interactions) -> Iterator[LabelLogits[SlicedLogits]]:
        """Yield the logits of each label; a label that fails may be the last."""
        previous_boxes = PreviousBoxes(interactions.previous_segmentation)
        for label in self._labels:
            try:
                logits = self._label_logits(label, interactions, previous_boxes)
            except FAILURES:
                if "failing_label_fills" not in self.bugs:
                    raise
                yield LabelLogits(label, FailedLabelLogits(self.model.region, self.model.device))
                return
            if logits is not None:
                yield logits

    def _label_logits(
        self, label: int, interactions: Interactions, previous_boxes: PreviousBoxes
    ) -> LabelLogits[SlicedLogits] | None:
        drawn = next((box for box in interactions.boxes if box.label == label), None)
        box = drawn or self._default_box(label)
        clicks = [click for click in interactions.clicks if click.label == label]
        if box is not None:
            return self._with_box(box, clicks, interactions.previous_segmentation)
        if clicks and self.options.no_box == "follow":
            zoom_in = self.options.zoom_in
            return segment_without_box(self.model, clicks, previous_boxes, zoom_in=zoom_in)
        return None

    def _default_box(self, label: int) -> Box | None:
        if self.options.no_box != "paper":
            return None
        whole = tuple(slice(0, n) for n in self.model.voxels.shape)
        region = self._nonzero_box if "third_of_nonzero" in self.bugs else whole
        return default_box_for(label, self._labels, region, self.bugs)

    def _with_box(
        self, box: Box, clicks: Sequence[Click], previous_segmentation: LabelMap
    ) -> LabelLogits[SlicedLogits]:
        """Segment a label in one forward pass, in a crop around its box."""
        model, bugs, zoom_in = self.model, self.bugs, self.options.zoom_in
        frame = crop_frame(
            box, clicks, model.recipe.patch, region=model.region, bugs=bugs, zoom_in=zoom_in
        )
        previous = model.previous_mask(previous_segmentation, frame.window, box.label)
        prompts = model.prompt_channels(previous)
        visible_box = box_to_draw(frame.box, model.region, bugs)
        if visible_box is not None:
            draw_box(prompts, visible_box, frame.window)
        draw_clicks_in_frame(prompts, frame, clicks, model.recipe.ball_radius, bugs)
        logits = model.forward(frame.window, prompts)
        return LabelLogits(box.label, PatchOnVolume(logits, frame.assumed_window, model.region))


def raw_logits(logits: Tensor) -> Tensor:
    """Return what the submission compares with log-probabilities."""
    return logits
