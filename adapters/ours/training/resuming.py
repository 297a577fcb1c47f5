"""The state of a training on disk; a resumed training gives the result of an uninterrupted one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segbench.core import Click
from segbench.errors import AdapterError
from segbench_adapters import kit

from .interactive_sample import LABEL, InteractiveSample
from .scenes import Scene
from .trainer import Trainer

FORMAT = "segbench-ours-training-3"


def save_state(path: Path, trainer: Trainer, minutes: float) -> None:
    """Write everything that the next step depends on, atomically."""
    state = {
        "format": FORMAT,
        "schedule": json.dumps(asdict(trainer.schedule)),
        "conditions": json.dumps(trainer.conditions),
        "minutes": minutes,
        "licence": trainer.licence,
        "origin": trainer.origin,
        "steps": trainer.steps,
        "samples_seen": trainer.samples_seen,
        "next_index": trainer.loader.next_index,
        "rng": json.dumps(trainer.rng.bit_generator.state),
        "network": trainer.network.state_dict(),
        "ema_network": trainer.ema_network.state_dict(),
        "optimiser": trainer.optimiser.state_dict(),
        "batch": [_pack(sample) for sample in trainer.batch],
    }
    with kit.atomic_write(path) as stream:
        torch.save(state, stream)


def load_state(path: Path, trainer: Trainer) -> float:
    """Restore the state of a trainer; return the minutes already used.

    Raises
    ------
    AdapterError
        The file has another format, or the schedule, the scans, the initial weights or the
        licence are different.
    """
    # to the CPU: load_state_dict copies tensors to their device; the optimiser's counts stay
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("format") != FORMAT:
        raise AdapterError(f"{path.name}: expected {FORMAT}, found {state.get('format')}")
    _check_unchanged(path, json.loads(state["schedule"]), asdict(trainer.schedule))
    _check_unchanged(path, json.loads(state["conditions"]), trainer.conditions)
    trainer.network.load_state_dict(state["network"])
    trainer.ema_network.load_state_dict(state["ema_network"])
    trainer.optimiser.load_state_dict(state["optimiser"])
    trainer.rng.bit_generator.state = json.loads(state["rng"])
    trainer.steps, trainer.samples_seen = state["steps"], state["samples_seen"]
    trainer.licence, trainer.origin = state["licence"], state["origin"]
    trainer.loader.next_index = state["next_index"]
    trainer.batch = [_unpack(packed) for packed in state["batch"]]
    return float(state["minutes"])


def _check_unchanged(path: Path, stored: dict[str, Any], current: dict[str, Any]) -> None:
    current = json.loads(json.dumps(current))
    for key in current:
        if stored.get(key) != current[key]:
            raise AdapterError(
                f"{path.name}: trained with {key} {stored.get(key)}, now {current[key]}; "
                "continue with the same options or choose another file"
            )


def _pack(sample: InteractiveSample) -> dict[str, Any]:
    """Return a sample as tensors and plain values, which load without executing code."""
    box = sample.box
    return {
        "image": torch.from_numpy(sample.scene.image),
        "reference": torch.from_numpy(sample.reference),
        "previous_segmentation": torch.from_numpy(sample.previous_segmentation),
        "box": None if box is None else [(span.start, span.stop) for span in box],
        "clicks": [(click.voxel, click.positive) for click in sample.clicks],
    }


def _unpack(packed: dict[str, Any]) -> InteractiveSample:
    box = packed["box"]
    image, reference, previous_segmentation = (
        np.ascontiguousarray(packed[name].cpu().numpy())
        for name in ("image", "reference", "previous_segmentation")
    )
    spans = None if box is None else tuple(slice(low, high) for low, high in box)
    clicks = [Click(LABEL, tuple(at), positive=positive) for at, positive in packed["clicks"]]
    return InteractiveSample(Scene(image, reference), spans, previous_segmentation, clicks)
