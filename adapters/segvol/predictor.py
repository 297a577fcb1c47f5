"""SegVol as it was run in the challenge: zoomed out over the whole image, then in by windows."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from segbench.core import AdapterInfo, Box, Image, Interactions, LabelMap
from segbench.errors import AdapterError
from segbench.models.finite_image import finite_image

from .geometry import (
    Window,
    corners_of,
    foreground,
    normalised,
    padding,
    region,
    resized,
    windows,
)
from .network import SegVolNetwork, network_from

LICENCE = "code Apache-2.0; weights as their authors say (docs/baselines.md)"
NOTE = "uses boxes only: clicks change nothing, and a label without a box is empty"


class SegVol:
    """Segments each box on its own; a later label overwrites an earlier one."""

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
        """Normalise the image, cut it to what is not background, and embed it as a whole."""
        self._shape = image.voxels.shape
        self._answered: dict[tuple[Box, ...], LabelMap] = {}
        values = normalised(finite_image(image.voxels))
        self._volume: Tensor | None = None
        if values is None:
            return
        self._window = foreground(values)
        self._volume = torch.from_numpy(np.ascontiguousarray(values[self._window]))
        self._whole = self._embedded(resized(self._volume, self.network.sizes.window))

    def predict(self, interactions: Interactions) -> LabelMap:
        """Answer the boxes; what has been answered is not worked out again."""
        if interactions.boxes not in self._answered:
            self._answered[interactions.boxes] = self._segment(interactions.boxes)
        return self._answered[interactions.boxes]

    def close(self) -> None:
        """Let go of the network."""
        del self.network

    def _segment(self, boxes: tuple[Box, ...]) -> LabelMap:
        wide = any(box.label > np.iinfo(np.uint8).max for box in boxes)
        labels = np.zeros(self._shape, np.uint16 if wide else np.uint8)
        if self._volume is not None:
            for box in boxes:
                logits = self._logits(self._volume, box)
                labels[self._window][(torch.sigmoid(logits) > 0.5).numpy()] = box.label
        return labels

    def _logits(self, volume: Tensor, box: Box) -> Tensor:
        drawn = self._drawn(volume, box)
        corners = corners_of(resized(drawn, self.network.sizes.window))
        logits = resized(self._prompted(self._whole, corners), tuple(volume.shape))
        found = torch.sigmoid(logits) > 0.5
        near = region(found | (drawn > 0), self.network.sizes.window)
        if near is not None:
            logits[near] = self._zoomed_in(volume[near], drawn[near], found[near])
        return logits

    def _drawn(self, volume: Tensor, box: Box) -> Tensor:
        """Return the box as a mask of the foreground; of its part inside the image."""
        drawn = torch.zeros_like(volume)
        sides = zip(box.low, box.high, self._window)
        window: Window = tuple(
            slice(max(a, cut.start) - cut.start, max(b, cut.start) - cut.start)
            for a, b, cut in sides
        )
        drawn[window] = 1
        return drawn

    def _zoomed_in(self, volume: Tensor, drawn: Tensor, found: Tensor) -> Tensor:
        """Return the mean of the windows' logits.

        A single window is prompted by the user's box, several by what was found in each of them.
        """
        size = self.network.sizes.window
        pads = padding(tuple(volume.shape), size)
        padded, drawn, found = (
            functional.pad(each, pads) for each in (volume, drawn, found.to(volume.dtype))
        )
        places = windows(tuple(padded.shape), size)
        prompts = drawn if len(places) == 1 else found
        total, count = torch.zeros_like(padded), torch.zeros_like(padded)
        for place in places:
            embedding = self._embedded(padded[place])
            total[place] += self._prompted(embedding, corners_of(prompts[place]))
            count[place] += 1
        inner = tuple(slice(before, before + n) for before, n in zip(pads[::2][::-1], volume.shape))
        return (total / count)[inner]

    def _embedded(self, volume: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.network.embed(volume[None, None].to(self.device))

    def _prompted(self, embedding: Tensor, corners: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.network.segment(embedding, corners.to(self.device)).cpu().clone()


def chosen_device(name: str) -> torch.device:
    """Return the device of the option ``device``."""
    there = torch.cuda.is_available()
    if name not in ("auto", "cpu", "cuda"):
        raise AdapterError(f"segvol: device {name!r}: expected auto, cpu or cuda")
    if name == "cuda" and not there:
        raise AdapterError("segvol: device cuda: torch sees no CUDA device")
    return torch.device("cuda" if name != "cpu" and there else "cpu")


def load(weights: Path, device: str) -> SegVol:
    """Return the adapter with the weights of a published checkpoint.

    Raises
    ------
    AdapterError
        If there is no such file, or it is no checkpoint of SegVol; nothing in it is executed.
    """
    if not weights.is_file():
        found = "no weights given" if weights == Path() else f"no weights at {weights}"
        raise AdapterError(
            f"segvol: {found}; segbench models says where they come from, "
            "--option weights=FILE names them"
        )
    state = read_state(weights)
    with weights.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return SegVol(network_from(state, weights.name), chosen_device(device), sha256)


def read_state(weights: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, reading nothing else of it into memory.

    Raises
    ------
    AdapterError
        If it is none, or rebuilding it would call anything.
    """
    # mapped, not read: the file also holds the optimizer; torch's older format cannot be
    mapped = zipfile.is_zipfile(weights)
    try:
        saved = torch.load(weights, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, LookupError) as error:
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise AdapterError(f"{weights.name}: not a checkpoint of tensors: {words}") from error
    state = saved.get("model_state_dict", saved) if isinstance(saved, dict) else saved
    if not isinstance(state, dict):
        raise AdapterError(
            f"{weights.name}: expected tensors by name, found {type(state).__name__}"
        )
    strange = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise AdapterError(f"{weights.name}: {strange[0]!r}: expected a tensor")
    return state
