# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "numpy==2.4.6", "torch==2.13.0", "medim==0.1.2", "torchio==0.20.6", "simpleitk==2.5.7",
#   "requests==2.34.2", # medim imports it without declaring it
# ]
# ///
"""SAM-Med3D as submitted to the challenge: only the last prompt of a label counts.

Wang et al., *SAM-Med3D: Towards General-purpose Segmentation Models for Volumetric Medical
Images*, arXiv:2310.15161. The network is that of the authors' package medim; resampling and
cropping are torchio's, as in their submission. This file selects the prompt and places the output,
as the submission does. A label's prompts are, in this order, the centre of its box, its positive
clicks, its negative clicks. Only the last one is used. If it is a negative click, the label stays
unchanged; otherwise the new mask is added to the previous one. Options and sources of the weights:
docs/baselines.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segbench.core import AdapterInfo, Image, Interactions, LabelMap, Mask, Spacing
from segbench.errors import AdapterError
from segbench_adapters import kit

if TYPE_CHECKING:
    import torch
    import torchio

REVISION = "2"  # increase it when outputs may change
NETWORK: dict[str, Any] = {}  # arguments of medim's SAM-Med3D that differ from the published ones
PATCH_SIZE = 128  # voxels per axis of the network's input
MASK_SIZE = PATCH_SIZE // 4  # voxels per axis of its mask prompt
SPACING_MM = 1.5
CUBE_RADIUS = 10  # voxels; a cube around the prompt replaces the object
# two embeddings for boxes: only in the challenge's checkpoints, never used in its inference
UNUSED = frozenset(f"prompt_encoder.point_embeddings.{n}.weight" for n in (2, 3))
SOURCE = (
    "the authors publish sam_med3d_turbo_cvpr_coreset.pth and sam_med3d_turbo_cvpr_alldata.pth at "
    "https://huggingface.co/blueyo0/SAM-Med3D; segbench includes none"
)
LICENCE = "code Apache-2.0; weights Apache-2.0 as far as the authors' repository says"

Position = tuple[float, float, float]  # in voxels; a box's centre may be between two


@dataclass(frozen=True)
class SamMed3DOptions:
    """Differences from the submission that the user chooses; docs/baselines.md describes them."""

    point: str = "random"
    seed: int = 0
    spacing: str = "xyz"
    record: Path | None = None


class SamMed3D:
    """Segment each label from its last prompt and previous mask; only the image is kept."""

    def __init__(
        self, network: torch.nn.Module, info: AdapterInfo, options: SamMed3DOptions
    ) -> None:
        self.info, self._network, self._options = info, network, options
        self._device = next(network.parameters()).device
        self._image: Any = None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Resample the image; its content seeds the random points."""
        spacing = axes_spacing(image.spacing, self._options.spacing)
        self._step = tuple(SPACING_MM / mm for mm in spacing)  # in image voxels
        voxels = kit.finite_image(image.voxels).astype(np.float32)
        self._image = resample(voxels, self._step, is_mask=False)
        self._sha256 = hashlib.sha256(np.ascontiguousarray(image.voxels).data).hexdigest()
        self._labels = labels

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment the labels in ascending order; later ones overwrite earlier ones."""
        segmentation = np.zeros(
            interactions.previous_segmentation.shape, kit.label_map_dtype(self._labels)
        )
        for label in self._labels:
            last = last_prompt(interactions, label)
            if last is None:
                continue
            at, is_positive = last
            previous = interactions.previous_segmentation == label
            segmentation[previous] = label
            if is_positive:
                segmentation[self._segment(label, at, previous)] = label
        return segmentation

    def _segment(self, label: int, at: Position, previous: Mask) -> Mask:
        patch = self._network_input(at, previous)
        if self._options.point == "random":
            point = self._random_voxel(patch.cube, label, at)
        else:
            point = patch.patch_position(at, self._step)
        mask = self._predict_patch(patch, point)
        return patch.resample_to_image(mask, previous.shape)

    def _network_input(self, at: Position, previous: Mask) -> NetworkInput:
        """Crop everything to the network's patch, centred on the resampled cube."""
        cube = cube_around(at, previous.shape)
        if not cube.any():
            raise AdapterError(f"the prompt at {at} is outside the image of {previous.shape}")
        import torchio

        subject = torchio.Subject(
            image=self._image,
            cube=resample(cube, self._step, is_mask=True),
            previous=resample(previous, self._step, is_mask=True),
        )
        if not subject["cube"].data.any():
            raise AdapterError(
                f"at {SPACING_MM} mm nothing is left of the cube of {2 * CUBE_RADIUS + 1} voxels "
                "around the prompt; the submission fails here, too"
            )
        crop = torchio.CropOrPad(
            mask_name="cube", target_shape=(PATCH_SIZE, PATCH_SIZE, PATCH_SIZE)
        )
        padding, cropping = (found or (0,) * 6 for found in crop.compute_crop_or_pad(subject))
        normalise = torchio.ZNormalization(masking_method=lambda voxels: voxels > 0)
        cropped = normalise(crop(subject))
        return NetworkInput(
            image=cropped["image"].data,
            cube=cropped["cube"].data[0].numpy() > 0,
            previous=cropped["previous"].data,
            corner=cropping[::2],
            padding=padding,
            size=subject.spatial_shape,
        )

    def _random_voxel(self, cube: Mask, label: int, at: Position) -> Sequence[float]:
        """Return a random voxel of the cube, determined by seed, image, label and prompt."""
        candidates = np.argwhere(cube)
        doubled = [int(2 * c) for c in at]
        seed = [self._options.seed, int(self._sha256[:16], 16), label, *doubled]
        index = int(np.random.default_rng(seed).integers(len(candidates)))
        point: list[int] = candidates[index].tolist()
        if self._options.record is not None:
            about = {"image": self._sha256, "label": label, "prompt": at}
            drawn = {"voxel": point, "index": index, "of": len(candidates)}
            with self._options.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**about, **drawn}) + "\n")
        return point

    def _predict_patch(self, patch: NetworkInput, point: Sequence[float]) -> Mask:
        """Return the network's mask of the patch."""
        import torch
        from torch.nn.functional import interpolate

        network: Any = self._network
        previous = interpolate(
            patch.previous[None].float(), (MASK_SIZE, MASK_SIZE, MASK_SIZE), mode="nearest"
        )
        with torch.no_grad():
            embedded = network.image_encoder(patch.image[None].to(self._device))
            sparse, dense = network.prompt_encoder(
                points=[
                    torch.tensor([[point]], dtype=torch.float32, device=self._device),
                    torch.ones((1, 1), device=self._device),
                ],
                boxes=None,
                masks=previous.to(self._device),
            )
            logits, _ = network.mask_decoder(
                image_embeddings=embedded,
                image_pe=network.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )
            logits = interpolate(
                logits, (PATCH_SIZE, PATCH_SIZE, PATCH_SIZE), mode="trilinear", align_corners=False
            )
            # not the same as logits > 0: the sigmoid of a tiny logit rounds to 0.5
            mask: Mask = (torch.sigmoid(logits) > 0.5)[0, 0].cpu().numpy()
        return mask

    def close(self) -> None:
        """Release the image."""
        self._image = None


