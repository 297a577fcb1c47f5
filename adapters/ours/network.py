"""The Residual Encoder U-Net of the paper (section 2.1), with the library's parameter names.

The layers have the names of ``dynamic_network_architectures.ResidualEncoderUNet``, with which
nnInteractive and the paper's model were trained. That library stores every tensor two to four
times, under aliases. Here each tensor has one canonical key; ``library_keys`` converts between the
two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.01
NORMS = ("instance", "group")
GROUPS = 8  # of the norm "group"; the paper names GroupNorm but not its number of groups


@dataclass(frozen=True)
class NetworkConfig:
    """The size of a network: one entry of ``features`` and ``blocks`` per stage."""

    features: tuple[int, ...]
    blocks: tuple[int, ...]
    norm: str = "instance"
    in_channels: int = 8
    out_channels: int = 2

    @property
    def stride(self) -> int:
        """A patch edge must be a multiple of this: the encoder halves between stages."""
        return 1 << (len(self.features) - 1)


CONFIGS = {
    "paper": NetworkConfig((32, 64, 128, 256, 320, 320), (1, 3, 4, 6, 6, 6)),
    "small": NetworkConfig((16, 32, 64, 128, 144), (1, 2, 2, 2, 2)),
}


def norm_layer(kind: str, channels: int) -> nn.Module:
    """Return the affine norm ``kind``; instance norm is group norm with one group per channel.

    This takes two thirds of the time of ``InstanceNorm3d`` on a CPU. The parameters of both norms
    have the same names and shapes and only the configuration differs, so a checkpoint must state
    its norm.
    """
    if kind not in NORMS:
        raise ValueError(f"norm {kind!r}: expected one of {', '.join(NORMS)}")
    return Norm(channels if kind == "instance" else GROUPS, channels, eps=1e-5)


class Norm(nn.GroupNorm):
    """A group norm that keeps half-precision input on a GPU; autocast would make it float32.

    Sums are float32 all the same. On an H100 it saved two fifths of the memory and a tenth of the
    time.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the norm of (batch, channels, z, y, x), in the type of ``x``."""
        if not (x.is_cuda and x.dtype in (torch.bfloat16, torch.float16)):
            return super().forward(x)
        with torch.autocast("cuda", enabled=False):
            weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
            return F.group_norm(x, self.num_groups, weight, bias, self.eps)


class ConvNorm(nn.Module):
    """A convolution and its norm."""

    def __init__(
        self, channels: tuple[int, int], norm: str, *, kernel: int = 3, stride: int = 1
    ) -> None:
        super().__init__()
        inputs, outputs = channels
        # the 1x1 convolutions on the skip path have no bias in the library
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=kernel > 1)
        self.norm = norm_layer(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, z, y, x) to (batch, outputs, z, y, x)."""
        normed: Tensor = self.norm(self.conv(x))
        return normed


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU in place."""
    return F.leaky_relu(x, NEGATIVE_SLOPE, inplace=True)


class ConvStack(nn.Module):
    """The stem and the decoder stages: one convolution, norm and activation each."""

    def __init__(self, channels: tuple[int, int], norm: str) -> None:
        super().__init__()
        self.convs = nn.Sequential(ConvNorm(channels, norm))

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated features."""
        return activate(self.convs(x))


class ResidualBlock(nn.Module):
    """Eq. 1: F(x) = x + B(x), B two convolutions; x is pooled and projected if shapes differ."""

    def __init__(self, channels: tuple[int, int], norm: str, *, stride: int) -> None:
        super().__init__()
        inputs, outputs = channels
        self.conv1 = ConvNorm(channels, norm, stride=stride)
        self.conv2 = ConvNorm((outputs, outputs), norm)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool3d(stride, stride))
        if inputs != outputs:
            shortcut.append(ConvNorm(channels, norm, kernel=1))
        self.skip = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum of both paths."""
        return activate(self.conv2(activate(self.conv1(x))) + self.skip(x))


class EncoderStage(nn.Module):
    """Residual blocks at one resolution; the first one changes resolution and channels."""

    def __init__(self, channels: tuple[int, int], norm: str, *, blocks: int, stride: int) -> None:
        super().__init__()
        first = ResidualBlock(channels, norm, stride=stride)
        inside = (channels[1], channels[1])
        rest = (ResidualBlock(inside, norm, stride=1) for _ in range(blocks - 1))
        self.blocks = nn.Sequential(first, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stage's features."""
        features: Tensor = self.blocks(x)
        return features


class Encoder(nn.Module):
    """The stem and the stages; returns the features of every stage, finest first."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        widths = (config.features[0], *config.features)
        self.stem = ConvStack((config.in_channels, widths[0]), config.norm)
        self.stages = nn.Sequential(
            *(
                EncoderStage(channels, config.norm, blocks=blocks, stride=2 if i else 1)
                for i, (channels, blocks) in enumerate(zip(zip(widths, widths[1:]), config.blocks))
            )
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one feature map per stage."""
        features = [self.stem(x)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[1:]


class Decoder(nn.Module):
    """Transposed convolutions up, one convolution and one output head per stage.

    Inference uses the last head only, as in the paper; training may supervise the others too
    (``outputs``). They always exist, because the pretrained weights contain them.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        up = config.features[::-1]
        steps = list(zip(up, up[1:]))
        self.stages = nn.ModuleList(ConvStack((2 * fine, fine), config.norm) for _, fine in steps)
        self.transpconvs = nn.ModuleList(
            nn.ConvTranspose3d(coarse, fine, 2, 2) for coarse, fine in steps
        )
        self.seg_layers = nn.ModuleList(
            nn.Conv3d(fine, config.out_channels, 1) for _, fine in steps
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return the logits at full resolution, (batch, outputs, z, y, x)."""
        return self.outputs(features, heads=1)[0]

    def outputs(self, features: list[Tensor], *, heads: int) -> list[Tensor]:
        """Return the logits of the last ``heads`` heads, finest first, each half as fine."""
        *skips, x = features
        logits = []
        for stage, skip in enumerate(skips[::-1]):
            x = self.stages[stage](torch.cat((self.transpconvs[stage](x), skip), dim=1))
            if stage >= len(skips) - heads:
                logits.append(self.seg_layers[stage](x))
        return logits[::-1]


class ResidualEncoderUNet(nn.Module):
    """The network: 8 channels of image and prompts in, background and object logits out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, 8, z, y, x) to (batch, 2, z, y, x); edges multiples of ``config.stride``."""
        logits: Tensor = self.decoder(self.encoder(x))
        return logits

    def outputs(self, x: Tensor, *, heads: int) -> list[Tensor]:
        """Return the logits of up to ``heads`` resolutions, finest first, for deep supervision."""
        return self.decoder.outputs(self.encoder(x), heads=heads)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=NEGATIVE_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
