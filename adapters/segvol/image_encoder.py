"""SegVol's image encoder: a vision transformer over patches of 4 x 16 x 16 voxels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .sizes import PATCH, Sizes

HEAD_WIDTH = 64


class ImageEncoder(nn.Module):
    """A plain vision transformer."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.patch_embedding = PatchEmbedding(sizes)
        self.blocks = nn.ModuleList(EncoderBlock(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, image: Tensor) -> Tensor:
        """Return one vector per patch."""
        patches = self.patch_embedding(image)
        for block in self.blocks:
            patches = block(patches)
        normed: Tensor = self.norm(patches)
        return normed


class PatchEmbedding(nn.Module):
    """A linear embedding of each patch of voxels, plus a position embedding."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        # number 0 splits the image into patches and has no parameters
        self.patch_embeddings = nn.Sequential(
            nn.Identity(), nn.Linear(math.prod(PATCH), sizes.width)
        )
        self.position_embeddings = nn.Parameter(torch.zeros(1, math.prod(sizes.grid), sizes.width))

    def forward(self, image: Tensor) -> Tensor:
        """Return the embedded patches of an image (1, 1, z, y, x)."""
        counts = [n // p for n, p in zip(image.shape[2:], PATCH)]
        cut = image.reshape(counts[0], PATCH[0], counts[1], PATCH[1], counts[2], PATCH[2])
        patches = cut.permute(0, 2, 4, 1, 3, 5).reshape(1, math.prod(counts), math.prod(PATCH))
        embedded: Tensor = self.patch_embeddings(patches) + self.position_embeddings
        return embedded


class EncoderBlock(nn.Module):
    """Pre-norm self-attention and MLP."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(sizes.width), nn.LayerNorm(sizes.width)
        self.attn = SelfAttention(sizes.width)
        self.mlp = nn.ModuleDict(
            {
                "linear1": nn.Linear(sizes.width, sizes.encoder_hidden),
                "linear2": nn.Linear(sizes.encoder_hidden, sizes.width),
            }
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Return the patches after the block."""
        patches = patches + self.attn(self.norm1(patches))
        hidden = functional.gelu(self.mlp["linear1"](self.norm2(patches)))
        changed: Tensor = patches + self.mlp["linear2"](hidden)
        return changed


class SelfAttention(nn.Module):
    """Multi-head self-attention of the patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out_proj = nn.Linear(width, width)

    def forward(self, patches: Tensor) -> Tensor:
        """Return the attended patches."""
        batch, count, width = patches.shape
        parts = self.qkv(patches).reshape(batch, count, 3, self.heads, HEAD_WIDTH)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        gathered = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out_proj(gathered.transpose(1, 2).reshape(batch, count, width))
        return out
