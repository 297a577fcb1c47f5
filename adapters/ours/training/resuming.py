"""The state of a training on disk; a resumed training gives the result of an uninterrupted one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from segbench.errors import AdapterError
from segbench_adapters import kit

from ..prompts import BOX, CHANNELS, IMAGE, NEGATIVE, POSITIVE, PREVIOUS
from ..weights import load_checkpoint, read_progress
from .interactive_batch import InteractiveBatch
from .throughput import Throughput
from .trainer import Trainer

FORMAT = "segbench-ours-training-5"
MASKS = [PREVIOUS, BOX, POSITIVE, NEGATIVE]  # channels that are not empty and not the image


def save_state(path: Path, trainer: Trainer, minutes: float, throughput: Throughput | None) -> None:
    """Write everything that the next step depends on, atomically."""
    state = {
        "format": FORMAT,
        "conditions": json.dumps(trainer.conditions),
        "minutes": minutes,
        "throughput": None
        if throughput is None
        else (throughput.channels_last, list(throughput.samples_per_second)),
        "licence": trainer.licence,
        "origin": trainer.origin,
        "steps": trainer.steps,
        "warm_from": trainer.warm_from,
        "samples_seen": trainer.samples_seen,
        "next_index": trainer.loader.next_index,
        "rng": json.dumps(trainer.rng.bit_generator.state),
        "network": trainer.network.state_dict(),
        "ema_network": trainer.ema_network.state_dict(),
        "optimiser": trainer.optimiser.state_dict(),
        "batch": None if trainer.batch is None else _pack(trainer.batch),
    }
    with kit.atomic_write(path) as stream:
        torch.save(state, stream)


def read_state(path: Path, conditions: dict[str, Any]) -> dict[str, Any]:
    """Read a state and check that it belongs to this training.

    Raises
    ------
    AdapterError
        The file has another format, or the schedule, the scans, the initial weights or the
        licence are different.
    """
    # to the CPU: load_state_dict copies tensors to their device; the optimiser's counts stay
    try:
        state = kit.read_checkpoint(path)
    except AdapterError as error:
        raise AdapterError(
            f"{error}; remove it to continue from the averaged weights ({path})"
        ) from error
    if state.get("format") != FORMAT:
        raise AdapterError(f"{path.name}: expected {FORMAT}, found {state.get('format')}")
    _check_unchanged(path, json.loads(state["conditions"]), conditions)
    return state


def stored_throughput(state: dict[str, Any]) -> Throughput | None:
    """Return the throughput that a training measured when it began."""
    return (
        None
        if state["throughput"] is None
        else Throughput(state["throughput"][0], tuple(state["throughput"][1]))
    )


def restore(trainer: Trainer, state: dict[str, Any]) -> None:
    """Bring a trainer into a stored state."""
    trainer.network.load_state_dict(state["network"])
    trainer.ema_network.load_state_dict(state["ema_network"])
    trainer.optimiser.load_state_dict(state["optimiser"])
    trainer.rng.bit_generator.state = json.loads(state["rng"])
    trainer.steps, trainer.samples_seen = state["steps"], state["samples_seen"]
    trainer.warm_from = state["warm_from"]
    trainer.licence, trainer.origin = state["licence"], state["origin"]
    trainer.loader.next_index = state["next_index"]
    trainer.batch = None if state["batch"] is None else _unpack(state["batch"], trainer.device)


def progress_of(trainer: Trainer, minutes: float) -> dict[str, Any]:
    """Return what is stored with the weights, to resume from them where the state is gone."""
    return {
        "minutes": minutes,
        "steps": trainer.steps,
        "samples_seen": trainer.samples_seen,
        "next_index": trainer.loader.next_index,
        "origin": trainer.origin,
        "conditions_sha256": _sha256(trainer.conditions),
    }


def restore_from_weights(trainer: Trainer, path: Path) -> float | None:
    """Go on from the averaged weights alone; return the minutes used, None if that is impossible.

    The optimiser starts again, so the learning rate is warmed up again.

    Raises
    ------
    AdapterError
        The weights are those of a training with other options, scans or initial weights.
    """
    progress = read_progress(path)
    if not progress:
        return None
    if progress["conditions_sha256"] != _sha256(trainer.conditions):
        raise AdapterError(
            f"{path.name}: trained with other options, scans or initial weights; continue with "
            "the same ones or choose another file"
        )
    network, recipe = load_checkpoint(path)
    trainer.network.load_state_dict(network.state_dict())
    trainer.ema_network.load_state_dict(network.state_dict())
    trainer.steps, trainer.samples_seen = progress["steps"], progress["samples_seen"]
    trainer.warm_from = trainer.steps
    trainer.loader.next_index = progress["next_index"]
    trainer.licence, trainer.origin = recipe.licence, progress["origin"]
    return float(progress["minutes"])


def training_conditions(schedule: Any, **files: Any) -> dict[str, Any]:
    """Return what a resumed training must have in common with the stored one."""
    conditions: dict[str, Any] = json.loads(json.dumps({**asdict(schedule), **files}))
    return conditions


def _sha256(conditions: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()


def _check_unchanged(path: Path, stored: dict[str, Any], current: dict[str, Any]) -> None:
    for key in current:
        if stored.get(key) != current[key]:
            raise AdapterError(
                f"{path.name}: trained with {key} {stored.get(key)}, now {current[key]}; "
                "continue with the same options or choose another file"
            )


def _pack(batch: InteractiveBatch) -> dict[str, Any]:
    """Return a batch as small tensors and plain values, which load without executing code."""
    return {
        "images": batch.inputs[:, IMAGE].clone(),
        "masks": batch.inputs[:, MASKS] > 0,
        "references": batch.references,
        "n_clicks": batch.n_clicks,
        "clicks": batch.clicks,
    }


def _unpack(packed: dict[str, Any], device: torch.device) -> InteractiveBatch:
    images, masks, references = (
        packed[name].to(device) for name in ("images", "masks", "references")
    )
    n, *shape = references.shape
    inputs = torch.zeros((n, CHANNELS, *shape), device=device)
    inputs[:, IMAGE], inputs[:, MASKS] = images, masks.float()
    clicks = packed["clicks"].to(device)
    return InteractiveBatch(inputs, references, list(packed["n_clicks"]), clicks)
