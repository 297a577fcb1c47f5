"""SegVol's challenge inference: zoomed out over the whole image, then zoomed in by windows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from segbench.core import AdapterInfo, Box, Image, Interactions, LabelMap, Roi
from segbench_adapters import kit

from .geometry import (
    box_corners,
    normalise,
    pad_widths,
    resize_nearest,
    roi_around,
    sliding_windows,
)
from .network import SegVolNetwork, network_from

LICENCE = "code Apache-2.0; weights as their authors say (docs/baselines.md)"
SOURCE = "segbench models show segvol lists their sources"
NOTE = "uses boxes only: clicks change nothing, and a label without a box is empty"


class SegVol:
    """Segment each box on its own; a later label overwrites an earlier one."""

    def __init__(self, network: SegVolNetwork, device: torch.device, sha256: str | None) -> None:
        self.network, self.device = network.to(device), device
        self.info = AdapterInfo(
            "segvol",
            "1",
            LICENCE,
            sha256,
            prompts=("box",),
            deterministic=device.type == "cpu",
            note=NOTE,
        )

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Normalise the image, crop it to its foreground, and embed it as a whole."""
        self._shape = image.voxels.shape
        self._segmentations: dict[tuple[Box, ...], LabelMap] = {}
        values = normalise(kit.finite_image(image.voxels))
        self._volume: Tensor | None = None
        if values is None:
            return
        self._foreground = kit.bounding_box(values > 0)
        self._volume = torch.from_numpy(np.ascontiguousarray(values[self._foreground]))
        resized = resize_nearest(self._volume, self.network.sizes.window)
        self._global_embedding = self._embed(resized)

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment the boxes; results are cached by boxes."""
        if interactions.boxes not in self._segmentations:
            self._segmentations[interactions.boxes] = self._segment(interactions.boxes)
        return self._segmentations[interactions.boxes]

    def close(self) -> None:
        """Release the network."""
        del self.network

    def _segment(self, boxes: tuple[Box, ...]) -> LabelMap:
        dtype = kit.label_map_dtype(box.label for box in boxes)
        segmentation = np.zeros(self._shape, dtype)
        if self._volume is not None:
            for box in boxes:
                logits = self._logits(self._volume, box)
                segmentation[self._foreground][(torch.sigmoid(logits) > 0.5).numpy()] = box.label
        return segmentation

    def _logits(self, volume: Tensor, box: Box) -> Tensor:
        box_mask = self._box_mask(volume, box)
        corners = box_corners(resize_nearest(box_mask, self.network.sizes.window))
        logits = self._predict_logits(self._global_embedding, corners)
        logits = resize_nearest(logits, tuple(volume.shape))
        coarse_mask = torch.sigmoid(logits) > 0.5
        roi = roi_around(coarse_mask | (box_mask > 0), self.network.sizes.window)
        if roi is not None:
            logits[roi] = self._zoom_in(volume[roi], box_mask[roi], coarse_mask[roi])
        return logits

    def _box_mask(self, volume: Tensor, box: Box) -> Tensor:
        """Return the mask of the box's part inside the foreground crop."""
        box_mask = torch.zeros_like(volume)
        sides = zip(box.low, box.high, self._foreground)
        roi: Roi = tuple(
            slice(max(a, cut.start) - cut.start, max(b, cut.start) - cut.start)
            for a, b, cut in sides
        )
        box_mask[roi] = 1
        return box_mask

    def _zoom_in(self, volume: Tensor, box_mask: Tensor, coarse_mask: Tensor) -> Tensor:
        """Return the mean of the windows' logits.

        A single window is prompted by the user's box, several by their coarse masks.
        """
        size = self.network.sizes.window
        pads = pad_widths(tuple(volume.shape), size)
        padded, box_mask, coarse_mask = (
            functional.pad(each, pads) for each in (volume, box_mask, coarse_mask.to(volume.dtype))
        )
        rois = sliding_windows(tuple(padded.shape), size)
        prompts = box_mask if len(rois) == 1 else coarse_mask
        total, count = torch.zeros_like(padded), torch.zeros_like(padded)
        for roi in rois:
            embedding = self._embed(padded[roi])
            total[roi] += self._predict_logits(embedding, box_corners(prompts[roi]))
            count[roi] += 1
        inner = tuple(slice(before, before + n) for before, n in zip(pads[::2][::-1], volume.shape))
        return (total / count)[inner]

    def _embed(self, volume: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.network.embed(volume[None, None].to(self.device))

    def _predict_logits(self, embedding: Tensor, corners: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.network.segment(embedding, corners.to(self.device)).cpu().clone()


def load_adapter(weights: str, device: str) -> SegVol:
    """Return the adapter with the weights of a published checkpoint.

    Raises
    ------
    AdapterError
        The file does not exist or is not a checkpoint of SegVol; nothing in it is executed.
    """
    file = kit.find_weights(weights, SOURCE)
    network = network_from(kit.read_state(file, "model_state_dict"), file.name)
    return SegVol(network, kit.select_device(device), kit.sha256_of(file))
