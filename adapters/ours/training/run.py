"""One training run: reads scans; writes a log, curves and a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from segbench.errors import AdapterError
from segbench_adapters import kit

from .crops import scans_on_device
from .csv_log import drop_rows_after
from .objects import Scan, cropped_to_nonzero, draw_tune_patients, read_scans, split_by_patient
from .paper_samples import paper_sampler
from .pretrained import load_initial_weights
from .reporter import Reporter
from .resuming import (
    read_state,
    restore,
    restore_from_weights,
    stored_throughput,
    training_conditions,
)
from .sample_loader import SampleLoader
from .samples import SampleGenerator, SamplePainter, Sampler
from .schedule import Schedule, check_schedule, with_steps
from .setup import TrainingSetup, check_left_out, check_setup
from .throughput import Throughput, fitted_schedule, measure_throughput
from .trainer import Trainer
from .training_run import LOGS, TrainingRun
from .tuning import (
    build_tune_sets,
    ellipsoid_dice,
    objects_by_group,
)

Clock = Callable[[], float]  # seconds


def train(
    schedule: Schedule, setup: TrainingSetup, reporter: Reporter, clock: Clock = time.monotonic
) -> None:
    """Train until the budget is used; a usable checkpoint exists after the first evaluation.

    Raises
    ------
    AdapterError
        There are no scans, the patches are invalid, the device is not available, another training
        has the same output, its state cannot be resumed, the initial weights do not fit, or the
        loss is not finite.
    """
    called_at = clock()
    check_schedule(schedule)
    check_setup(setup)
    device = kit.select_device(setup.device)
    train_scans, tune_scans = _read_scans(schedule, setup)
    reporter.write_line(
        f"{len(train_scans)} scans to train on, {len(tune_scans)} to tune on: "
        f"{_joined_names(tune_scans)}"
    )
    schedule = with_steps(schedule, len(train_scans))
    conditions = training_conditions(
        schedule,
        scans=[scan.name for scan in train_scans],
        tune_scans=[scan.name for scan in tune_scans],
        init=setup.init.name if setup.init else None,
        licence=setup.licence,
    )
    state = read_state(setup.state, conditions) if setup.resume and setup.state.is_file() else None
    painter = sample_painter(schedule, train_scans, tune_scans, device)
    loader = SampleLoader(painter.sampler, setup.workers)
    try:
        throughput = (
            stored_throughput(state)
            if state
            else _measured_throughput(schedule, setup, loader, painter)
        )
        trainer = _fitted_trainer(schedule, loader, painter, throughput)
        trainer.conditions = conditions
        tune_sets = build_tune_sets(schedule, tune_scans, painter)
        run = TrainingRun(trainer, tune_sets, setup, reporter, throughput)
        _initialise(run, state)
        _train_until_done(run, clock, called_at)
    finally:
        loader.close()


def _read_scans(schedule: Schedule, setup: TrainingSetup) -> tuple[list[Scan], list[Scan]]:
    """Return the scans to train on and those of the held-out patients."""
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
    return train_scans, tune_scans


def sample_painter(
    schedule: Schedule, train_scans: list[Scan], tune_scans: list[Scan], device: torch.device
) -> SamplePainter:
    """Return what draws and paints the samples of the schedule's recipe."""
    sampler: Sampler
    if schedule.recipe == "paper":
        train_scans = [cropped_to_nonzero(scan) for scan in train_scans]
        sampler = paper_sampler(train_scans, schedule.seed)
    else:
        groups = objects_by_group(train_scans)
        if not groups and schedule.share_generated < 1:
            raise AdapterError(
                "the scans have no object of a useful size; for generated scenes only, use "
                "--share-generated 1"
            )
        sampler = SampleGenerator(groups, schedule)
    scans = scans_on_device([*train_scans, *tune_scans], device)
    return SamplePainter(sampler, scans, device, schedule.antialias)


def _measured_throughput(
    schedule: Schedule, setup: TrainingSetup, loader: SampleLoader, painter: SamplePainter
) -> Throughput | None:
    if not setup.measure_seconds:
        return None
    throughput = measure_throughput(schedule, loader, painter, setup.measure_seconds)
    loader.close()
    loader.next_index = 0
    return throughput


def _fitted_trainer(
    schedule: Schedule, loader: SampleLoader, painter: SamplePainter, throughput: Throughput | None
) -> Trainer:
    if throughput is None:
        return Trainer(schedule, loader, painter)
    return Trainer(fitted_schedule(schedule, throughput), loader, painter, throughput.channels_last)


def _report_throughput(run: TrainingRun) -> None:
    schedule, throughput = run.schedule, run.throughput
    if throughput is None:
        return
    rates = ", ".join(
        f"{rate:.1f}/s at {phase.patch}^3"
        for phase, rate in zip(schedule.phases, throughput.samples_per_second)
    )
    memory_format = "channels last" if throughput.channels_last else "contiguous"
    run.reporter.write_line(
        f"samples {rates}, {memory_format}; warm-up "
        f"{schedule.warm_up_steps} steps, average over {1 / (1 - schedule.ema_decay):.0f} steps"
    )


def _initialise(run: TrainingRun, state: dict[str, object] | None) -> None:
    """Start from the stored state, from the weights of a lost state, from initial ones or none."""
    setup, trainer = run.setup, run.trainer
    _report_throughput(run)
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
        run.reporter.show_step(run.done, run.trainer.steps, run.trainer.last_loss)
        if run.trainer.steps % run.schedule.log_every_steps == 0:
            run.log()
        if run.done >= 1:
            break
        if now - called_at >= 60 * run.setup.stop_after:
            run.save()
            run.reporter.write_line(f"stopped after {_used(run)}; the same command continues")
            return
        run.write_if_due()
    run.evaluate()


def _used(run: TrainingRun) -> str:
    steps = run.schedule.steps
    if steps is None:
        return f"{run.minutes:.1f} of {run.schedule.minutes:g} minutes"
    return f"{run.trainer.steps} of {steps} steps"


def _joined_names(scans: Sequence[Scan]) -> str:
    return ", ".join(scan.name for scan in scans) or "none"
