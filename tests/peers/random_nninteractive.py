"""A model folder in nnInteractive's published format, small and with random weights.

    python -m tests.peers.random_nninteractive FOLDER

Purely random weights segment noise everywhere, also at the border of every crop, so that a session
zooms out and refines for minutes. Therefore the first convolution weighs the prompts more than the
image, and the last bias keeps only the highest logits: the segmentation is near the prompts and
depends on all of them. Nothing is trained.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from adapters.ours.library_keys import library_state
from adapters.ours.network import NetworkConfig, ResidualEncoderUNet

CONFIG = NetworkConfig((2, 4, 4, 4, 4, 4), (1, 1, 1, 1, 1, 1))
PATCH = 64  # the session's refinement needs more than 48: two margins of 24
NAME = f"3d_fullres_ps{PATCH}_bs24"
GAINS = {0: 0.3, 1: 4.0, 2: 4.0, 4: 4.0, 5: 4.0}  # image, previous mask, box, clicks
FOREGROUND_FRACTION = 0.01  # of a noise crop with a box


def plans() -> dict[str, object]:
    """Return plans with the published layout: the used configuration inherits."""
    stages = len(CONFIG.features)
    arguments = {
        "n_stages": stages,
        "features_per_stage": list(CONFIG.features),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_blocks_per_stage": list(CONFIG.blocks),
        "n_conv_per_stage_decoder": [1] * (stages - 1),
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    library = "dynamic_network_architectures.architectures"
    architecture = {
        "network_class_name": f"{library}.unet.ResidualEncoderUNet",
        "arch_kwargs": arguments,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    base = {"data_identifier": "random", "spacing": [1.0, 1.0, 1.0], "architecture": architecture}
    return {
        "dataset_name": "Dataset999_Random",
        "plans_name": "random",
        "configurations": {
            "3d_fullres": {**base, "patch_size": [192] * 3},
            NAME: {"inherits_from": "3d_fullres", "patch_size": [PATCH] * 3},
        },
    }


def network(seed: int) -> ResidualEncoderUNet:
    """Return the network with its weights."""
    torch.manual_seed(seed)
    unet = ResidualEncoderUNet(CONFIG).eval()
    crop = torch.zeros(1, CONFIG.in_channels, PATCH, PATCH, PATCH)
    crop[:, 0] = torch.randn(PATCH, PATCH, PATCH)
    middle = slice(PATCH // 3, 2 * PATCH // 3)
    crop[:, 2, middle, middle, middle] = 1
    state = unet.state_dict()
    with torch.no_grad():
        for channel, gain in GAINS.items():
            state["encoder.stem.convs.0.conv.weight"][:, channel] *= gain
        background, object_ = unet(crop)[0]
        logits = (object_ - background).flatten().sort().values
        threshold = logits[int(len(logits) * (1 - FOREGROUND_FRACTION))]
        state[f"decoder.seg_layers.{len(CONFIG.features) - 2}.bias"] += (
            torch.stack([threshold, -threshold]) / 2
        )
    return unet


def write_folder(
    folder: Path, *, fold: str = "0", seed: int = 4, boxes_in_3d: bool = False, **more: object
) -> Path:
    """Write the folder; ``more`` goes into the checkpoint. Return the folder.

    With ``boxes_in_3d`` it also has the newer description of a session, which allows them.
    """
    model_plans, fold_folder = plans(), folder / f"fold_{fold}"
    fold_folder.mkdir(parents=True)
    session = {
        "inference_class": "nnInteractiveInferenceSession",
        "point_radius": 4,
        "preferred_scribble_thickness": 2,
    }
    newer = {**session, "supported_interactions": {"bbox3d": True}}
    dataset = {"channel_names": {"0": "any"}, "labels": {"background": 0, "object": 1}}
    for name, content in (
        ("plans", model_plans),
        ("dataset", {**dataset, "numTraining": 0, "file_ending": ".nii.gz"}),
        ("inference_session_class", session),
        *([("inference_info", newer)] if boxes_in_3d else []),
    ):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=4), encoding="utf-8")
    content = {
        "network_weights": library_state(network(seed).state_dict()),
        "trainer_name": "nnInteractiveTrainer_stub",
        "init_args": {
            "plans": model_plans,
            "configuration": NAME,
            "fold": fold,
            "device": torch.device("cpu"),
        },
        "logging": {"mean_fg_dice": [np.float32(0.5), np.float64(0.6)], "lrs": [1e-2]},
        "_best_ema": np.float64(0.7),
        "current_epoch": 1000,
        "grad_scaler_state": None,
        "inference_allowed_mirroring_axes": None,
        **more,
    }
    torch.save(content, fold_folder / "checkpoint_final.pth")
    return folder


if __name__ == "__main__":
    write_folder(Path(sys.argv[1]))
