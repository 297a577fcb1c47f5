"""One training run: data in, a log, a curve and a checkpoint out."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..network import CONFIGS
from ..prompts import ball_radius
from ..weights import Recipe, save_checkpoint
from .dialogue import Dialogue
from .learning import Schedule, Source, Trainer, mixed_precision, phase_at
from .objects import Scan, Target, read_scans, split_by_patient, targets_of
from .progress import CLICKS, ellipsoid_dice, fixed_dialogues, mean_curve

LOG_EVERY = 50  # steps
TUNE_TARGETS, TUNE_SCENES = 26, 10
LICENCE = "Apache-2.0"

Row = Sequence[object]
Say = Callable[[str], None]


@dataclass
class Run:
    """A trainer, what it is measured on, and the files it writes."""

    trainer: Trainer
    tune: dict[str, list[Dialogue]]
    out: Path
    say: Say

    @property
    def schedule(self) -> Schedule:
        """The schedule of the trainer."""
        return self.trainer.schedule

    def measure(self, minutes: float) -> None:
        """Append the average network's curve on both tune sets to the log and save it."""
        radius = ball_radius(self.schedule.phases[-1].patch)
        with mixed_precision():
            curves = {
                name: mean_curve(self.trainer.average, dialogues, radius)
                for name, dialogues in self.tune.items()
            }
        for name, curve in curves.items():
            row = [self.trainer.steps, self.trainer.samples, f"{minutes:.1f}", name]
            append(self.out.with_suffix(".tune.csv"), TUNE_COLUMNS, [*row, *map(_short, curve)])
            self.say(f"{minutes:5.1f} min  {name}: DSC " + " ".join(map(_short, curve)))
        self.save(minutes)

    def save(self, minutes: float) -> None:
        """Write the averaged weights as they are now."""
        schedule, patch = self.schedule, self.schedule.phases[-1].patch
        made = (
            f"{minutes:.0f} minutes, {self.trainer.steps} steps, {self.trainer.samples} samples, "
            f"seed {schedule.seed}"
        )
        config = CONFIGS[schedule.config]
        recipe = Recipe(config, patch, ball_radius(patch), True, LICENCE, made)
        save_checkpoint(self.out, self.trainer.average.state_dict(), recipe)


TUNE_COLUMNS = (
    "step",
    "samples",
    "minutes",
    "set",
    "box",
    *(f"click_{i + 1}" for i in range(CLICKS)),
)
LOG_COLUMNS = ("step", "samples", "minutes", "patch", "loss", "dice_box", "dice_clicked")


def train(schedule: Schedule, data: Path, out: Path, say: Say) -> None:
    """Train for the scheduled time; a usable checkpoint exists after the first evaluation."""
    rng = np.random.default_rng(schedule.seed)
    learn, hold = split_by_patient(read_scans(data), schedule.tune_share, rng)
    say(f"{len(learn)} scans to train on, {len(hold)} to tune on: {_names(hold)}")
    source = Source(grouped(learn), rng, schedule)
    run = Run(Trainer(schedule, source), _tune_sets(schedule, hold), out, say)
    for name, dialogues in run.tune.items():
        say(
            f"{name}: {len(dialogues)} objects, inscribed ellipsoid {ellipsoid_dice(dialogues):.3f}"
        )
    _until_the_time_is_up(run)


def grouped(scans: Sequence[Scan]) -> list[list[Target]]:
    """Return the objects of each group of scans."""
    groups: dict[str, list[Target]] = {}
    for scan in scans:
        groups.setdefault(scan.group, []).extend(targets_of(scan))
    return [targets for targets in groups.values() if targets]


def append(path: Path, columns: Row, row: Row) -> None:
    """Append one row to a csv file, after its header when it is new."""
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([columns, row] if fresh else [row])


def _until_the_time_is_up(run: Run) -> None:
    start, schedule = time.monotonic(), run.schedule
    facts: list[tuple[int, float, float]] = []
    measured = minutes = 0.0
    while minutes < schedule.minutes:
        facts += run.trainer.step(minutes / schedule.minutes)
        minutes = (time.monotonic() - start) / 60
        if run.trainer.steps % LOG_EVERY == 0:
            _log(run, minutes, facts)
            facts = []
        if minutes - measured >= schedule.evaluate_minutes:
            run.measure(minutes)
            measured = minutes
    run.measure(minutes)


def _log(run: Run, minutes: float, facts: Sequence[tuple[int, float, float]]) -> None:
    trainer, patch = run.trainer, phase_at(run.schedule, minutes / run.schedule.minutes).patch
    means = (
        [loss for _, _, loss in facts],
        [dice for clicks, dice, _ in facts if clicks == 0],
        [dice for clicks, dice, _ in facts if clicks > 0],
    )
    shown = [_short(float(np.mean(values))) if values else "" for values in means]
    row = [trainer.steps, trainer.samples, f"{minutes:.2f}", patch, *shown]
    append(run.out.with_suffix(".log.csv"), LOG_COLUMNS, row)


def _tune_sets(schedule: Schedule, hold: Sequence[Scan]) -> dict[str, list[Dialogue]]:
    rng = np.random.default_rng(schedule.seed + 1)
    patch = schedule.phases[-1].patch
    targets = [
        group[int(place)] for group in grouped(hold) for place in rng.permutation(len(group))
    ][:TUNE_TARGETS]
    real, made = fixed_dialogues(
        targets, patch, ball_radius(patch), scenes=TUNE_SCENES, seed=schedule.seed + 2
    )
    return {name: group for name, group in (("scans", real), ("scenes", made)) if group}


def _short(value: float) -> str:
    return f"{value:.4f}"


def _names(scans: Sequence[Scan]) -> str:
    return ", ".join(scan.name for scan in scans) or "none"
