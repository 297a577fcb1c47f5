"""One training run: reads scans; writes a log, curves and a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from segbench.errors import AdapterError

from ..network import CONFIGS
from ..prompts import ball_radius
from ..weights import Recipe, save_checkpoint
from .crops import scans_on_device
from .csv_log import append_row, drop_rows_after
from .curves import draw_curves
from .objects import Scan, draw_tune_patients, read_scans, split_by_patient
from .pace import Pace, measure_pace, paced_schedule
from .pretrained import load_initial_weights
from .reporter import Reporter
from .resuming import (
    progress_of,
    read_state,
    restore,
    restore_from_weights,
    save_state,
    stored_pace,
    training_conditions,
)
from .sample_loader import SampleLoader
from .samples import SampleGenerator, SamplePainter
from .schedule import Schedule, check_schedule, fraction_done, phase_at
from .setup import TrainingSetup, check_left_out, check_setup
from .trainer import StepResult, Trainer
from .tuning import (
    TUNE_CLICKS,
    TuneSet,
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
    tune_sets: dict[str, TuneSet]
    setup: TrainingSetup
    reporter: Reporter
    pace: Pace | None = None
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
            append_row(path, TUNE_COLUMNS, [*row, *map(_format, curve)])
            formatted = " ".join(map(_format, curve))
            self.reporter.write_line(f"{self.minutes:6.1f} min  {name}: DSC {formatted}")
        self.evaluated_at = None  # evaluation takes time: the interval starts at the next step
        self.save()

    def save(self) -> None:
        """Write the log, the EMA weights, the state for resuming, and a picture of the curves."""
        self.trainer.check_loss()
        if self.results:
            self.log()
        trainer, schedule, patch = self.trainer, self.schedule, self.schedule.phases[-1].patch
        history = (
            f"{self.minutes:.0f} minutes, {trainer.steps} steps, {trainer.samples_seen} samples of "
            f"{_patch_sizes(schedule)}, seed {schedule.seed}, {trainer.origin}"
        )
        config, radius = CONFIGS[schedule.config], ball_radius(patch)
        recipe = Recipe(config, patch, radius, True, trainer.licence, history)
        progress = progress_of(trainer, self.minutes)
        save_checkpoint(self.setup.out, trainer.ema_network.state_dict(), recipe, progress)
        save_state(self.setup.state, trainer, self.minutes, self.pace)
        self.saved_at = self.minutes
        try:
            draw_curves(self.setup.out)
        except (OSError, ValueError, KeyError) as error:  # a picture must not end a training
            self.reporter.write_line(f"the curves could not be drawn: {error}")

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
    called_at = clock()
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
    conditions = training_conditions(
        schedule,
        scans=[scan.name for scan in train_scans],
        tune_scans=[scan.name for scan in tune_scans],
        init=setup.init.name if setup.init else None,
        licence=setup.licence,
    )
    generator = SampleGenerator(objects_by_group(train_scans), schedule)
    device = torch.device(setup.device)
    painter = SamplePainter(generator, scans_on_device([*train_scans, *tune_scans], device), device)
    loader = SampleLoader(generator, setup.workers)
    try:
        has_state = setup.resume and setup.state.is_file()
        state = read_state(setup.state, conditions) if has_state else None
        pace = stored_pace(state) if state else _measured_pace(schedule, setup, loader, painter)
        paced = schedule if pace is None else paced_schedule(schedule, pace)
        trainer = Trainer(paced, loader, painter, pace is not None and pace.channels_last)
        trainer.conditions = conditions
        tune_sets = build_tune_sets(schedule, tune_scans, painter)
        run = TrainingRun(trainer, tune_sets, setup, reporter, pace)
        if pace is not None:
            _report_pace(run, pace)
        _initialise(run, state)
        _train_until_done(run, clock, called_at)
    finally:
        loader.close()


def _measured_pace(
    schedule: Schedule, setup: TrainingSetup, loader: SampleLoader, painter: SamplePainter
) -> Pace | None:
    if not setup.measure_seconds:
        return None
    pace = measure_pace(schedule, loader, painter, setup.measure_seconds)
    loader.close()
    loader.next_index = 0
    return pace


def _report_pace(run: TrainingRun, pace: Pace) -> None:
    schedule = run.schedule
    rates = ", ".join(
        f"{rate:.1f}/s at {phase.patch}^3"
        for phase, rate in zip(schedule.phases, pace.samples_per_second)
    )
    run.reporter.write_line(
        f"samples {rates}, {'channels last' if pace.channels_last else 'contiguous'}; warm-up "
        f"{schedule.warm_up_steps} steps, average over {1 / (1 - schedule.ema_decay):.0f} steps"
    )


def _initialise(run: TrainingRun, state: dict[str, object] | None) -> None:
    """Start from the stored state, from the weights of a lost state, from initial ones or none."""
    setup, trainer = run.setup, run.trainer
    if state is not None:
        restore(trainer, state)
        _resume(run, float(str(state["minutes"])), "")
        return
    if setup.resume:
        minutes = restore_from_weights(trainer, setup.out) if setup.out.is_file() else None
        if minutes is not None:
            _resume(run, minutes, " from the averaged weights: the state is missing")
            return
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


def _resume(run: TrainingRun, minutes: float, how: str) -> None:
    run.minutes, run.evaluated_at, run.saved_at = minutes, None, minutes
    for suffix in LOGS:
        drop_rows_after(run.setup.out.with_suffix(suffix), run.trainer.steps)
    run.reporter.write_line(
        f"resumed after {run.trainer.steps} steps, {run.minutes:.1f} minutes{how}"
    )


def _report_baseline(run: TrainingRun) -> None:
    for name, tune_set in run.tune_sets.items():
        if tune_set.samples[0].box is not None:
            baseline = ellipsoid_dice(tune_set)
            run.reporter.write_line(
                f"{name}: {len(tune_set.samples)} objects, inscribed ellipsoid {baseline:.3f}"
            )


def _train_until_done(run: TrainingRun, clock: Clock, called_at: float) -> None:
    started = clock() - 60 * run.minutes
    if run.done >= 1:
        run.reporter.write_line("the budget is already used: nothing to do")
        return
    while run.done < 1:
        run.results.append(run.trainer.step(run.done))
        now = clock()
        run.minutes = (now - started) / 60
        run.evaluated_at = run.minutes if run.evaluated_at is None else run.evaluated_at
        run.reporter.show_step(run.done, run.trainer.steps, run.trainer.last_loss)
        if run.trainer.steps % LOG_EVERY == 0:
            run.log()
        if run.done >= 1:
            break
        if now - called_at >= 60 * run.setup.stop_after:
            run.save()
            run.reporter.write_line(
                f"stopped after {run.minutes:.1f} of {run.schedule.minutes:g} minutes; the same "
                "command continues"
            )
            return
        if run.minutes - run.evaluated_at >= run.schedule.tune_every_minutes:
            run.evaluate()
        elif run.minutes - run.saved_at >= run.schedule.save_every_minutes:
            run.save()
    run.evaluate()


def _patch_sizes(schedule: Schedule) -> str:
    edges = dict.fromkeys(phase.patch for phase in schedule.phases)
    return " and ".join(f"{edge}^3" for edge in edges)


def _format(value: float) -> str:
    return f"{value:.4f}"


def _joined_names(scans: Sequence[Scan]) -> str:
    return ", ".join(scan.name for scan in scans) or "none"
