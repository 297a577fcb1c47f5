"""Every setting other than the data that changes a training's result, and values over time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from segbench.errors import AdapterError

from ..network import CONFIGS

MAX_PATCH = 255  # voxels; the components of clicks are numbered in float32


@dataclass(frozen=True)
class Phase:
    """A part of the training with one patch edge; it ends at ``until``, a share of the budget."""

    until: float
    patch: int
    batch: int


@dataclass(frozen=True)
class Schedule:
    """The settings; the budget is ``steps`` or ``epochs`` if given, else ``minutes`` of wall time.

    The defaults are the recipe ``interactive``.
    """

    recipe: str = "interactive"
    minutes: float = 45.0
    steps: int | None = None
    epochs: int | None = None  # passes over the training scans; ``with_steps`` makes steps of them
    config: str = "small"
    # not 32: with a bottleneck of 2 voxels per axis, oneDNN's bfloat16 weight gradients are wrong
    phases: tuple[Phase, ...] = (Phase(1.0, 64, 2),)
    learning_rate: float = 1e-3
    final_rate: float = 0.02  # at the end of the cosine, as a share of the learning rate
    weight_decay: float = 1e-2
    warm_up_steps: int = 100
    mixed_precision: bool = True  # bfloat16 where it is fast; else float32
    dice_weight: float = 10.0  # alpha of Eq. 14
    click_weight: float = 1.0  # of the cross-entropy near clicks
    walk_weight: float = 1.0  # of the loss of the answer that a random walk refined
    share_walked: float = 0.8  # of the steps whose refined answer is the previous segmentation
    deep_supervision_weights: tuple[float, ...] = (1.0, 0.5, 0.25)  # of the heads, finest first
    clip_norm: float = 5.0
    ema_decay: float = 0.999  # of the exponential moving average of the weights
    share_generated: float = 0.4
    share_nested: float = 0.2  # of the generated scenes, as the next two
    share_large: float = 0.12
    share_tiny: float = 0.12
    share_faint: float = 0.12
    share_without_box: float = 0.25
    antialias: bool = True  # of images that are made smaller
    first_pass_probability: float = 0.0  # of a pass without gradient whose error gets a click
    next_click_probability: float = 0.75
    max_clicks: int = 6  # of a sample that is continued
    # licence not stated; scattered lesions, which never get a box
    left_out: tuple[str, ...] = ("US_DeepRegTRUS", "MR_OpenMS")
    tune_share: float = 0.15
    tune_patients: tuple[str, ...] = ()  # if empty, ``tune_share`` of them are drawn
    tune_objects: int = 6  # per group of scans
    tune_scenes: int = 10
    tune_clicks: int = 5
    log_every_steps: int = 50
    tune_every_minutes: float = 10.0
    save_every_minutes: float = 3.0
    seed: int = 42


RECIPES = {
    "interactive": Schedule(),
    # sections 2.3, 2.6 and 3.2 of the paper; docs/decisions/0134 has what they leave open
    "paper": Schedule(
        recipe="paper",
        epochs=25,
        config="paper",
        phases=(Phase(1.0, 192, 2),),
        learning_rate=1e-4,
        final_rate=1.0,
        weight_decay=1e-5,
        warm_up_steps=0,
        mixed_precision=False,
        click_weight=0.0,
        walk_weight=0.0,
        share_walked=0.0,
        deep_supervision_weights=(1.0,),
        clip_norm=math.inf,
        ema_decay=0.0,
        share_generated=0.0,
        share_without_box=0.0,
        antialias=False,
        first_pass_probability=0.5,
        max_clicks=0,
    ),
}


def with_steps(schedule: Schedule, n_scans: int) -> Schedule:
    """Return the schedule with the steps that its epochs over ``n_scans`` scans take."""
    if schedule.epochs is None or schedule.steps is not None:
        return schedule
    return replace(schedule, steps=math.ceil(schedule.epochs * n_scans / schedule.phases[-1].batch))


def check_schedule(schedule: Schedule) -> None:
    """Raise if the budget, a patch or a batch is invalid.

    Raises
    ------
    AdapterError
        The message has the number and the expected values.
    """
    budget = schedule.minutes if schedule.steps is None else schedule.steps
    if budget <= 0:
        raise AdapterError(f"a budget of {budget}: expected minutes or steps above 0")
    _check_shares(schedule)
    if min(schedule.tune_every_minutes, schedule.save_every_minutes) <= 0:
        raise AdapterError("--tune-every and --save-every: expected minutes above 0")
    _check_phases(schedule)


def _check_phases(schedule: Schedule) -> None:
    untils = [phase.until for phase in schedule.phases]
    if untils != sorted(untils) or untils[-1] < 1:
        raise AdapterError(f"phases that end at {untils}: expected rising shares, the last 1")
    stride = CONFIGS[schedule.config].stride
    for phase in schedule.phases:
        # below three voxels per axis at the bottleneck the norm has too few values; see Schedule
        if phase.patch % stride or phase.patch < 3 * stride:
            raise AdapterError(
                f"a patch of {phase.patch}: expected a multiple of {stride} from {3 * stride} on"
            )
        if phase.patch > MAX_PATCH:
            raise AdapterError(f"a patch of {phase.patch}: expected at most {MAX_PATCH}")
        if phase.batch < 1:
            raise AdapterError(f"a batch of {phase.batch}: expected 1 or more")


def _check_shares(schedule: Schedule) -> None:
    kinds = (
        schedule.share_nested,
        schedule.share_large,
        schedule.share_tiny,
        schedule.share_faint,
    )
    if min(kinds) < 0 or sum(kinds) > 1:
        raise AdapterError(
            f"shares of nested, large, tiny and faint scenes {kinds}: expected a sum of at most 1"
        )
    for share in (schedule.share_generated, schedule.share_without_box, schedule.share_walked):
        if not 0 <= share <= 1:
            raise AdapterError(f"a share of {share}: expected a number from 0 to 1")


def phase_at(schedule: Schedule, done: float) -> Phase:
    """Return the phase after a share ``done`` of the budget."""
    return next((phase for phase in schedule.phases if done < phase.until), schedule.phases[-1])


def learning_rate(schedule: Schedule, step: int, done: float) -> float:
    """Return the rate after ``step`` steps and a share ``done`` of the budget: warm-up, cosine."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    warm = min(1.0, (step + 1) / max(schedule.warm_up_steps, 1))
    final = schedule.final_rate
    return schedule.learning_rate * warm * ((1 - final) * cosine + final)


def fraction_done(schedule: Schedule, steps: int, minutes: float) -> float:
    """Return the share of the budget that is used."""
    return minutes / schedule.minutes if schedule.steps is None else steps / schedule.steps
