"""The training step: batches of samples, the optimiser, the moving average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segbench.errors import AdapterError

from ..network import CONFIGS, ResidualEncoderUNet
from ..prompts import NEGATIVE, POSITIVE
from .interactive_batch import InteractiveBatch, joined
from .losses import click_loss, deep_supervision_loss, walk_loss
from .precision import mixed_precision
from .pretrained import InitialWeights
from .sample_loader import SampleLoader
from .samples import SamplePainter
from .schedule import Phase, Schedule, learning_rate, phase_at
from .walk import walked, walked_masks


@dataclass(frozen=True)
class StepResult:
    """Clicks, Dice and loss of each sample of a batch; the tensors are still on the device."""

    n_clicks: list[int]
    dice: Tensor
    losses: Tensor


@dataclass
class Trainer:
    """The state of a training: network, EMA network, optimiser and current batch."""

    schedule: Schedule
    loader: SampleLoader
    painter: SamplePainter
    channels_last: bool = False
    network: ResidualEncoderUNet = field(init=False)
    ema_network: ResidualEncoderUNet = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    rng: np.random.Generator = field(init=False)
    batch: InteractiveBatch | None = None
    steps: int = 0
    warm_from: int = 0  # step from which the warm-up counts
    samples_seen: int = 0
    last_loss: float = 0.0
    licence: str = "not stated"  # of the weights
    origin: str = "from random weights"
    conditions: dict[str, Any] = field(default_factory=dict)  # fixed on resuming

    def __post_init__(self) -> None:
        torch.manual_seed(self.schedule.seed)
        self.network = ResidualEncoderUNet(CONFIGS[self.schedule.config]).to(self.device)
        if self.channels_last:
            self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.ema_network = copy.deepcopy(self.network)
        self.rng = np.random.default_rng(
            [self.schedule.seed, 0, 0, 1]
        )  # the generator's seeds have three parts
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.schedule.learning_rate,
            weight_decay=self.schedule.weight_decay,
        )

    @property
    def device(self) -> torch.device:
        """The device that paints the samples and trains."""
        return self.painter.device

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

    def step(self, done: float) -> StepResult:
        """Train on one batch after a share ``done`` of the budget; return its results.

        Raises
        ------
        AdapterError
            The loss or the gradient is not finite, so the weights are spoilt.
        """
        batch = self._filled_batch(phase_at(self.schedule, done))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.schedule, self.steps - self.warm_from, done)
        # the batch always has one size, so the search for the fastest algorithms is made once
        flags = {"enabled": True, "benchmark": True, "allow_tf32": self.schedule.mixed_precision}
        with torch.backends.cudnn.flags(**flags):
            if self._is_clicked_first():
                self._click_on_errors(batch)
            logits, losses, dice = self._forward(batch)
            gradient_norm = self._optimise(losses.mean())
        self.steps += 1
        self.samples_seen += len(batch)
        result = StepResult(list(batch.n_clicks), dice, losses.detach())
        self._continue_samples(batch, self._predictions(batch, logits))
        self.last_loss = float(losses.detach().mean())  # the device is waited for once, at the end
        self._check_finite(float(gradient_norm))
        return result

    def _check_finite(self, gradient_norm: float) -> None:
        if not (np.isfinite(self.last_loss) and np.isfinite(gradient_norm)):
            raise AdapterError(
                f"the loss is {self.last_loss} and the gradient {gradient_norm} after {self.steps} "
                "steps; the last checkpoint is unchanged: start from it with --init, another "
                "--out and a lower --rate"
            )

    def _filled_batch(self, phase: Phase) -> InteractiveBatch:
        """Keep the samples of this patch size and add new ones in place of the finished ones."""
        kept = self.batch if self.batch is not None and self.batch.patch == phase.patch else None
        if kept is not None and len(kept) > phase.batch:
            kept = kept.rows(range(phase.batch))
        missing = phase.batch - (0 if kept is None else len(kept))
        parts = [] if kept is None else [kept]
        if missing > 0:
            drawn = [self.loader.next(phase.patch) for _ in range(missing)]
            parts.append(self.painter.paint(drawn, phase.patch))
        return joined(parts) if len(parts) > 1 else parts[0]

    def _forward(self, batch: InteractiveBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits, and each sample's loss and Dice."""
        schedule, inputs = self.schedule, batch.inputs
        logits = self._logits(inputs, heads=len(schedule.deep_supervision_weights))
        reference = batch.references.float()
        losses, dice = deep_supervision_loss(
            logits,
            reference,
            weights=schedule.deep_supervision_weights,
            dice_weight=schedule.dice_weight,
        )
        clicked = inputs[:, POSITIVE] + inputs[:, NEGATIVE]
        losses = losses + schedule.click_weight * click_loss(logits[0], reference, clicked)
        if schedule.walk_weight > 0:
            refined = walked(logits[0], batch)
            loss = walk_loss(refined, reference, schedule.dice_weight)
            losses = losses + schedule.walk_weight * loss
        return logits[0].detach(), losses, dice

    def _logits(self, inputs: Tensor, *, heads: int) -> list[Tensor]:
        """Return the logits of some heads, (n, z, y, x) each, finest first."""
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last_3d)
        with mixed_precision(self.device, allowed=self.schedule.mixed_precision):
            outputs = self.network.outputs(inputs, heads=heads)
        return [out[:, 1].float() - out[:, 0].float() for out in outputs]

    def _is_clicked_first(self) -> bool:
        """Draw whether the whole batch gets a click before it is trained on (Eq. 6)."""
        probability = self.schedule.first_pass_probability
        # a recipe without a first pass draws nothing, so that its random numbers stay the same
        return probability > 0 and self.rng.random() < probability

    def _click_on_errors(self, batch: InteractiveBatch) -> None:
        """Add the prediction of a pass without gradient, and a click on its error (Eq. 7-11)."""
        with torch.no_grad():
            (logits,) = self._logits(batch.inputs, heads=1)
        batch.add_clicks(logits > 0)

    def _optimise(self, loss: Tensor) -> Tensor:
        """Change the weights; return the norm of the gradient."""
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradient_norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip_norm)
        self.optimiser.step()
        # a smaller decay at first, so that the average forgets the initial weights
        decay = min(self.schedule.ema_decay, (2 + self.steps) / (21 + self.steps))
        with torch.no_grad():
            means: list[Tensor] = list(self.ema_network.parameters())
            torch._foreach_lerp_(means, list[Tensor](self.network.parameters()), 1 - decay)
        return gradient_norm

    def _predictions(self, batch: InteractiveBatch, logits: Tensor) -> Tensor:
        """Return the segmentations that are corrected next: mostly the refined ones."""
        share = self.schedule.share_walked
        if share > 0 and self.rng.random() < share:
            return walked_masks(logits, batch)
        return logits > 0

    def _continue_samples(self, batch: InteractiveBatch, predictions: Tensor) -> None:
        """Keep some samples, with a click on the largest error of the prediction."""
        rows = self._rows_to_continue(batch.n_clicks)
        self.batch = None
        if rows:
            self.batch = batch.rows(rows)
            self.batch.add_clicks(predictions[rows])

    def _rows_to_continue(self, n_clicks: Sequence[int]) -> list[int]:
        schedule = self.schedule
        return [
            row
            for row, clicks in enumerate(n_clicks)
            if clicks < schedule.max_clicks and self.rng.random() < schedule.next_click_probability
        ]
