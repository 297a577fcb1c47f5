"""The progress of one training, and the files that it writes: log, curves, checkpoint, state."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ..network import CONFIGS
from ..prompts import ball_radius
from ..weights import Recipe, save_checkpoint
from .csv_log import append_row
from .curves import draw_curves
from .reporter import Reporter
from .resuming import progress_of, save_state
from .schedule import Schedule, fraction_done, phase_at
from .setup import TrainingSetup
from .throughput import Throughput
from .trainer import StepResult, Trainer
from .tuning import TuneSet, mean_dice_curve

LOGS = (".log.csv", ".tune.csv")
TUNE_COLUMNS = ("step", "samples", "minutes", "set", "opening")  # and one for each click
LOG_COLUMNS = ("step", "samples", "minutes", "patch", "loss", "dice_box", "dice_clicked")


@dataclass
class TrainingRun:
    """A trainer, its tune sets, and the time used so far."""

    trainer: Trainer
    tune_sets: dict[str, TuneSet]
    setup: TrainingSetup
    reporter: Reporter
    throughput: Throughput | None = None
    minutes: float = 0.0
    evaluated_at: float | None = 0.0  # minutes; None: set after the next step
    saved_at: float = 0.0
    results: list[StepResult] = field(default_factory=list)

    @property
    def schedule(self) -> Schedule:
        """The schedule of the trainer."""
        return self.trainer.schedule

    @property
    def done(self) -> float:
        """The share of the budget that is used."""
        return fraction_done(self.schedule, self.trainer.steps, self.minutes)

    def evaluate(self) -> None:
        """Evaluate the EMA network on each tune set, append its curves, and save."""
        curves = {
            name: mean_dice_curve(self.trainer.ema_network, tune_set)
            for name, tune_set in self.tune_sets.items()
        }
        for name, curve in curves.items():
            row = [self.trainer.steps, self.trainer.samples_seen, f"{self.minutes:.1f}", name]
            path = self.setup.out.with_suffix(".tune.csv")
            clicks = [f"click_{i + 1}" for i in range(len(curve) - 1)]
            append_row(path, [*TUNE_COLUMNS, *clicks], [*row, *map(_format, curve)])
            formatted = " ".join(map(_format, curve))
            self.reporter.write_line(f"{self.minutes:6.1f} min  {name}: DSC {formatted}")
        self.evaluated_at = None  # evaluation takes time: the interval starts at the next step
        self.save()

    def save(self) -> None:
        """Write the log, the EMA weights, the state for resuming, and a picture of the curves."""
        if self.results:
            self.log()
        trainer, schedule, patch = self.trainer, self.schedule, self.schedule.phases[-1].patch
        history = (
            f"{self.minutes:.0f} minutes, {trainer.steps} steps, {trainer.samples_seen} samples of "
            f"{_patch_sizes(schedule)}, seed {schedule.seed}, recipe {schedule.recipe}, "
            f"{trainer.origin}"
        )
        config, radius = CONFIGS[schedule.config], ball_radius(patch)
        recipe = Recipe(config, patch, radius, schedule.antialias, trainer.licence, history)
        progress = progress_of(trainer, self.minutes)
        save_checkpoint(self.setup.out, trainer.ema_network.state_dict(), recipe, progress)
        save_state(self.setup.state, trainer, self.minutes, self.throughput)
        self.saved_at = self.minutes
        try:
            draw_curves(self.setup.out)
        except (OSError, ValueError, KeyError) as error:  # a picture must not end a training
            self.reporter.write_line(f"the curves could not be drawn: {error}")

    def write_if_due(self) -> None:
        """Evaluate, or save, if its interval has passed."""
        if self.evaluated_at is None:
            self.evaluated_at = self.minutes
        if self.minutes - self.evaluated_at >= self.schedule.tune_every_minutes:
            self.evaluate()
        elif self.minutes - self.saved_at >= self.schedule.save_every_minutes:
            self.save()

    def log(self) -> None:
        """Append the means over the last steps to the log."""
        clicks = torch.tensor([n for result in self.results for n in result.n_clicks])
        losses = torch.cat([result.losses for result in self.results]).cpu()
        dice = torch.cat([result.dice for result in self.results]).cpu()
        means = (losses, dice[clicks == 0], dice[clicks > 0])
        formatted = [_format(float(values.mean())) if len(values) else "" for values in means]
        patch = phase_at(self.schedule, self.done).patch
        trainer = self.trainer
        row = [trainer.steps, trainer.samples_seen, f"{self.minutes:.2f}", patch, *formatted]
        append_row(self.setup.out.with_suffix(".log.csv"), LOG_COLUMNS, row)
        self.results = []


def _patch_sizes(schedule: Schedule) -> str:
    edges = dict.fromkeys(phase.patch for phase in schedule.phases)
    return " and ".join(f"{edge}^3" for edge in edges)


def _format(value: float) -> str:
    return f"{value:.4f}"
