"""The part of SegVol's network that a box prompt uses.

Du et al., *SegVol: Universal and Interactive Volumetric Medical Image Segmentation*, NeurIPS 2024.
A vision transformer over patches of 4 x 16 x 16 voxels; a random Fourier positional encoding for
the two corners of the box; the two-way transformer decoder of *Segment Anything*. Parameters have
the names of the published checkpoints. Their parts that a box never uses are left out: text
encoder, mask and point prompts, quality head, further masks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import AdapterError
from segbench_adapters import kit

PATCH = (4, 16, 16)  # voxels, (z, y, x)
HEAD_WIDTH = 64  # width of a head of the image encoder
DECODER_HEADS = 8
MASK_TOKENS = 4  # only the first is used
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
        heads = (part.reshape(*part.shape[:2], DECODER_HEADS, -1).transpose(1, 2) for part in parts)
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
        raise AdapterError(f"{name}: not a checkpoint of SegVol: {words[:500]}") from error
    kit.load_strictly(network, used, name=name)
    return network.eval()


def _is_unused(key: str) -> bool:
    return key.startswith(UNUSED) or UNUSED_IN_BLOCK in key
