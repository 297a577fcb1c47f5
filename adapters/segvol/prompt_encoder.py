"""SegVol's prompt encoder: a random Fourier encoding of the two corners of a box."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .sizes import Sizes


class PromptEncoder(nn.Module):
    """The corners of a box as two tokens."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.pe_layer = RandomPositionEncoding(sizes.width // 2)
        # 2 and 3 are the corners of a box; 0 and 1, for points, are unused
        self.point_embeddings = nn.ModuleDict({k: nn.Embedding(1, sizes.width) for k in "23"})
        self.no_mask_embed = nn.Embedding(1, sizes.width)

    def forward(self, corners: Tensor) -> Tensor:
        """Return the tokens (1, 2, width) of the first and last voxel (2, 3) of a box.

        The authors divide the first coordinate by the second size and vice versa, and trained with
        that: with a window of 32 x 256 x 256 voxels, y runs to 8 and z to 1/8.
        """
        z, y, x = self.sizes.window
        relative = (corners + 0.5) / corners.new_tensor([y, z, x])
        both = torch.cat([each.get_parameter("weight") for each in self.point_embeddings.values()])
        tokens: Tensor = self.pe_layer(relative) + both
        return tokens[None]

    def dense_pe(self) -> Tensor:
        """Return the position encoding (1, width, *grid) of the patches; x first, then y, z."""
        device = self.pe_layer.positional_encoding_gaussian_matrix.device
        z, y, x = ((torch.arange(n, device=device) + 0.5) / n for n in self.sizes.grid)
        first, second, third = torch.meshgrid(z, y, x, indexing="ij")
        waves: Tensor = self.pe_layer(torch.stack([second, first, third], dim=-1))
        return waves.permute(3, 0, 1, 2)[None]


class RandomPositionEncoding(nn.Module):
    """Random Fourier features of positions in the unit cube."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(3, count))

    def forward(self, positions: Tensor) -> Tensor:
        """Return the encoding of positions (..., 3)."""
        angles = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)
