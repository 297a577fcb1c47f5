"""The adapter itself: one look of the network a label and step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from segbench.core import AdapterInfo, Box, Image, Interactions, LabelMap
from segbench.errors import AdapterError

from .crop import Floats, Window, cut_image, cut_mask, default_box, paste_logits, window_around
from .intensity import Intensity
from .merging import Part, merge
from .prompts import draw_box, draw_clicks, network_input
from .weights import load_checkpoint, sha256_of

VERSION = "0.1"
KEPT_VOXELS = 1 << 25  # image patches kept between steps: 128 MiB of float32


class Ours:
    """The model on one image at a time; answers depend on the image and on what was said only."""

    def __init__(self, weights: Path, *, device: str) -> None:
        self.device = chosen_device(device)
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
        self._voxels: NDArray[Any] = image.voxels
        self._labels = labels
        self._intensity = Intensity.of(image.voxels)
        self._patches: dict[Window, Floats] = {}

    def step(self, said: Interactions) -> LabelMap:
        """Segment each label in its own crop and merge them by probability."""
        boxes = {box.label: box for box in said.boxes}
        shape = self._voxels.shape
        parts = [
            self._part(boxes.get(label) or default_box(shape, label), said)
            for label in self._labels
        ]
        return merge(parts, shape)

    def close(self) -> None:
        """Forget the image."""
        self._patches.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _part(self, box: Box, said: Interactions) -> Part:
        """Return the probabilities of the label of ``box``."""
        shape, patch = self._voxels.shape, self.recipe.patch
        window = window_around(box, patch)
        previous = cut_mask(said.previous, window, patch, label=box.label)
        channels = network_input(self._patch(window), previous)
        draw_box(channels, box, window)
        clicks = [click for click in said.clicks if click.label == box.label]
        draw_clicks(channels, clicks, window, self.recipe.ball_radius)
        logits = paste_logits(self._logits(channels), window, shape)
        return Part(box.label, window.inside(shape), expit(logits))

    def _patch(self, window: Window) -> Floats:
        """Return the image in a window, resized; kept, for it does not change between steps."""
        if window not in self._patches:
            patch = self.recipe.patch
            if len(self._patches) * patch**3 >= KEPT_VOXELS:
                self._patches.pop(next(iter(self._patches)))
            self._patches[window] = cut_image(
                self._voxels,
                window,
                patch,
                intensity=self._intensity,
                antialias=self.recipe.antialias,
            )
        return self._patches[window]

    def _logits(self, channels: Floats) -> Floats:
        """Return the logit of the object against the background on the patch."""
        with torch.inference_mode():
            outputs = self.network(torch.from_numpy(channels)[None].to(self.device))[0]
            logits: Floats = (outputs[1] - outputs[0]).float().cpu().numpy()
        return logits


def chosen_device(name: str) -> torch.device:
    """Return the device of the option ``device``."""
    there = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise AdapterError(f"ours: device {name!r}: expected auto, cpu or cuda")
    if name == "cuda" and not there:
        raise AdapterError("ours: device cuda: torch sees no CUDA device")
    return torch.device("cuda" if name != "cpu" and there else "cpu")
