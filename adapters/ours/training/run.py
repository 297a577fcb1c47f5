"""One training run: data in, a log, curves and a checkpoint out."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from segbench.errors import AdapterError

from ..network import CONFIGS
from ..prompts import ball_radius
from ..weights import Recipe, save_checkpoint
from .curves import draw_curves
from .dialogue import Dialogue
from .feed import Feed, Maker
from .learning import Fact, Trainer, mixed_precision
from .objects import Scan, Target, patients_to_hold, read_scans, split_by_patient, targets_of
from .pretrained import starting_point
from .progress import CLICKS, ellipsoid_dice, fixed_dialogues, generated_dialogues, mean_curve
from .resuming import load_state, save_state
from .schedule import Schedule, phase_at, refuse_impossible, share_done

LOG_EVERY = 50  # steps
LOGS = (".log.csv", ".tune.csv")
TUNE_TARGETS, TUNE_SCENES = 6, 10  # a group, and in all
TUNE_COLUMNS = (
    *("step", "samples", "minutes", "set", "opening"),
    *(f"click_{i + 1}" for i in range(CLICKS)),
)
LOG_COLUMNS = ("step", "samples", "minutes", "patch", "loss", "dice_box", "dice_clicked")

Row = Sequence[object]
Clock = Callable[[], float]  # seconds


@dataclass(frozen=True)
class Place:
    """Where a training reads and writes, and what it runs on."""

    data: Path
    out: Path
    start: Path | None = None  # weights to begin with
    resume: bool = False
    workers: int = 1
    device: str = "cpu"
    licence: str | None = None  # of the weights; without it, that of those to begin with

    @property
    def state(self) -> Path:
        """The file from which a killed training goes on."""
        return self.out.with_suffix(".state.pt")


@dataclass(frozen=True)
class Teller:
    """Who is told what happens: lines to keep, and the state of the work after each step."""

    say: Callable[[str], None]
    show: Callable[[float, int, float], None]  # share done, steps, loss


@dataclass
class Run:
    """A trainer, what it is measured on, and the time it has used."""

    trainer: Trainer
    tune: dict[str, list[Dialogue]]
    place: Place
    teller: Teller
    minutes: float = 0.0
    measured: float | None = 0.0  # when, in minutes; None: just now
    facts: list[Fact] = field(default_factory=list)

    @property
    def schedule(self) -> Schedule:
        """The schedule of the trainer."""
        return self.trainer.schedule

    @property
    def done(self) -> float:
        """The share of the budget that is used up."""
        return share_done(self.schedule, self.trainer.steps, self.minutes)

    def measure(self) -> None:
        """Append the average network's curve on each tune set, save it and the state."""
        with mixed_precision(self.trainer.device):
            curves = {
                name: mean_curve(self.trainer.average, dialogues)
                for name, dialogues in self.tune.items()
            }
        for name, curve in curves.items():
            row = [self.trainer.steps, self.trainer.samples, f"{self.minutes:.1f}", name]
            tune = self.place.out.with_suffix(".tune.csv")
            append(tune, TUNE_COLUMNS, [*row, *map(_short, curve)])
            shown = " ".join(map(_short, curve))
            self.teller.say(f"{self.minutes:6.1f} min  {name}: DSC {shown}")
        self.measured = None  # measuring takes time itself: it counts from the next step
        self.save()

    def save(self) -> None:
        """Write the log, the averaged weights, the state to go on from, and the curves."""
        if self.facts:
            self.log()
        trainer, schedule, patch = self.trainer, self.schedule, self.schedule.phases[-1].patch
        made = (
            f"{self.minutes:.0f} minutes, {trainer.steps} steps, {trainer.samples} samples of "
            f"{_patches(schedule)}, seed {schedule.seed}, {trainer.origin}"
        )
        config, radius = CONFIGS[schedule.config], ball_radius(patch)
        recipe = Recipe(config, patch, radius, True, trainer.licence, made)
        save_checkpoint(self.place.out, trainer.average.state_dict(), recipe)
        save_state(self.place.state, trainer, self.minutes)
        try:
            draw_curves(self.place.out)
        except (OSError, ValueError, KeyError) as error:  # a picture is no reason to end
            self.teller.say(f"the curves could not be drawn: {error}")

    def log(self) -> None:
        """Append the means over the last steps to the log."""
        means = (
            [loss for _, _, loss in self.facts],
            [dice for clicks, dice, _ in self.facts if clicks == 0],
            [dice for clicks, dice, _ in self.facts if clicks > 0],
        )
        shown = [_short(float(np.mean(values))) if values else "" for values in means]
        patch = phase_at(self.schedule, self.done).patch
        row = [self.trainer.steps, self.trainer.samples, f"{self.minutes:.2f}", patch, *shown]
        append(self.place.out.with_suffix(".log.csv"), LOG_COLUMNS, row)
        self.facts = []


