"""Checkpoints: safetensors with half-precision tensors under canonical keys.

The metadata contain what the tensors do not: the network's configuration, its norm (weights of one
norm load without an error into a network with another, with wrong outputs), the patch, the click
radius, a description of the training, and the licence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from segbench.errors import AdapterError
from segbench_adapters import kit

from .library_keys import canonical_state
from .network import NORMS, NetworkConfig, ResidualEncoderUNet

FORMAT = "segbench-ours-1"


@dataclass(frozen=True)
class Recipe:
    """How to use a checkpoint, and where it comes from."""

    config: NetworkConfig
    patch: int
    ball_radius: float  # voxels of the patch
    antialias: bool
    licence: str
    training: str  # a sentence for the model card


def save_checkpoint(
    path: Path,
    state: Mapping[str, Tensor],
    recipe: Recipe,
    progress: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint atomically; ``progress`` lets a training resume from the weights alone."""
    half_precision = {key: value.detach().half().contiguous() for key, value in state.items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(recipe.config)),
        "norm": recipe.config.norm,
        "patch": str(recipe.patch),
        "ball_radius": str(recipe.ball_radius),
        "antialias": json.dumps(recipe.antialias),
        "licence": recipe.licence,
        "training": recipe.training,
    }
    if progress is not None:
        metadata["progress"] = json.dumps(progress)
    with kit.atomic_write(path) as stream:
        stream.write(save(half_precision, metadata=metadata))


def load_checkpoint(path: Path) -> tuple[ResidualEncoderUNet, Recipe]:
    """Return the network of a checkpoint, in evaluation mode, and its recipe.

    Raises
    ------
    AdapterError
        The file is missing, is not a checkpoint of this format, or contradicts its metadata.
    """
    if not path.is_file():
        raise AdapterError(f"ours: weights: expected a file, found no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            recipe = read_recipe(path, file.metadata() or {})
            names = file.keys()
            state = {name: file.get_tensor(name).float() for name in names}
    except SafetensorError as error:
        raise AdapterError(f"{path.name}: expected a safetensors file, found {error}") from error
    network = ResidualEncoderUNet(recipe.config)
    load_weights(network, state, path.name)
    return network.eval(), recipe


def read_progress(path: Path) -> dict[str, Any]:
    """Return the progress stored with the weights of a training; empty if there is none."""
    try:
        with safe_open(path, framework="pt") as file:
            progress: dict[str, Any] = json.loads((file.metadata() or {}).get("progress", "{}"))
    except SafetensorError as error:
        raise AdapterError(f"{path.name}: expected a safetensors file, found {error}") from error
    return progress


def read_recipe(path: Path, metadata: Mapping[str, str]) -> Recipe:
    """Parse the metadata of a checkpoint; raise if they are incomplete or inconsistent."""
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "no format")
        raise AdapterError(f"{path.name}: expected a checkpoint in format {FORMAT}, found {found}")
    try:
        recipe = _parse(metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise AdapterError(
            f"{path.name}: expected whole metadata, found {type(error).__name__}: {error}"
        ) from error
    stated = metadata.get("norm")
    if stated != recipe.config.norm or stated not in NORMS:
        raise AdapterError(
            f"{path.name}: expected one norm, of {', '.join(NORMS)}, found {stated!r} in the "
            f"metadata and {recipe.config.norm!r} in the configuration"
        )
    if recipe.patch < 1 or recipe.patch % recipe.config.stride:
        stride = recipe.config.stride
        raise AdapterError(
            f"{path.name}: expected a patch that is a multiple of {stride}, found {recipe.patch}"
        )
    return recipe


def load_weights(network: ResidualEncoderUNet, state: Mapping[str, Tensor], name: str) -> None:
    """Load a state, canonical or with the library's aliases; raise if a tensor does not fit."""
    kit.load_strictly(network, canonical_state(state), name=name)


def _parse(metadata: Mapping[str, str]) -> Recipe:
    config: dict[str, Any] = json.loads(metadata["config"])
    config.update({key: tuple(config[key]) for key in ("features", "blocks")})
    return Recipe(
        NetworkConfig(**config),
        patch=int(metadata["patch"]),
        ball_radius=float(metadata["ball_radius"]),
        antialias=bool(json.loads(metadata["antialias"])),
        licence=metadata["licence"],
        training=metadata["training"],
    )
