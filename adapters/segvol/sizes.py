"""The sizes of SegVol's network, which a checkpoint's shapes tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

PATCH = (4, 16, 16)  # voxels, (z, y, x)


@dataclass(frozen=True)
class Sizes:
    """The network's sizes, read from a checkpoint's shapes; the defaults are the published ones."""

    grid: tuple[int, int, int] = (8, 16, 16)  # patches, (z, y, x)
    width: int = 768
    depth: int = 12
    encoder_hidden: int = 3072
    decoder_depth: int = 2
    decoder_hidden: int = 2048

    @property
    def window(self) -> tuple[int, int, int]:
        """The size of the network's input in voxels."""
        z, y, x = (n * p for n, p in zip(self.grid, PATCH))
        return z, y, x


def sizes_of(state: Mapping[str, Tensor]) -> Sizes:
    """Return the sizes of a state's network."""
    normed = state["mask_decoder.output_upscaling.1.weight"].shape  # channels, twice the grid
    z, y, x = (n // 2 for n in normed[1:])
    return Sizes(
        grid=(z, y, x),
        width=state["image_encoder.norm.weight"].shape[0],
        depth=_count(state, "image_encoder.blocks."),
        encoder_hidden=state["image_encoder.blocks.0.mlp.linear1.bias"].shape[0],
        decoder_depth=_count(state, "mask_decoder.transformer.layers."),
        decoder_hidden=state["mask_decoder.transformer.layers.0.mlp.lin1.bias"].shape[0],
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})
