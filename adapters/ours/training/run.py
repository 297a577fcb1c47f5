"""One training run: reads scans; writes a log, curves and a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from segbench.errors import AdapterError

from ..network import CONFIGS
from ..prompts import ball_radius
from ..weights import Recipe, save_checkpoint
from .csv_log import append_row, drop_rows_after
from .curves import draw_curves
from .interactive_sample import InteractiveSample
from .objects import Scan, draw_tune_patients, read_scans, split_by_patient
from .pretrained import load_initial_weights
from .reporter import Reporter
from .resuming import load_state, save_state
from .sample_loader import SampleGenerator, SampleLoader
from .schedule import Schedule, check_schedule, fraction_done, phase_at
from .setup import TrainingSetup, check_left_out, check_setup
from .trainer import SampleResult, Trainer, mixed_precision
from .tuning import (
    TUNE_CLICKS,
    build_tune_sets,
    ellipsoid_dice,
    mean_dice_curve,
    objects_by_group,
)

LOG_EVERY = 50  # steps
LOGS = (".log.csv", ".tune.csv")
TUNE_COLUMNS = (
    *("step", "samples", "minutes", "set", "opening"),
    *(f"click_{i + 1}" for i in range(TUNE_CLICKS)),
)
LOG_COLUMNS = ("step", "samples", "minutes", "patch", "loss", "dice_box", "dice_clicked")

Clock = Callable[[], float]  # seconds


@dataclass
class TrainingRun:
    """A trainer, its tune sets, and the time used so far."""

    trainer: Trainer
    tune_sets: dict[str, list[InteractiveSample]]
    setup: TrainingSetup
    reporter: Reporter
    minutes: float = 0.0
    evaluated_at: float | None = 0.0  # minutes; None: set after the next step
    results: list[SampleResult] = field(default_factory=list)

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
        with mixed_precision(self.trainer.device):
            curves = {
                name: mean_dice_curve(self.trainer.ema_network, samples)
                for name, samples in self.tune_sets.items()
            }
        for name, curve in curves.items():
            row = [self.trainer.steps, self.trainer.samples_seen, f"{self.minutes:.1f}", name]
            path = self.setup.out.with_suffix(".tune.csv")
            append_row(path, TUNE_COLUMNS, [*row, *map(_format, curve)])
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
            f"{_patch_sizes(schedule)}, seed {schedule.seed}, {trainer.origin}"
        )
        config, radius = CONFIGS[schedule.config], ball_radius(patch)
        recipe = Recipe(config, patch, radius, True, trainer.licence, history)
        save_checkpoint(self.setup.out, trainer.ema_network.state_dict(), recipe)
        save_state(self.setup.state, trainer, self.minutes)
        try:
            draw_curves(self.setup.out)
        except (OSError, ValueError, KeyError) as error:  # a picture must not end a training
            self.reporter.write_line(f"the curves could not be drawn: {error}")

    def log(self) -> None:
        """Append the means over the last steps to the log."""
        means = (
            [loss for _, _, loss in self.results],
            [dice for clicks, dice, _ in self.results if clicks == 0],
            [dice for clicks, dice, _ in self.results if clicks > 0],
        )
        formatted = [_format(float(np.mean(values))) if values else "" for values in means]
        patch = phase_at(self.schedule, self.done).patch
        trainer = self.trainer
        row = [trainer.steps, trainer.samples_seen, f"{self.minutes:.2f}", patch, *formatted]
        append_row(self.setup.out.with_suffix(".log.csv"), LOG_COLUMNS, row)
        self.results = []


def train(
    schedule: Schedule, setup: TrainingSetup, reporter: Reporter, clock: Clock = time.monotonic
) -> None:
    """Train until the budget is used; a usable checkpoint exists after the first evaluation.

    Raises
    ------
    AdapterError
        There are no scans, the patches are invalid, another training has the same output, its
        state cannot be resumed, the initial weights do not fit, or the loss is not finite.
    """
    check_schedule(schedule)
    check_setup(setup)
    scans = read_scans(setup.data, schedule.left_out)
    check_left_out(setup.data, schedule.left_out)
    tune_patients = schedule.tune_patients or draw_tune_patients(
        scans, schedule.tune_share, schedule.seed
    )
    train_scans, tune_scans = split_by_patient(scans, tune_patients)
    if not train_scans and schedule.share_generated < 1:
        raise AdapterError(
            f"{setup.data}: no scan is left to train on; for generated scenes only, use "
            "--share-generated 1"
        )
    reporter.write_line(
        f"{len(train_scans)} scans to train on, {len(tune_scans)} to tune on: "
        f"{_joined_names(tune_scans)}"
    )
    generator = SampleGenerator(objects_by_group(train_scans), schedule)
    loader = SampleLoader(generator, setup.workers)
    try:
        trainer = Trainer(schedule, loader, torch.device(setup.device))
        trainer.conditions = {
            "scans": [scan.name for scan in train_scans],
            "tune_scans": [scan.name for scan in tune_scans],
            "init": setup.init.name if setup.init else None,
            "licence": setup.licence,
        }
        run = TrainingRun(trainer, build_tune_sets(schedule, tune_scans), setup, reporter)
        _initialise(run)
        _train_until_done(run, clock)
    finally:
        loader.close()


def _initialise(run: TrainingRun) -> None:
    """Start from the stored state, from initial weights, or from random ones."""
    setup, trainer = run.setup, run.trainer
    if setup.resume and setup.state.is_file():
        run.minutes, run.evaluated_at = load_state(setup.state, trainer), None
        for suffix in LOGS:
            drop_rows_after(setup.out.with_suffix(suffix), trainer.steps)
        run.reporter.write_line(f"resumed after {trainer.steps} steps, {run.minutes:.1f} minutes")
        return
    if setup.resume:
        run.reporter.write_line(f"{setup.state.name}: no state to resume, starting a new training")
    for suffix in LOGS:  # of a training that ended before its first state
        setup.out.with_suffix(suffix).unlink(missing_ok=True)
    trainer.licence = setup.licence or trainer.licence
    if setup.init is not None:
        initial = load_initial_weights(setup.init, trainer.network.config)
        trainer.initialise_from(initial, setup.licence)
    _report_baseline(run)
    if setup.init is not None:
        run.evaluate()


def _report_baseline(run: TrainingRun) -> None:
    for name, samples in run.tune_sets.items():
        if samples[0].box is not None:
            baseline = ellipsoid_dice(samples)
            run.reporter.write_line(
                f"{name}: {len(samples)} objects, inscribed ellipsoid {baseline:.3f}"
            )


def _train_until_done(run: TrainingRun, clock: Clock) -> None:
    started = clock() - 60 * run.minutes
    if run.done >= 1:
        run.reporter.write_line("the budget is already used: nothing to do")
        return
    while run.done < 1:
        run.results += run.trainer.step(run.done)
        run.minutes = (clock() - started) / 60
        run.evaluated_at = run.minutes if run.evaluated_at is None else run.evaluated_at
        run.reporter.show_step(run.done, run.trainer.steps, run.results[-1][2])
        if run.trainer.steps % LOG_EVERY == 0:
            run.log()
        if run.minutes - run.evaluated_at >= run.schedule.tune_every_minutes and run.done < 1:
            run.evaluate()
    run.evaluate()


def _patch_sizes(schedule: Schedule) -> str:
    edges = dict.fromkeys(phase.patch for phase in schedule.phases)
    return " and ".join(f"{edge}^3" for edge in edges)


def _format(value: float) -> str:
    return f"{value:.4f}"


def _joined_names(scans: Sequence[Scan]) -> str:
    return ", ".join(scan.name for scan in scans) or "none"
