"""The learning itself: batches of dialogues, the loss, the optimiser, the average."""

from __future__ import annotations

import copy
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segbench.core import Mask

from ..network import CONFIGS, ResidualEncoderUNet
from ..prompts import ball_radius
from .dialogue import Dialogue, click, open_dialogue
from .objects import Target, scene_of
from .scenes import Scene, generated_scene

FEWEST_SHOWN = 20  # patch voxels of an object, or nothing can be learnt from it


@dataclass(frozen=True)
class Phase:
    """A part of the training with one patch edge; ``until`` is a share of the whole time."""

    until: float
    patch: int
    batch: int


@dataclass(frozen=True)
class Schedule:
    """Every choice that moves a training result, beside the data."""

    minutes: float
    config: str = "small"
    # not 32: with a bottleneck of 2 voxels an axis, oneDNN's bfloat16 weight gradients are garbage
    phases: tuple[Phase, ...] = (Phase(1.0, 48, 2),)
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up: int = 100  # steps
    dice_weight: float = 10.0  # alpha of Eq. 14
    clip_norm: float = 5.0
    decay: float = 0.999  # of the exponential moving average of the weights
    share_real: float = 0.6
    share_unboxed: float = 0.2
    another_click: float = 0.65
    most_clicks: int = 5
    tune_share: float = 0.15
    evaluate_minutes: float = 7.5
    seed: int = 42


@dataclass
class Source:
    """Where scenes come from: groups of annotated objects, and generated ones."""

    groups: list[list[Target]]
    rng: np.random.Generator
    schedule: Schedule

    def dialogue(self, patch: int) -> Dialogue:
        """Open a new dialogue."""
        radius = ball_radius(patch)
        boxed = bool(self.rng.random() >= self.schedule.share_unboxed)
        while True:
            scene = self.scene(patch, centred=boxed)
            if scene.reference.sum() >= FEWEST_SHOWN:
                return open_dialogue(scene, self.rng, radius, boxed=boxed)

    def scene(self, patch: int, *, centred: bool) -> Scene:
        """Return a scene: groups of scans in equal shares, their objects alike."""
        if not self.groups or self.rng.random() >= self.schedule.share_real:
            return generated_scene(self.rng, patch)
        group = self.groups[int(self.rng.integers(len(self.groups)))]
        target = group[int(self.rng.integers(len(group)))]
        return scene_of(target, self.rng, patch, centred=centred)


@dataclass
class Trainer:
    """The state of a training: network, average, optimiser and the running dialogues."""

    schedule: Schedule
    source: Source
    network: ResidualEncoderUNet = field(init=False)
    average: ResidualEncoderUNet = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    running: list[Dialogue] = field(default_factory=list)
    steps: int = 0
    samples: int = 0

    def __post_init__(self) -> None:
        torch.manual_seed(self.schedule.seed)
        self.network = ResidualEncoderUNet(CONFIGS[self.schedule.config])
        self.average = copy.deepcopy(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.schedule.learning_rate,
            weight_decay=self.schedule.weight_decay,
        )

    def step(self, done: float) -> list[tuple[int, float, float]]:
        """Train on one batch; return clicks, Dice and loss of each of its samples."""
        phase = phase_at(self.schedule, done)
        self._fill(phase)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.schedule, self.steps, done)
        inputs = torch.from_numpy(np.stack([d.channels for d in self.running]))
        reference = torch.from_numpy(np.stack([d.reference for d in self.running])).float()
        with mixed_precision():
            outputs = self.network(inputs)
        margin = (outputs[:, 1] - outputs[:, 0]).float()
        losses, dice = loss_of(margin, reference, self.schedule.dice_weight)
        self._descend(losses.mean())
        facts = [(d.clicks, v, lo) for d, v, lo in zip(self.running, dice, losses.tolist())]
        self._go_on((margin.detach() > 0).numpy(), phase)
        return facts

    def _fill(self, phase: Phase) -> None:
        """Keep the dialogues of this patch and open new ones for those that ended."""
        fitting = [d for d in self.running if len(d.reference) == phase.patch]
        missing = phase.batch - len(fitting)
        self.running = fitting + [self.source.dialogue(phase.patch) for _ in range(missing)]

    def _descend(self, loss: Tensor) -> None:
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip_norm)
        self.optimiser.step()
        self.steps += 1
        self.samples += len(self.running)
        # a short memory at first, or the random start would linger in the average
        decay = min(self.schedule.decay, (1 + self.steps) / (20 + self.steps))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.network.parameters()):
                mean.lerp_(new, 1 - decay)

    def _go_on(self, predictions: Mask, phase: Phase) -> None:
        """Let some dialogues go on with a click on this prediction's largest error."""
        rng, radius = self.source.rng, ball_radius(phase.patch)
        self.running = [
            dialogue
            for dialogue, prediction in zip(self.running, predictions)
            if dialogue.clicks < self.schedule.most_clicks
            and rng.random() < self.schedule.another_click
            and click(dialogue, prediction, radius)
        ]


def phase_at(schedule: Schedule, done: float) -> Phase:
    """Return the phase at a share ``done`` of the time."""
    return next((phase for phase in schedule.phases if done < phase.until), schedule.phases[-1])


def loss_of(margin: Tensor, reference: Tensor, weight: float) -> tuple[Tensor, list[float]]:
    """Return each sample's loss (Eq. 14-16), and the Dice of its thresholded prediction.

    The sign of the Dice term is the authors' code's; the printed one would maximise the loss.
    """
    share, wanted = torch.sigmoid(margin).flatten(1), reference.flatten(1)
    overlap = soft_dice(share, wanted)
    entropy = F.binary_cross_entropy_with_logits(margin, reference, reduction="none")
    losses = weight * (1 - overlap) + entropy.flatten(1).mean(1)
    return losses, soft_dice((share > 0.5).float(), wanted).tolist()


def soft_dice(share: Tensor, wanted: Tensor) -> Tensor:
    """Return Eq. 15's overlap of each sample, (batch,)."""
    total = share.sum(1) + wanted.sum(1)
    return (2 * (share * wanted).sum(1) + 1e-5) / (total + 1e-5)


def learning_rate(schedule: Schedule, step: int, done: float) -> float:
    """Return the rate after ``step`` steps and a share ``done`` of the time: warm-up, cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    warm = min(1.0, (step + 1) / schedule.warm_up)
    return schedule.learning_rate * warm * (0.98 * cosine + 0.02)


def mixed_precision() -> AbstractContextManager[Any]:
    """Compute in bfloat16 where the processor multiplies it natively; elsewhere it is slow."""
    flags = Path("/proc/cpuinfo")
    fast = flags.is_file() and "avx512_bf16" in flags.read_text()
    return torch.autocast("cpu", torch.bfloat16, enabled=fast)