@dataclass(frozen=True)
class NetworkInput:
    """The network's input patch, and its place in the resampled image."""

    image: torch.Tensor  # float32 (1, z, y, x)
    cube: Mask  # around the prompt, in place of the object
    previous: torch.Tensor  # the label's previous mask, (1, z, y, x)
    corner: Sequence[int]  # of the patch in the resampled image, without the padding
    padding: Sequence[int]  # before and after each axis
    size: Sequence[int]  # of the resampled image

    def patch_position(self, at: Position, step: Sequence[float]) -> Sequence[float]:
        """Return a position of the image as a voxel of the patch."""
        resampled_at = ((c + 0.5) / per - 0.5 for c, per in zip(at, step))
        lows = (low - pad for low, pad in zip(self.corner, self.padding[::2]))
        inside = (round(c) - low for c, low in zip(resampled_at, lows))
        return [float(min(max(c, 0), PATCH_SIZE - 1)) for c in inside]

    def resample_to_image(self, mask: Mask, shape: tuple[int, ...]) -> Mask:
        """Paste a mask of the patch into the resampled image and resample that to the image."""
        import torch
        from torch.nn.functional import interpolate

        pads = zip(self.padding[::2], self.padding[1::2])
        inner = mask[tuple(slice(before, PATCH_SIZE - after) for before, after in pads)]
        volume = np.zeros(tuple(self.size), np.float32)
        volume[tuple(slice(low, low + n) for low, n in zip(self.corner, inner.shape))] = inner
        resized = interpolate(torch.from_numpy(volume)[None, None], shape, mode="nearest")
        image_mask: Mask = resized[0, 0].numpy() != 0
        return image_mask


