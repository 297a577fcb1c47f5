"""The adapter: one forward pass per label and step, up to five for a label without a box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from segbench.core import AdapterInfo, Box, Click, Image, Interactions, LabelMap
from segbench_adapters import kit

from .crop import default_box, window_around_prompts
from .enforce_clicks import enforce_clicks
from .forward import NetworkOnImage
from .merging import LabelLogits, merge
from .options import OursOptions
from .prompts import draw_box, draw_clicks
from .resampling import PatchOnVolume
from .without_box import PreviousBoxes, segment_without_box


class Ours:
    """The model on one image at a time; the output depends on image and interactions only."""

    info: AdapterInfo

    def __init__(self, model: NetworkOnImage, options: OursOptions) -> None:
        self.model, self.options, self.info = model, options, model.info
        self._labels: tuple[int, ...] = ()

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Set a new image and measure its intensities."""
        self.model.set_image(kit.finite_image(image.voxels))
        self._labels = labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment each label in its own crop and merge the labels by probability."""
        model = self.model
        with torch.inference_mode():
            all_logits = list(self._all_logits(interactions))
            segmentation = merge(all_logits, model.voxels.shape, model.device)
        if self.options.enforce_clicks:
            enforce_clicks(segmentation, interactions.clicks, model.voxels, model.intensity)
        return segmentation

    def close(self) -> None:
        """Drop the cached image patches."""
        self.model.close()

    def _all_logits(self, interactions: Interactions) -> Iterator[LabelLogits]:
        """Yield the logits of each label that has a box, drawn or default, or clicks."""
        boxes = {box.label: box for box in interactions.boxes}
        previous_boxes = PreviousBoxes(interactions.previous_segmentation)
        for label in self._labels:
            box = boxes.get(label)
            if box is None and self.options.no_box == "paper":
                box = default_box(self.model.voxels.shape, label)
            clicks = [click for click in interactions.clicks if click.label == label]
            if box is not None:
                yield self._with_box(box, clicks, interactions.previous_segmentation)
            elif clicks:
                yield segment_without_box(
                    self.model, clicks, previous_boxes, zoom_in=self.options.zoom_in
                )

    def _with_box(
        self, box: Box, clicks: Sequence[Click], previous_segmentation: LabelMap
    ) -> LabelLogits:
        """Segment a label in one forward pass, in a crop around its box and clicks."""
        model, recipe = self.model, self.model.recipe
        window = window_around_prompts(box, clicks, recipe.patch, zoom_in=self.options.zoom_in)
        prompts = model.prompt_channels(
            model.previous_mask(previous_segmentation, window, box.label)
        )
        draw_box(prompts, box, window)
        draw_clicks(prompts, clicks, window, recipe.ball_radius)
        logits = model.forward(window, prompts)
        return LabelLogits(box.label, PatchOnVolume(logits, window, model.region))
