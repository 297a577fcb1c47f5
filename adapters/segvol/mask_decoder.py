"""SegVol's mask decoder: the two-way transformer of *Segment Anything*, in three dimensions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .sizes import Sizes

HEADS = 8
MASK_TOKENS = 4  # only the first is used


class MaskDecoder(nn.Module):
    """Two-way attention of tokens and image; a token's hypernetwork weighs the features."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, twice = sizes.width, [2 * n for n in sizes.grid]
        self.iou_token, self.mask_tokens = nn.Embedding(1, width), nn.Embedding(MASK_TOKENS, width)
        self.transformer = TwoWayTransformer(sizes)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose3d(width, width // 4, kernel_size=2, stride=2),
            nn.LayerNorm((width // 4, *twice)),
            nn.GELU(),
            nn.ConvTranspose3d(width // 4, width // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList([MLP((width, width, width, width // 8))])

    def forward(self, embedding: Tensor, dense_pe: Tensor, prompt: Tensor) -> Tensor:
        """Return logits (1, 1, *4 * grid) for an embedding (1, width, *grid)."""
        fixed = torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None]
        tokens = torch.cat([fixed, prompt], dim=1)
        tokens, image = self.transformer(embedding, dense_pe, tokens)
        features = self.output_upscaling(image.transpose(1, 2).reshape(embedding.shape))
        weights = self.output_hypernetworks_mlps[0](tokens[:, 1])
        return torch.einsum("bc,bczyx->bzyx", weights, features)[:, None]


class TwoWayTransformer(nn.Module):
    """Layers in which tokens attend to the image and the image to the tokens."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(sizes, first=number == 0) for number in range(sizes.decoder_depth)
        )
        self.final_attn_token_to_image = Attention(sizes.width, sizes.width // 2)
        self.norm_final_attn = nn.LayerNorm(sizes.width)

    def forward(self, image: Tensor, dense_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens and the image (1, patches, width) after all layers."""
        keys, dense_pe = (each.flatten(2).transpose(1, 2) for each in (image, dense_pe))
        queries = tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, dense_pe)
        found = self.final_attn_token_to_image(queries + tokens, keys + dense_pe, keys)
        return self.norm_final_attn(queries + found), keys


class TwoWayBlock(nn.Module):
    """Self-attention of the tokens, tokens to image, MLP, image to tokens; post-norm."""

    def __init__(self, sizes: Sizes, *, first: bool) -> None:
        super().__init__()
        width, half = sizes.width, sizes.width // 2
        self.first = first
        self.self_attn = Attention(width, width)
        self.cross_attn_token_to_image = Attention(width, half)
        self.cross_attn_image_to_token = Attention(width, half)
        self.mlp = nn.ModuleDict(
            {
                "lin1": nn.Linear(width, sizes.decoder_hidden),
                "lin2": nn.Linear(sizes.decoder_hidden, width),
            }
        )
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm3, self.norm4 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(
        self, queries: Tensor, keys: Tensor, tokens: Tensor, dense_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens and image; the first block has no skip connection around self-attention."""
        if self.first:
            queries = self.self_attn(queries, queries, queries)
        else:
            placed = queries + tokens
            queries = queries + self.self_attn(placed, placed, queries)
        queries = self.norm1(queries)
        found = self.cross_attn_token_to_image(queries + tokens, keys + dense_pe, keys)
        queries = self.norm2(queries + found)
        hidden = functional.relu(self.mlp["lin1"](queries))
        queries = self.norm3(queries + self.mlp["lin2"](hidden))
        attended = self.cross_attn_image_to_token(keys + dense_pe, queries + tokens, queries)
        return queries, self.norm4(keys + attended)


class Attention(nn.Module):
    """Multi-head attention with a smaller inner width."""

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(width, inner_width), nn.Linear(width, inner_width)
        self.v_proj, self.out_proj = nn.Linear(width, inner_width), nn.Linear(inner_width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the attended values."""
        parts = (self.q_proj(query), self.k_proj(key), self.v_proj(value))
        heads = (part.reshape(*part.shape[:2], HEADS, -1).transpose(1, 2) for part in parts)
        gathered = functional.scaled_dot_product_attention(*heads)
        out: Tensor = self.out_proj(gathered.transpose(1, 2).flatten(2))
        return out


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:]))

    def forward(self, vector: Tensor) -> Tensor:
        """Return the vector after all layers."""
        *earlier, last = self.layers
        for layer in earlier:
            vector = functional.relu(layer(vector))
        out: Tensor = last(vector)
        return out
