"""The command line of the training."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from segbench.errors import AdapterError
from segbench_adapters import kit

from ..network import CONFIGS
from .one_line_parser import OneLineParser, refuse_second_value
from .reporter import open_reporter
from .run import train
from .schedule import RECIPES, Phase, Schedule
from .setup import TrainingSetup

DEFAULT_PHASES = {"small": "1:64:2", "paper": "1:192:2"}
CHECK_STEPS, CHECK_PATCHES = 10, (48, 64)  # of a trial on a processor
PLANS: dict[str, dict[str, Any]] = {  # defaults of options
    "gpu": {
        "phases": "0.4:64:32,1:96:16",
        "minutes": 20.0,
        "rate": 1.5e-3,
        "share_generated": 0.5,
        "tune_every": 5.0,
        "resume": True,
        "measure_seconds": 30.0,
    }
}
RANDOM = Path("random")  # as --init: random weights, also where a recipe expects others
FIXED_BY_PAPER = (  # options
    *("plan", "measure_seconds", "warm_up", "ema_decay", "share_generated", "share_nested"),
    *("share_large", "share_tiny", "share_faint", "share_without_box", "share_walked"),
    "walk_weight",
)


def main(arguments: Sequence[str], program: str) -> None:
    """Parse the arguments and train."""
    options = parse_options(arguments, program)
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with open_reporter() as reporter:
        train(schedule_of(options), setup_of(options), reporter)


def parse_options(arguments: Sequence[str], program: str) -> argparse.Namespace:
    """Parse the arguments; a recipe and a plan set the defaults of the other options."""
    refuse_second_value(parser(program), arguments)
    recipe = parser(program).parse_args(arguments).recipe
    made = parser(program, RECIPES[recipe])
    options = made.parse_args(arguments)
    if recipe == "paper":
        check_paper_options(made, options)
    plan = options.plan
    if plan is not None:
        made.set_defaults(workers=max(n_cores() - 2, 1), **PLANS[plan])
    options = made.parse_args(arguments)
    options.resume = options.resume or options.stop_after < math.inf
    if options.check:
        shrink_to_check(options)
    elif plan == "gpu" and options.device == "auto" and kit.select_device("auto").type == "cpu":
        raise AdapterError(
            "--plan gpu: torch sees no CUDA device; try the plan with --check, or train slowly "
            "with --device cpu"
        )
    return options


def shrink_to_check(options: argparse.Namespace) -> None:
    """Change the options to a trial of ten small steps, in files of its own."""
    options.steps, options.device, options.resume = CHECK_STEPS, "cpu", False
    options.out = options.out.with_name(f"{options.out.stem}.check{options.out.suffix}")
    phases = options.phases or parse_phases(DEFAULT_PHASES[options.config])
    smallest = 3 * CONFIGS[options.config].stride
    edges = [*CHECK_PATCHES, *CHECK_PATCHES[-1:] * len(phases)]
    options.phases = tuple(
        Phase(phase.until, max(edge, smallest), 1) for phase, edge in zip(phases, edges)
    )
    options.measure_seconds = min(options.measure_seconds, 1.0)


def check_paper_options(made: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Raise if an option contradicts the paper's recipe, or initial weights are not chosen."""
    for name in FIXED_BY_PAPER:
        if getattr(options, name) != made.get_default(name):
            option = name.replace("_", "-")
            raise AdapterError(f"--{option}: the recipe paper has its own value; leave it out")
    if options.init is None:
        raise AdapterError(
            "the recipe paper starts from nnInteractive v1.0: expected its folder or "
            "checkpoint_final.pth as --init (random weights: --init random)"
        )


def n_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parser(program: str, defaults: Schedule = RECIPES["interactive"]) -> argparse.ArgumentParser:
    """Return the parser of the options, with the defaults of a recipe."""
    made = OneLineParser(program, description="Train a checkpoint.", allow_abbrev=False)
    made.add_argument("--data", type=Path, required=True, help="folder of training cases (npz)")
    made.add_argument("--out", type=Path, required=True, help="checkpoint to write (safetensors)")
    add_recipe(made, defaults)
    add_budget(made, defaults)
    add_samples(made, defaults)
    add_machine(made)
    return made


def add_recipe(made: argparse.ArgumentParser, defaults: Schedule) -> None:
    """Add the options that choose what is trained, and how."""
    add = made.add_argument
    add("--recipe", choices=sorted(RECIPES), default=defaults.recipe, help="[interactive]")
    add("--plan", choices=sorted(PLANS), help="defaults of the options below for a GPU")
    add("--check", action="store_true", help="try it: ten small steps on the processor")
    add("--config", choices=sorted(CONFIGS), default=defaults.config)
    add("--init", type=Path, help="initial weights; or the word random")
    add("--phases", type=parse_phases, help="UNTIL:PATCH:BATCH,... [small 1:64:2, paper 1:192:2]")
    add_number(add, "--rate", defaults.learning_rate, "peak learning rate")
    add_number(add, "--walk-weight", defaults.walk_weight, "of the refined answers' loss; 0: none")
    help_walked = "share of steps after which clicks correct the refined answer"
    add_number(add, "--share-walked", defaults.share_walked, help_walked)
    add("--warm-up", type=int, default=defaults.warm_up_steps, help="steps of rising rate")
    add_number(add, "--ema-decay", defaults.ema_decay, "of the moving average of the weights")
    add("--licence", help="of the weights [that of --init, or: not stated]")
    add("--seed", type=int, default=defaults.seed, help=f"[{defaults.seed}]")