def train(schedule: Schedule, place: Place, teller: Teller, clock: Clock = time.monotonic) -> None:
    """Train until the budget is used up; a usable checkpoint exists after the first evaluation.

    Raises
    ------
    AdapterError
        What is asked cannot be done: no scans, impossible patches, a training that stands in the
        way or cannot be gone on with, weights that do not fit; or the loss is no longer a number.
    """
    refuse_impossible(schedule)
    _refuse_place(place)
    scans = read_scans(place.data, schedule.left_out)
    _refuse_misspelt(place.data, schedule.left_out)
    held = schedule.held or patients_to_hold(scans, schedule.tune_share, schedule.seed)
    learn, hold = split_by_patient(scans, held)
    if not learn and schedule.share_generated < 1:
        raise AdapterError(f"{place.data}: no scan is left to train on; only scenes: --scenes 1")
    teller.say(f"{len(learn)} scans to train on, {len(hold)} to tune on: {_names(hold)}")
    feed = Feed(Maker(grouped(learn), schedule), place.workers)
    try:
        trainer = Trainer(schedule, feed, torch.device(place.device))
        trainer.conditions = {
            "scans": [scan.name for scan in learn],
            "held": [scan.name for scan in hold],
            "init": place.start.name if place.start else None,
            "licence": place.licence,
        }
        run = Run(trainer, tune_sets(schedule, hold), place, teller)
        _begin(run)
        _until_the_budget_is_used_up(run, clock)
    finally:
        feed.close()


def _refuse_misspelt(data: Path, left_out: Sequence[str]) -> None:
    """Refuse to leave out what is not there: it would be trained on under another spelling."""
    names = [path.name for path in data.glob("*.npz")]
    for beginning in set(left_out) - set(Schedule().left_out):
        if not any(name.startswith(beginning) for name in names):
            raise AdapterError(f"{data}: no file begins with {beginning}: cannot be left out")


def _refuse_place(place: Place) -> None:
    """Refuse an output that could not be written, used or told from another training's."""
    if place.out.suffix != ".safetensors" or place.out.is_dir():
        raise AdapterError(f"{place.out}: expected the name of a file ending in .safetensors")
    if place.state.exists() and not place.resume:
        raise AdapterError(
            f"{place.state}: a training has begun here; go on with --resume, remove it, or "
            "choose another --out"
        )


def grouped(scans: Sequence[Scan]) -> list[list[Target]]:
    """Return the objects of each group of scans."""
    groups: dict[str, list[Target]] = {}
    for scan in scans:
        groups.setdefault(scan.group, []).extend(targets_of(scan))
    return [targets for targets in groups.values() if targets]


def tune_sets(schedule: Schedule, hold: Sequence[Scan]) -> dict[str, list[Dialogue]]:
    """Return what progress is measured on: held-out scans with and without boxes, and scenes."""
    rng = np.random.default_rng(schedule.seed + 1)
    patch, seed = schedule.phases[-1].patch, schedule.seed + 2
    targets = [
        group[int(place)]
        for group in grouped(hold)
        for place in rng.permutation(len(group))[:TUNE_TARGETS]
    ]
    sets = {
        "scans": fixed_dialogues(targets, patch, boxed=True, seed=seed),
        "scans_without_box": fixed_dialogues(targets[::2], patch, boxed=False, seed=seed),
        "scenes": generated_dialogues(TUNE_SCENES, patch, seed=seed),
    }
    return {name: dialogues for name, dialogues in sets.items() if dialogues}


def append(path: Path, columns: Row, row: Row) -> None:
    """Append one row to a csv file, after its header when it is new."""
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([columns, row] if fresh else [row])


def _forget_after(path: Path, steps: int) -> None:
    """Drop the rows of steps that will be done again."""
    if not path.is_file() or not path.stat().st_size:
        return
    columns, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    whole = (row for row in rows if len(row) == len(columns))  # a kill may have cut the last
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *(row for row in whole if int(row[0]) <= steps)])
    unfinished.replace(path)


def _begin(run: Run) -> None:
    """Go on from the stored state, or start from given weights, or from random ones."""
    place, trainer = run.place, run.trainer
    if place.resume and place.state.is_file():
        run.minutes, run.measured = load_state(place.state, trainer), None
        for suffix in LOGS:
            _forget_after(place.out.with_suffix(suffix), trainer.steps)
        run.teller.say(f"going on after {trainer.steps} steps, {run.minutes:.1f} minutes")
        return
    if place.resume:
        run.teller.say(f"{place.state.name}: no such training, beginning anew")
    for suffix in LOGS:  # of a training that did not come to its first state
        place.out.with_suffix(suffix).unlink(missing_ok=True)
    trainer.licence = place.licence or trainer.licence
    if place.start is not None:
        trainer.start_from(starting_point(place.start, trainer.network.config), place.licence)
    _tell_floors(run)
    if place.start is not None:
        run.measure()


def _tell_floors(run: Run) -> None:
    for name, dialogues in run.tune.items():
        if dialogues[0].box is not None:
            floor = ellipsoid_dice(dialogues)
            run.teller.say(f"{name}: {len(dialogues)} objects, inscribed ellipsoid {floor:.3f}")


def _until_the_budget_is_used_up(run: Run, clock: Clock) -> None:
    started = clock() - 60 * run.minutes
    if run.done >= 1:
        run.teller.say("the budget was used up before: nothing to do")
        return
    while run.done < 1:
        run.facts += run.trainer.step(run.done)
        run.minutes = (clock() - started) / 60
        run.measured = run.minutes if run.measured is None else run.measured
        run.teller.show(run.done, run.trainer.steps, run.facts[-1][2])
        if run.trainer.steps % LOG_EVERY == 0:
            run.log()
        if run.minutes - run.measured >= run.schedule.evaluate_minutes and run.done < 1:
            run.measure()
    run.measure()


def _patches(schedule: Schedule) -> str:
    edges = dict.fromkeys(phase.patch for phase in schedule.phases)
    return " and ".join(f"{edge}^3" for edge in edges)


def _short(value: float) -> str:
    return f"{value:.4f}"


def _names(scans: Sequence[Scan]) -> str:
    return ", ".join(scan.name for scan in scans) or "none"
