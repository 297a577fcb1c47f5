"""The adapter itself: one look of the network a label and step, more when it has to find it."""

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
from segbench.finite_image import finite_image

from . import following
from .crop import Region, Window, cut_mask, window_around
from .intensity import Intensity, occupied_box
from .merging import Part, merge
from .obeying import obey
from .options import Choices
from .prompts import CHANNELS, IMAGE, PREVIOUS, draw_box, draw_clicks
from .resampling import Pasted, cut, uploaded
from .submission import Filling, default_box_of, draw_said, drawn_box, frame_of, refuse_silence
from .weights import load_checkpoint, sha256_of

VERSION = "0.2"
KEPT_VOXELS = 1 << 25  # image patches kept between steps: 128 MiB of float32
FAILURES = (RuntimeError, ValueError, IndexError)  # out of memory, or an impossible crop


class Ours:
    """The model on one image at a time; answers depend on the image and on what was said only."""

    def __init__(self, weights: Path, *, device: str, choices: Choices) -> None:
        self.device = chosen_device(device)
        self.choices = choices
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
        self.start(Image(np.zeros((1, 1, 1), np.uint8), (1.0, 1.0, 1.0)), ())

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Take a new image and measure its intensities."""
        self._image: NDArray[Any] = finite_image(image.voxels)
        self._volume = uploaded(self._image, self.device)
        self._labels = labels
        self._occupied = occupied_box(self._image)
        self._intensity = Intensity.of(self._image)
        self._patches: dict[Window, Tensor] = {}

    def step(self, said: Interactions) -> LabelMap:
        """Segment each label in its own crop and merge them by probability."""
        bugs = self.choices.bugs
        if "empty_image_fails" in bugs and not self._image.any():
            raise AdapterError("ours: ValueError: an image of zeros has no non-zero region")
        if "silent_label_fails" in bugs:
            refuse_silence(said, self._labels)
        with torch.inference_mode():
            parts = list(self._parts(said))
            answer = merge(parts, self._image.shape, self.device, mixed="mixed_merge" in bugs)
        if self.choices.obey_clicks:
            obey(answer, said.clicks, self._image, self._intensity)
        return answer

    def close(self) -> None:
        """Forget the image."""
        self._patches.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    # ---- one label ---------------------------------------------------------------------------

    def _parts(self, said: Interactions) -> Iterator[Part]:
        """Yield what the network says of each label that there is anything to say of."""
        boxes = {box.label: box for box in said.boxes}
        found: Sequence[Region | None] | None = None
        for label in self._labels:
            box = boxes.get(label) or self._default_box(label, said)
            clicks = [click for click in said.clicks if click.label == label]
            try:
                if box is not None:
                    yield self._boxed(box, clicks, said)
                elif clicks and self.choices.no_box == "follow":
                    found = following.boxes_found(said.previous) if found is None else found
                    where = found[label - 1] if label <= len(found) else None
                    yield self._followed(clicks, where, said)
            except FAILURES:
                if "failing_label_fills" not in self.choices.bugs:
                    raise
                yield Part(label, Filling(self._region, self.device))
                return

    @property
    def _region(self) -> Region:
        """The voxels that the network may see: all, or the non-zero region."""
        if "nonzero_crop" in self.choices.bugs:
            return self._occupied
        return tuple(slice(0, n) for n in self._image.shape)

    def _default_box(self, label: int, said: Interactions) -> Box | None:
        if self.choices.no_box != "paper":
            return None
        whole = tuple(slice(0, n) for n in self._image.shape)
        region = self._occupied if "third_of_nonzero" in self.choices.bugs else whole
        return default_box_of(label, self._labels, region, self.choices.bugs)

    def _boxed(self, box: Box, clicks: Sequence[Click], said: Interactions) -> Part:
        """Look at a label once, round its box."""
        patch, bugs = self.recipe.patch, self.choices.bugs
        frame = frame_of(
            box,
            clicks,
            patch,
            region=self._region,
            bugs=bugs,
            zoom_in=self.choices.zoom_in,
        )
        prompts = self._prompts(cut_mask(said.previous, frame.window, patch, label=box.label))
        drawn = drawn_box(frame.box, self._region, bugs)
        if drawn is not None:
            draw_box(prompts, drawn, frame.window)
        draw_said(prompts, frame, clicks, self.recipe.ball_radius, bugs)
        logits = self._look(frame.window, prompts)
        return Part(box.label, Pasted(logits, frame.believed, self._region))

    def _followed(self, clicks: Sequence[Click], found: Region | None, said: Interactions) -> Part:
        """Look round the clicks and the last answer, and wider while the prediction leaves."""
        label, shape = clicks[0].label, self._image.shape
        box = following.box_to_follow(clicks, found)
        window = window_around(box, self.recipe.patch, zoom_in=self.choices.zoom_in and bool(found))
        previous = cut_mask(said.previous, window, self.recipe.patch, label=label)
        logits = self._clicked(window, previous, clicks)
        for _ in range(following.MOST_LOOKS - 1):
            if not following.leaves(logits > 0, window, shape):
                break
            seen, wider = (logits > 0).cpu().numpy(), window.grown(following.GROWTH)
            previous = cut_mask(said.previous, wider, self.recipe.patch, label=label)
            previous = following.carry_over(previous, seen, window, wider)
            window = wider
            logits = self._clicked(window, previous, clicks)
        return Part(label, Pasted(logits, window, self._region))

    def _clicked(self, window: Window, previous: Mask, clicks: Sequence[Click]) -> Tensor:
        prompts = self._prompts(previous)
        draw_clicks(prompts, clicks, window, self.recipe.ball_radius)
        return self._look(window, prompts)

    # ---- the network -------------------------------------------------------------------------

    def _prompts(self, previous: Mask) -> Mask:
        """Return the input channels but for the image, as masks, with the last answer in them."""
        prompts = np.zeros((CHANNELS, *previous.shape), dtype=bool)
        prompts[PREVIOUS] = previous
        return prompts

    def _look(self, window: Window, prompts: Mask) -> Tensor:
        """Return the logit of the object against the background on the patch.

        The mean over the mirror images that were chosen.
        """
        channels = uploaded(prompts, self.device).float()
        channels[IMAGE] = self._patch(window)
        looks = (self._logits(channels[None], axes) for axes in self.choices.mirrors)
        return reduce(torch.add, looks) / len(self.choices.mirrors)

    def _logits(self, inputs: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Look at the inputs with some axes turned round, and turn the logits back."""
        outputs = self.network(inputs.flip(axes) if axes else inputs)[0]
        logits: Tensor = (outputs[1] - outputs[0]).float()
        return logits.flip([axis - 2 for axis in axes]) if axes else logits

    def _patch(self, window: Window) -> Tensor:
        """Return the image in a window, resized; kept, for it does not change between steps."""
        if window not in self._patches:
            patch = self.recipe.patch
            if len(self._patches) * patch**3 >= KEPT_VOXELS:
                self._patches.pop(next(iter(self._patches)))
            self._patches[window] = cut(
                self._volume,
                window,
                patch,
                region=self._region,
                intensity=self._intensity,
                antialias=self.recipe.antialias,
            )
        return self._patches[window]


def chosen_device(name: str) -> torch.device:
    """Return the device of the option ``device``."""
    there = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise AdapterError(f"ours: device {name!r}: expected auto, cpu or cuda")
    if name == "cuda" and not there:
        raise AdapterError("ours: device cuda: torch sees no CUDA device")
    return torch.device("cuda" if name != "cpu" and there else "cpu")
