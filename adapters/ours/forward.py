"""The network on one image: from a window and the prompts drawn in it to logits."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segbench.core import AdapterInfo, LabelMap, Mask
from segbench_adapters import kit

from .crop import Region, Window, crop_mask
from .intensity import Intensity
from .memory import keep_freed_memory
from .prompts import CHANNELS, IMAGE, PREVIOUS
from .resampling import crop_to_patch, to_device
from .weights import load_checkpoint

VERSION = "0.4"
CACHED_VOXELS = 1 << 25  # of image patches, between steps: 128 MiB of float32
TTA_FLIPS: dict[int, tuple[tuple[int, ...], ...]] = {  # axes of the input, one tuple per pass
    1: ((),),
    2: ((), (2, 3, 4)),
    8: ((), (2,), (3,), (4,), (2, 3), (2, 4), (3, 4), (2, 3, 4)),
}


class NetworkOnImage:
    """A checkpoint on a device, and one image at a time; patches of the image are cached.

    Attributes
    ----------
    region : Region
        The voxels that the network sees; all others are padding.
    """

    def __init__(self, weights: Path, *, device: str, tta_flips: int) -> None:
        self.device = kit.select_device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        network, self.recipe = load_checkpoint(weights)
        self.network = network.to(self.device)
        self.info = AdapterInfo(
            name="ours",
            version=VERSION,
            licence=self.recipe.licence,
            weights_sha256=kit.sha256_of(weights),
            deterministic=self.device.type == "cpu",
            note=self.recipe.training,
        )
        self._flips = TTA_FLIPS[tta_flips]
        self.set_image(np.zeros((1, 1, 1), np.uint8))

    def set_image(self, voxels: NDArray[Any], region: Region | None = None) -> None:
        """Set a new image, with finite voxels, and measure its intensities."""
        self.voxels = voxels
        self.region = region or tuple(slice(0, n) for n in voxels.shape)
        self.intensity = Intensity.of(voxels)
        self._volume = to_device(voxels, self.device)
        self._image_patches: dict[Window, Tensor] = {}

    def prompt_channels(self, previous: Mask) -> Mask:
        """Return the input channels as masks: the previous mask set, all others empty."""
        prompts = np.zeros((CHANNELS, *previous.shape), dtype=bool)
        prompts[PREVIOUS] = previous
        return prompts

    def previous_mask(self, segmentation: LabelMap, window: Window, label: int) -> Mask:
        """Return a label's mask in a segmentation, on the patch of a window."""
        return crop_mask(segmentation, window, self.recipe.patch, label=label)

    def forward(self, window: Window, prompts: Mask) -> Tensor:
        """Return the foreground logits on the patch, averaged over the test-time flips."""
        channels = to_device(prompts, self.device).float()
        channels[IMAGE] = self._image_patch(window)
        passes = (self._forward_flipped(channels[None], axes) for axes in self._flips)
        return reduce(torch.add, passes) / len(self._flips)

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
                region=self.region,
                intensity=self.intensity,
                antialias=self.recipe.antialias,
            )
        return self._image_patches[window]

    def close(self) -> None:
        """Drop the cached image patches."""
        self._image_patches.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
