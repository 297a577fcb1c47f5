"""Measure how fast this machine trains, and fit the schedule to it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch

from .sample_loader import SampleLoader
from .samples import SamplePainter
from .schedule import Schedule
from .trainer import Trainer

FIRST_STEPS = 3  # not timed: algorithms are chosen and memory is allocated in them
WARM_UP_SHARE, WARM_UP_STEPS = 0.02, (20, 300)  # of all steps
EMA_SHARE, MAX_EMA_DECAY = 0.05, 0.9995  # of all steps that the average covers


@dataclass(frozen=True)
class Throughput:
    """The faster memory format, and samples per second in each phase."""

    channels_last: bool
    samples_per_second: tuple[float, ...]


def measure_throughput(
    schedule: Schedule, loader: SampleLoader, painter: SamplePainter, seconds: float
) -> Throughput:
    """Time training steps of every phase in both memory formats, about ``seconds`` in all."""
    each = seconds / (2 * len(schedule.phases))
    rates = {
        channels_last: tuple(
            _samples_per_second(
                Trainer(schedule, loader, painter, channels_last), phase.until - 1e-9, each
            )
            for phase in schedule.phases
        )
        for channels_last in (False, True)
    }
    best = max(rates, key=lambda channels_last: rates[channels_last][-1])
    return Throughput(best, rates[best])


def fitted_schedule(schedule: Schedule, throughput: Throughput) -> Schedule:
    """Return the schedule with warm-up and moving average in proportion to the expected steps."""
    expected = schedule.steps or expected_steps(schedule, throughput)
    low, high = WARM_UP_STEPS
    return replace(
        schedule,
        warm_up_steps=int(min(max(WARM_UP_SHARE * expected, low), high)),
        ema_decay=min(1 - 1 / max(EMA_SHARE * expected, 2.0), MAX_EMA_DECAY),
    )


def expected_steps(schedule: Schedule, throughput: Throughput) -> int:
    """Return the number of steps that fit into the minutes of the schedule."""
    steps, begin = 0.0, 0.0
    for phase, rate in zip(schedule.phases, throughput.samples_per_second):
        steps += 60 * schedule.minutes * (phase.until - begin) * rate / phase.batch
        begin = phase.until
    return max(round(steps), 1)


def _samples_per_second(trainer: Trainer, done: float, seconds: float) -> float:
    for _ in range(FIRST_STEPS):
        trainer.step(done)
    _wait_for(trainer.device)
    seen, started = trainer.samples_seen, time.perf_counter()
    while time.perf_counter() - started < seconds or trainer.samples_seen == seen:
        trainer.step(done)
    _wait_for(trainer.device)
    return (trainer.samples_seen - seen) / (time.perf_counter() - started)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
