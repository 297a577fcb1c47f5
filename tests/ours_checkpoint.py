"""A checkpoint of ours with random weights: a step takes milliseconds instead of seconds."""

from pathlib import Path

import torch

from adapters.ours.network import NetworkConfig, ResidualEncoderUNet
from adapters.ours.weights import Recipe, save_checkpoint

TINY = NetworkConfig((4, 6, 8), (1, 1, 1))


def write_checkpoint(file: Path) -> Path:
    """Write a checkpoint of a tiny network with small patches."""
    torch.manual_seed(1)
    recipe = Recipe(
        TINY, patch=16, ball_radius=2.0, antialias=True, licence="CC0-1.0", training="random"
    )
    save_checkpoint(file, ResidualEncoderUNet(TINY).state_dict(), recipe)
    return file