def axes_spacing(spacing: Spacing, order: str) -> Spacing:
    """Return the spacing used for the image's axes (z, y, x).

    ``xyz``: the submission uses the last of a file's three numbers for z. ``zyx``: segbench uses
    them in the order of the axes.
    """
    first, second, third = spacing
    return spacing if order == "zyx" else (third, first, second)


def last_prompt(interactions: Interactions, label: int) -> tuple[Position, bool] | None:
    """Return a label's last prompt as position and sign; None without any.

    The submission's order is: the box's centre, positive clicks, negative clicks.
    """
    own = [click for click in interactions.clicks if click.label == label]
    if own:
        last = next((click for click in reversed(own) if not click.positive), own[-1])
        return last.voxel, last.positive
    box = next((box for box in interactions.boxes if box.label == label), None)
    if box is None:
        return None
    z, y, x = ((low + high - 1) / 2 for low, high in zip(box.low, box.high))
    return (z, y, x), True


def cube_around(at: Position, shape: tuple[int, ...]) -> Mask:
    """Return the mask of the cube around a prompt, cropped to the image."""
    mask = np.zeros(shape, bool)
    lows = (
        max(int(c - CUBE_RADIUS), 0) for c in at
    )  # int rounds towards zero, as in the submission
    highs = (min(int(c + CUBE_RADIUS) + 1, n) for c, n in zip(at, shape))
    mask[tuple(slice(low, high) for low, high in zip(lows, highs))] = True
    return mask


def resample(voxels: NDArray[Any], step: Sequence[float], *, is_mask: bool) -> torchio.Image:
    """Resample an array to one voxel every ``step``: linearly, or a mask to the nearest voxel."""
    import torchio

    kind = torchio.LabelMap if is_mask else torchio.ScalarImage
    found: torchio.Image = torchio.Resample(tuple(step))(kind(tensor=voxels[None]))
    return found


def make_adapter(
    weights: str = "",
    device: str = "auto",
    point: Literal["random", "centre"] = "random",
    seed: int = 0,
    spacing: Literal["xyz", "zyx"] = "xyz",
    record: str = "",
) -> SamMed3D:
    """Load a checkpoint.

    Parameters
    ----------
    weights
        The checkpoint, a ``.pth`` file.
    device
        auto (a CUDA device if there is one), cpu, cuda or cuda:N.
    point
        The point that the network gets: random in the cube around the prompt, or its centre.
    seed
        Of the random point, from 0.
    spacing
        The order in which the submission uses a file's spacing (xyz), or that of the axes (zyx).
    record
        A file to which each random point is appended, as a line of JSON.

    Raises
    ------
    AdapterError
        A value is unknown, a device or a package is missing, or the weights are unusable.
    """
    if seed < 0:
        raise AdapterError(f"sam_med3d: seed: expected a whole number from 0 on, found {seed}")
    file = kit.find_weights(weights, SOURCE)
    network = load_network(file).to(kit.select_device(device))
    packages = (f"{name} {importlib.metadata.version(name)}" for name in ("medim", "torchio"))
    drawn = f"the random point is drawn from seed {seed}, the image, the label and the prompt"
    info = AdapterInfo(
        "SAM-Med3D",
        version=", ".join((REVISION, *packages)),
        licence=LICENCE,
        weights_sha256=kit.sha256_of(file),
        deterministic=next(network.parameters()).device.type == "cpu",
        note=f"of a box only the centre; {drawn if point == 'random' else 'no random point'}",
    )
    options = SamMed3DOptions(point, seed, spacing, Path(record) if record else None)
    return SamMed3D(network, info, options)


def load_network(file: Path) -> torch.nn.Module:
    """Return medim's network with a published or freshly trained checkpoint."""
    try:
        import argparse

        import medim
        import torchio  # noqa: F401
    except ImportError as error:
        raise AdapterError(
            f"sam_med3d: expected the package {error.name}, found none; docs/baselines.md says how "
            "to install it"
        ) from error
    allowed = [argparse.Namespace, *kit.numpy_safe_globals()]
    state = kit.read_state(file, "model_state_dict", allowed)
    with contextlib.redirect_stdout(sys.stderr):  # medim prints
        network: torch.nn.Module = medim.create_model("SAM-Med3D", **NETWORK)
    kit.load_strictly(network, state, name=file.name, unused=UNUSED)
    return network.eval()
