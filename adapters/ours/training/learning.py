"""The learning itself: batches of dialogues, the optimiser, the average."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segbench.core import Mask
from segbench.errors import AdapterError

from ..network import CONFIGS, ResidualEncoderUNet
from ..prompts import IMAGE, NEGATIVE, POSITIVE
from .dialogue import Dialogue, answer
from .feed import Feed
from .losses import click_loss, deep_loss
from .pretrained import Start
from .schedule import Phase, Schedule, learning_rate, phase_at

Fact = tuple[int, float, float]  # clicks, Dice and loss of one sample


@dataclass
class Trainer:
    """The state of a training: network, average, optimiser and the running dialogues."""

    schedule: Schedule
    feed: Feed
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    network: ResidualEncoderUNet = field(init=False)
    average: ResidualEncoderUNet = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    rng: np.random.Generator = field(init=False)
    running: list[Dialogue] = field(default_factory=list)
    steps: int = 0
    samples: int = 0
    licence: str = "not stated"  # of the weights
    origin: str = "from random weights"
    conditions: dict[str, Any] = field(default_factory=dict)  # of going on, beside the schedule

    def __post_init__(self) -> None:
        torch.manual_seed(self.schedule.seed)
        self.network = ResidualEncoderUNet(CONFIGS[self.schedule.config]).to(self.device)
        self.average = copy.deepcopy(self.network)
        self.rng = np.random.default_rng([self.schedule.seed, 0, 1])  # the feed's have two parts
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.schedule.learning_rate,
            weight_decay=self.schedule.weight_decay,
        )

    def start_from(self, start: Start, licence: str | None = None) -> None:
        """Begin with given weights; what is trained keeps their licence or takes another.

        Raises
        ------
        AdapterError
            The weights' licence does not allow another.
        """
        if start.passes_on and licence not in (None, start.licence):
            raise AdapterError(
                f"weights {start.origin}: their licence {start.licence} passes to what is trained "
                f"from them, found the licence {licence}"
            )
        self.network.load_state_dict(start.state)
        self.average.load_state_dict(start.state)
        inherited = start.licence if start.passes_on else self.licence
        self.licence, self.origin = licence or inherited, start.origin

    def step(self, done: float) -> list[Fact]:
        """Train on one batch after a share ``done`` of the budget; return its samples' facts."""
        schedule, phase = self.schedule, phase_at(self.schedule, done)
        self._fill(phase)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(schedule, self.steps, done)
        # masks cross to the device as masks: there they become floats
        inputs = self._moved(np.stack([d.prompts for d in self.running])).float()
        inputs[:, IMAGE] = self._moved(np.stack([d.scene.image for d in self.running]))
        reference = self._moved(np.stack([d.reference for d in self.running])).float()
        with mixed_precision(self.device):
            outputs = self.network.outputs(inputs, heads=len(schedule.deep_weights))
        margins = [out[:, 1].float() - out[:, 0].float() for out in outputs]
        losses, dice = deep_loss(
            margins, reference, weights=schedule.deep_weights, dice_weight=schedule.dice_weight
        )
        clicked = inputs[:, POSITIVE] + inputs[:, NEGATIVE]
        losses = losses + schedule.click_weight * click_loss(margins[0], reference, clicked)
        self._descend(losses.mean())
        facts = [(d.clicks, v, lo) for d, v, lo in zip(self.running, dice, losses.tolist())]
        self._go_on((margins[0].detach() > 0).cpu().numpy())
        return facts

    def _moved(self, values: Any) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def _fill(self, phase: Phase) -> None:
        """Keep the dialogues of this patch and open new ones for those that ended."""
        fitting = [d for d in self.running if len(d.reference) == phase.patch]
        missing = phase.batch - len(fitting)
        self.running = fitting + [self.feed.next(phase.patch) for _ in range(missing)]

    def _descend(self, loss: Tensor) -> None:
        if not bool(loss.isfinite()):
            raise AdapterError(
                f"the loss is {loss.item()} after {self.steps} steps; what was saved before "
                "stays as it is: go on from there with another --out, --init and a lower --rate"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip_norm)
        self.optimiser.step()
        self.steps += 1
        self.samples += len(self.running)
        # a short memory at first, or the start would linger in the average
        decay = min(self.schedule.decay, (1 + self.steps) / (20 + self.steps))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.network.parameters()):
                mean.lerp_(new, 1 - decay)

    def _go_on(self, predictions: Mask) -> None:
        """Let some dialogues go on with a click on this prediction's largest error."""
        self.running = [
            dialogue
            for dialogue, prediction in zip(self.running, predictions)
            if dialogue.clicks < self.schedule.most_clicks
            and self.rng.random() < self.schedule.another_click
            and answer(dialogue, prediction)
        ]


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bfloat16 where the hardware multiplies it natively; elsewhere it is slow."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        flags = Path("/proc/cpuinfo")
        fast = flags.is_file() and "avx512_bf16" in flags.read_text()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)
