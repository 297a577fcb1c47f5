"""The part of SegVol's network that a box prompt uses.

Du et al., *SegVol: Universal and Interactive Volumetric Medical Image Segmentation*, NeurIPS 2024.
Parameters have the names of the published checkpoints. Their parts that a box never uses are left
out: text encoder, mask and point prompts, quality head, further masks.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import AdapterError
from segbench_adapters import kit

from .image_encoder import ImageEncoder
from .mask_decoder import MASK_TOKENS, MaskDecoder
from .prompt_encoder import PromptEncoder
from .sizes import Sizes, sizes_of

UNUSED = (  # in the published files, never used with a box
    "text_encoder.",
    "prompt_encoder.mask_downscaling.",
    "prompt_encoder.not_a_point_embed.",
    "prompt_encoder.point_embeddings.0.",
    "prompt_encoder.point_embeddings.1.",
    "mask_decoder.iou_prediction_head.",
    "mask_decoder.txt_align_upscaled_embedding.",
    *(f"mask_decoder.output_hypernetworks_mlps.{token}." for token in range(1, MASK_TOKENS)),
)
UNUSED_IN_BLOCK = ".norm_cross_attn."  # in every block of MONAI 1.4 and later, never called


class SegVolNetwork(nn.Module):
    """From an image and a box to the logits of the object in the box."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.image_encoder = ImageEncoder(sizes)
        self.prompt_encoder = PromptEncoder(sizes)
        self.mask_decoder = MaskDecoder(sizes)

    def embed(self, image: Tensor) -> Tensor:
        """Return the embedding of an image (1, 1, z, y, x), of shape (1, width, *grid)."""
        patches: Tensor = self.image_encoder(image)
        return patches.transpose(1, 2).reshape(1, self.sizes.width, *self.sizes.grid)

    def segment(self, embedding: Tensor, corners: Tensor) -> Tensor:
        """Return the logits (z, y, x) of a box, given by its first and last voxel (2, 3)."""
        prompt = self.prompt_encoder(corners)
        dense = embedding + self.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1, 1)
        coarse = self.mask_decoder(dense, self.prompt_encoder.dense_pe(), prompt)
        logits: Tensor = functional.interpolate(
            coarse, size=self.sizes.window, mode="trilinear", align_corners=False
        )
        return logits[0, 0]


def network_from(state: Mapping[str, Tensor], name: str) -> SegVolNetwork:
    """Return the network of a published state, whose keys begin with ``model.``.

    Raises
    ------
    AdapterError
        Tensors are missing, unknown or of another shape.
    """
    known = {key.removeprefix("model."): tensor for key, tensor in state.items()}
    used = {key: tensor for key, tensor in known.items() if not _is_unused(key)}
    try:
        network = SegVolNetwork(sizes_of(used))
    except (KeyError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise AdapterError(
            f"{name}: expected a checkpoint of SegVol, found {words[:500]}"
        ) from error
    kit.load_strictly(network, used, name=name)
    return network.eval()


def _is_unused(key: str) -> bool:
    return key.startswith(UNUSED) or UNUSED_IN_BLOCK in key
