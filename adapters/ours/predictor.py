"""The adapter: one forward pass per label and step, up to five for a label without a box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from segbench.core import AdapterInfo, Box, Click, Image, Interactions, LabelMap
from segbench_adapters import kit

from .._random_walk import hints_for
from .crop import default_box, window_around_prompts
from .enforce_clicks import enforce_clicks
from .forward import NetworkOnImage
from .merging import LabelLogits, merge
from .nesting import merge_nested
from .options import OursOptions
from .prompts import draw_box, draw_clicks
from .refinement import LabelProbability, click_hints, refine
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
        self._image = Image(kit.finite_image(image.voxels), image.spacing)
        self.model.set_image(self._image.voxels)
        self._labels = labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment each label in its own crop, refine it, and merge the labels."""
        model = self.model
        shape, device = model.voxels.shape, model.device
        boxes = self._boxes(interactions)
        with torch.inference_mode():
            all_logits = list(self._all_logits(interactions, boxes))
            if self.options.refine == "walker":
                refined = self._refined(all_logits, interactions, boxes)
                segmentation = merge_nested(refined, shape, device)
            else:
                segmentation = merge(all_logits, shape, device)
        if self.options.enforce_clicks:
            enforce_clicks(segmentation, interactions.clicks, model.voxels, model.intensity)
        return segmentation

    def close(self) -> None:
        """Drop the cached image patches."""
        self.model.close()

    def _boxes(self, interactions: Interactions) -> dict[int, Box]:
        """Return the box of each label that has one, drawn or default."""
        drawn = {box.label: box for box in interactions.boxes}
        if self.options.no_box == "follow":
            return drawn
        shape = self.model.voxels.shape
        return {label: default_box(shape, label) for label in self._labels} | drawn

    def _all_logits(
        self, interactions: Interactions, boxes: Mapping[int, Box]
    ) -> Iterator[LabelLogits[PatchOnVolume]]:
        """Yield the logits of each label that has a box or clicks."""
        previous_boxes = PreviousBoxes(interactions.previous_segmentation)
        for label in self._labels:
            clicks = [click for click in interactions.clicks if click.label == label]
            if label in boxes:
                yield self._with_box(boxes[label], clicks, interactions.previous_segmentation)
            elif clicks:
                yield segment_without_box(
                    self.model, clicks, previous_boxes, zoom_in=self.options.zoom_in
                )

    def _refined(
        self,
        all_logits: Sequence[LabelLogits[PatchOnVolume]],
        interactions: Interactions,
        boxes: Mapping[int, Box],
    ) -> list[LabelProbability]:
        hints = click_hints(interactions, boxes)
        refined = (
            refine(one, self._image, boxes.get(one.label), hints_for(one.label, hints))
            for one in all_logits
        )
        return [one for one in refined if one is not None]

    def _with_box(
        self, box: Box, clicks: Sequence[Click], previous_segmentation: LabelMap
    ) -> LabelLogits[PatchOnVolume]:
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
