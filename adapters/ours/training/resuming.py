"""The state of a training on disk, so that a killed one goes on as if nothing had happened."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segbench.core import Click
from segbench.errors import AdapterError

from .dialogue import LABEL, Dialogue
from .learning import Trainer
from .scenes import Scene

FORMAT = "segbench-ours-training-2"


def save_state(path: Path, trainer: Trainer, minutes: float) -> None:
    """Write everything that the next step depends on, whole or not at all."""
    state = {
        "format": FORMAT,
        "schedule": json.dumps(asdict(trainer.schedule)),
        "conditions": json.dumps(trainer.conditions),
        "minutes": minutes,
        "licence": trainer.licence,
        "origin": trainer.origin,
        "steps": trainer.steps,
        "samples": trainer.samples,
        "number": trainer.feed.number,
        "random": json.dumps(trainer.rng.bit_generator.state),
        "network": trainer.network.state_dict(),
        "average": trainer.average.state_dict(),
        "optimiser": trainer.optimiser.state_dict(),
        "running": [_packed(dialogue) for dialogue in trainer.running],
    }
    unfinished = path.with_name(path.name + ".part")
    torch.save(state, unfinished)
    unfinished.replace(path)


def load_state(path: Path, trainer: Trainer) -> float:
    """Put a trainer into the stored state; return the minutes already used.

    Raises
    ------
    AdapterError
        The file is of another format, or of a training with another schedule, other scans, other
        weights to begin with or another licence.
    """
    # to the processor: what belongs on a device is copied there, the optimiser's counts are not
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("format") != FORMAT:
        raise AdapterError(f"{path.name}: expected {FORMAT}, found {state.get('format')}")
    _refuse_other(path, json.loads(state["schedule"]), asdict(trainer.schedule))
    _refuse_other(path, json.loads(state["conditions"]), trainer.conditions)
    trainer.network.load_state_dict(state["network"])
    trainer.average.load_state_dict(state["average"])
    trainer.optimiser.load_state_dict(state["optimiser"])
    trainer.rng.bit_generator.state = json.loads(state["random"])
    trainer.steps, trainer.samples = state["steps"], state["samples"]
    trainer.licence, trainer.origin = state["licence"], state["origin"]
    trainer.feed.number = state["number"]
    trainer.running = [_unpacked(packed) for packed in state["running"]]
    return float(state["minutes"])


def _refuse_other(path: Path, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    asked = json.loads(json.dumps(wanted))
    for key in asked:
        if stored.get(key) != asked[key]:
            raise AdapterError(
                f"{path.name}: trained with {key} {stored.get(key)}, now asked for {asked[key]}; "
                "continue with the same options or choose another file"
            )


def _packed(dialogue: Dialogue) -> dict[str, Any]:
    """Return a dialogue as tensors and plain values, which load without executing anything."""
    box = dialogue.box
    return {
        "image": torch.from_numpy(dialogue.scene.image),
        "reference": torch.from_numpy(dialogue.reference),
        "previous": torch.from_numpy(dialogue.previous),
        "box": None if box is None else [(span.start, span.stop) for span in box],
        "said": [(click.at, click.positive) for click in dialogue.said],
    }


def _unpacked(packed: dict[str, Any]) -> Dialogue:
    box, said = packed["box"], packed["said"]
    image, reference, previous = (
        np.ascontiguousarray(packed[name].cpu().numpy())
        for name in ("image", "reference", "previous")
    )
    spans = None if box is None else tuple(slice(low, high) for low, high in box)
    clicks = [Click(LABEL, tuple(at), positive=positive) for at, positive in said]
    return Dialogue(Scene(image, reference), spans, previous, clicks)
