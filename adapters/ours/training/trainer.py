"""The training step: batches of samples, the optimiser, the moving average of the weights."""

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
from .interactive_sample import InteractiveSample, add_click
from .losses import click_loss, deep_supervision_loss
from .pretrained import InitialWeights
from .sample_loader import SampleLoader
from .schedule import Phase, Schedule, learning_rate, phase_at

SampleResult = tuple[int, float, float]  # clicks, Dice and loss of one sample


@dataclass
class Trainer:
    """The state of a training: network, EMA network, optimiser and current batch."""

    schedule: Schedule
    loader: SampleLoader
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    network: ResidualEncoderUNet = field(init=False)
    ema_network: ResidualEncoderUNet = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    rng: np.random.Generator = field(init=False)
    batch: list[InteractiveSample] = field(default_factory=list)
    steps: int = 0
    samples_seen: int = 0
    licence: str = "not stated"  # of the weights
    origin: str = "from random weights"
    conditions: dict[str, Any] = field(default_factory=dict)  # fixed on resuming

    def __post_init__(self) -> None:
        torch.manual_seed(self.schedule.seed)
        self.network = ResidualEncoderUNet(CONFIGS[self.schedule.config]).to(self.device)
        self.ema_network = copy.deepcopy(self.network)
        self.rng = np.random.default_rng(
            [self.schedule.seed, 0, 1]
        )  # the generator's seeds have two parts
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.schedule.learning_rate,
            weight_decay=self.schedule.weight_decay,
        )

    def initialise_from(self, initial: InitialWeights, licence: str | None = None) -> None:
        """Start from initial weights; the result keeps their licence or gets another.

        Raises
        ------
        AdapterError
            The weights' licence does not allow another.
        """
        if initial.licence_is_inherited and licence not in (None, initial.licence):
            raise AdapterError(
                f"weights {initial.origin}: their licence {initial.licence} passes to what is "
                f"trained from them, found the licence {licence}"
            )
        self.network.load_state_dict(initial.state)
        self.ema_network.load_state_dict(initial.state)
        inherited = initial.licence if initial.licence_is_inherited else self.licence
        self.licence, self.origin = licence or inherited, initial.origin

    def step(self, done: float) -> list[SampleResult]:
        """Train on one batch after a share ``done`` of the budget; return a result per sample."""
        schedule, phase = self.schedule, phase_at(self.schedule, done)
        self._fill_batch(phase)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(schedule, self.steps, done)
        # masks are copied as booleans, which are smaller, and become floats on the device
        inputs = self._to_device(np.stack([d.prompt_channels for d in self.batch])).float()
        inputs[:, IMAGE] = self._to_device(np.stack([d.scene.image for d in self.batch]))
        reference = self._to_device(np.stack([d.reference for d in self.batch])).float()
        with mixed_precision(self.device):
            outputs = self.network.outputs(inputs, heads=len(schedule.deep_supervision_weights))
        logits = [out[:, 1].float() - out[:, 0].float() for out in outputs]
        losses, dice = deep_supervision_loss(
            logits,
            reference,
            weights=schedule.deep_supervision_weights,
            dice_weight=schedule.dice_weight,
        )
        clicked = inputs[:, POSITIVE] + inputs[:, NEGATIVE]
        losses = losses + schedule.click_weight * click_loss(logits[0], reference, clicked)
        self._optimise(losses.mean())
        results = [(d.n_clicks, v, lo) for d, v, lo in zip(self.batch, dice, losses.tolist())]
        self._continue_samples((logits[0].detach() > 0).cpu().numpy())
        return results

    def _to_device(self, values: Any) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def _fill_batch(self, phase: Phase) -> None:
        """Keep the samples of this patch size and replace the finished ones."""
        fitting = [d for d in self.batch if len(d.reference) == phase.patch]
        missing = phase.batch - len(fitting)
        self.batch = fitting + [self.loader.next(phase.patch) for _ in range(missing)]

    def _optimise(self, loss: Tensor) -> None:
        if not bool(loss.isfinite()):
            raise AdapterError(
                f"the loss is {loss.item()} after {self.steps} steps; the last checkpoint is "
                "unchanged: start from it with --init, another --out and a lower --rate"
            )
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip_norm)
        self.optimiser.step()
        self.steps += 1
        self.samples_seen += len(self.batch)
        # a smaller decay at first, so that the average forgets the initial weights
        decay = min(self.schedule.ema_decay, (1 + self.steps) / (20 + self.steps))
        with torch.no_grad():
            for mean, new in zip(self.ema_network.parameters(), self.network.parameters()):
                mean.lerp_(new, 1 - decay)

    def _continue_samples(self, predictions: Mask) -> None:
        """Keep some samples, with a click on the largest error of the prediction."""
        self.batch = [
            sample
            for sample, prediction in zip(self.batch, predictions)
            if sample.n_clicks < self.schedule.max_clicks
            and self.rng.random() < self.schedule.next_click_probability
            and add_click(sample, prediction)
        ]


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bfloat16 where the hardware multiplies it natively; elsewhere it is slow."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        flags = Path("/proc/cpuinfo")
        fast = flags.is_file() and "avx512_bf16" in flags.read_text()
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)
