"""Initial weights: a checkpoint of ours, or nnInteractive's, as in the paper.

nnInteractive v1.0 is a folder with ``fold_0/checkpoint_final.pth``: a pickled dictionary with the
tensors (956 keys for 264 tensors) and the plans of their network. Reading it executes nothing but
constructors of NumPy numbers. Its eight input channels are those of ``prompts``; the three that
the challenge does not use (negative box, two scribbles) are kept and are always zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segbench.errors import AdapterError
from segbench_adapters import kit

from ..library_keys import canonical_state, library_state
from ..network import NetworkConfig, ResidualEncoderUNet
from ..weights import load_checkpoint, load_weights

CHECKPOINT = Path("fold_0") / "checkpoint_final.pth"
NNINTERACTIVE_LICENCE = "CC-BY-NC-SA-4.0"  # of its weights, and so of what is trained from them
NORM_OPS = {"InstanceNorm3d": "instance", "GroupNorm": "group"}


@dataclass(frozen=True)
class InitialWeights:
    """Tensors under canonical keys, with their licence and origin."""

    state: dict[str, Tensor]
    licence: str
    origin: str  # part of a sentence for the model card

    @property
    def licence_is_inherited(self) -> bool:
        """Whether the licence extends to weights trained from these (share-alike etc.)."""
        return not {"SA", "NC", "ND"}.isdisjoint(self.licence.replace(" ", "-").split("-"))


def load_initial_weights(path: Path, config: NetworkConfig) -> InitialWeights:
    """Read the weights at ``path`` for a network of ``config``.

    Parameters
    ----------
    path : Path
        A checkpoint of ours (safetensors), nnInteractive's folder, or its ``.pth`` file.
    config : NetworkConfig
        The network to train. Weights of another one are an error. This includes the norm: weights
        of one norm load into a network with another, with wrong outputs.

    Raises
    ------
    AdapterError
        The file is missing, unsafe or malformed, or it belongs to another network.
    """
    if path.suffix == ".safetensors":
        network, recipe = load_checkpoint(path)
        _check_same_network(path, recipe.config, config)
        return InitialWeights(network.state_dict(), recipe.licence, f"after {recipe.training}")
    file = path / CHECKPOINT if path.is_dir() else path
    if not file.is_file():
        raise AdapterError(
            f"no weights at {file}: expected a .pth file or a folder with {CHECKPOINT}"
        )
    content = load_safely(file)
    _check_same_network(file, config_from_plans(file, content), config)
    state = _checked_tensors(file, content, config)
    return InitialWeights(state, NNINTERACTIVE_LICENCE, f"from nnInteractive's {file.name}")


def load_safely(file: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors, plain values and numpy numbers; refuse anything else."""
    content = kit.read_checkpoint(file, kit.numpy_safe_globals())
    if "network_weights" not in content:
        raise AdapterError(f"{file.name}: expected a dictionary with network_weights")
    return content


def config_from_plans(file: Path, content: Mapping[str, Any]) -> NetworkConfig:
    """Return the network configuration in the checkpoint's plans."""
    try:
        init_args = content["init_args"]
        architecture = _architecture(
            init_args["plans"]["configurations"], init_args["configuration"]
        )
        norm = NORM_OPS[architecture["norm_op"].rpartition(".")[2]]
        _check_architecture(file, architecture)
        first = content["network_weights"]["encoder.stem.convs.0.conv.weight"]
        return NetworkConfig(
            tuple(architecture["features_per_stage"]),
            tuple(architecture["n_blocks_per_stage"]),
            norm,
            in_channels=first.shape[1],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise AdapterError(
            f"{file.name}: expected plans with a network of known norm, found no {error}"
        ) from error


def _architecture(configurations: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the network's arguments in a configuration or in the one it inherits from."""
    for _ in configurations:
        chosen = configurations[name]
        if "architecture" in chosen:
            arguments: Mapping[str, Any] = chosen["architecture"]["arch_kwargs"]
            return arguments
        name = chosen["inherits_from"]
    raise KeyError("architecture")


def _check_architecture(file: Path, architecture: Mapping[str, Any]) -> None:
    """Raise if a parameter differs that changes no tensor's name or shape."""
    stages = int(architecture["n_stages"])
    expected = {
        "strides": [1] + [2] * (stages - 1),
        "n_conv_per_stage_decoder": [1] * (stages - 1),
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
    }
    for key, value in expected.items():
        if _simplified(architecture[key]) != value:
            raise AdapterError(f"{file.name}: {key}: expected {value}, found {architecture[key]}")


def _simplified(value: Any) -> Any:
    """Return [2, 2, 2] as 2: plans may give a stride per axis."""
    if isinstance(value, (list, tuple)):
        return [v[0] if isinstance(v, (list, tuple)) and len(set(v)) == 1 else v for v in value]
    return value


def _check_same_network(file: Path, found: NetworkConfig, expected: NetworkConfig) -> None:
    for key in ("norm", "features", "blocks", "in_channels", "out_channels"):
        if getattr(found, key) != getattr(expected, key):
            raise AdapterError(
                f"{file.name}: expected {key} {getattr(expected, key)}, found {getattr(found, key)}"
            )


def _checked_tensors(
    file: Path, content: Mapping[str, Any], config: NetworkConfig
) -> dict[str, Tensor]:
    """Return every tensor once, after checking that its aliases agree."""
    weights: dict[str, Tensor] = content["network_weights"]
    state = canonical_state(weights)
    for key, tensor in library_state(state).items():
        if key not in weights or not torch.equal(weights[key], tensor):
            raise AdapterError(f"{file.name}: {key} is missing or contradicts its alias")
    load_weights(ResidualEncoderUNet(config), state, file.name)
    return state