def add_budget(made: argparse.ArgumentParser, defaults: Schedule) -> None:
    """Add the options for the length of the training and of its parts."""
    add, budget = made.add_argument, made.add_mutually_exclusive_group()
    minutes = defaults.minutes if defaults.epochs is None else None
    help_minutes = f"wall time [{Schedule.minutes:g}; paper: {RECIPES['paper'].epochs} epochs]"
    budget.add_argument("--minutes", type=float, default=minutes, help=help_minutes)
    budget.add_argument(
        "--steps", type=int, help="instead of minutes: can be repeated to the last bit"
    )
    help_stop = "minutes after which this call ends; implies --resume: the same command continues"
    add("--stop-after", type=float, default=math.inf, help=help_stop)
    add("--resume", action="store_true", help="continue a stopped training")
    add_number(add, "--measure-seconds", 0.0, "fit the schedule to the speed that is measured in")
    add_number(add, "--tune-every", defaults.tune_every_minutes, "minutes between evaluations")
    add_number(add, "--save-every", defaults.save_every_minutes, "minutes between stored states")


def add_samples(made: argparse.ArgumentParser, defaults: Schedule) -> None:
    """Add the options that choose the samples."""
    add, always = made.add_argument, ", ".join(defaults.left_out)
    add_number(add, "--share-generated", defaults.share_generated, "share of generated scenes")
    add_number(add, "--share-nested", defaults.share_nested, "of these with nested objects")
    add_number(add, "--share-large", defaults.share_large, "of these with a large object")
    add_number(add, "--share-tiny", defaults.share_tiny, "of these with a tiny object")
    add_number(add, "--share-faint", defaults.share_faint, "of these with a faint object")
    add_number(add, "--share-without-box", defaults.share_without_box, "share without a box")
    help_left_out = f"prefixes of file names, in addition to {always}; '': read all"
    add("--leave-out", type=parse_names, help=help_left_out)
    help_tune = "held-out patients [drawn by --seed]"
    add("--tune-patients", type=parse_names, default=defaults.tune_patients, help=help_tune)


def add_machine(made: argparse.ArgumentParser) -> None:
    """Add the options that do not change the result."""
    add = made.add_argument
    add("--workers", type=int, default=1, help="processes that generate samples [1]")
    add("--threads", type=int, help="of torch [torch's default]")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N [auto]")


def add_number(add: Callable[..., object], option: str, default: float, meaning: str) -> None:
    """Add an option for a number, with its default in the help."""
    add(option, type=float, default=default, help=f"{meaning} [{default:g}]")


def parse_phases(text: str) -> tuple[Phase, ...]:
    """Parse ``0.36:64:32,1:96:16``: end as a share of the budget, patch edge and batch size."""
    phases = [phase.split(":") for phase in text.split(",")]
    return tuple(Phase(float(until), int(patch), int(batch)) for until, patch, batch in phases)


def parse_names(text: str) -> tuple[str, ...]:
    """Parse ``a,b``; an empty text gives no names."""
    return tuple(name for name in text.split(",") if name)


def left_out(prefixes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the default prefixes and the given ones; an empty option leaves nothing out."""
    always = Schedule().left_out
    return () if prefixes == () else tuple(dict.fromkeys((*always, *(prefixes or ()))))


def schedule_of(options: argparse.Namespace) -> Schedule:
    """Return the schedule of the options."""
    recipe = RECIPES[options.recipe]
    by_epochs = options.minutes is None and options.steps is None
    return replace(
        recipe,
        minutes=recipe.minutes if options.minutes is None else options.minutes,
        steps=options.steps,
        epochs=recipe.epochs if by_epochs else None,
        config=options.config,
        phases=options.phases or parse_phases(DEFAULT_PHASES[options.config]),
        learning_rate=options.rate,
        warm_up_steps=options.warm_up,
        ema_decay=options.ema_decay,
        share_generated=options.share_generated,
        share_nested=options.share_nested,
        share_large=options.share_large,
        share_tiny=options.share_tiny,
        share_faint=options.share_faint,
        share_without_box=options.share_without_box,
        walk_weight=options.walk_weight,
        share_walked=options.share_walked,
        left_out=left_out(options.leave_out),
        tune_patients=options.tune_patients,
        tune_every_minutes=options.tune_every,
        save_every_minutes=options.save_every,
        tune_objects=1 if options.check else recipe.tune_objects,
        tune_scenes=1 if options.check else recipe.tune_scenes,
        seed=options.seed,
    )


def setup_of(options: argparse.Namespace) -> TrainingSetup:
    """Return the files and the device of the options."""
    return TrainingSetup(
        options.data,
        options.out,
        None if options.init == RANDOM else options.init,
        options.resume,
        options.workers,
        options.device,
        options.licence,
        options.stop_after,
        options.measure_seconds,
        options.check,
    )
