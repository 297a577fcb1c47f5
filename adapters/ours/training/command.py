"""The command line of the training."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..network import CONFIGS
from .display import teller
from .run import Place, train
from .schedule import Phase, Schedule

USUAL_PHASES = {"small": "1:64:2", "paper": "1:192:2"}


def main(arguments: Sequence[str], program: str) -> None:
    """Parse the arguments and train."""
    given = parser(program).parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with teller() as told:
        train(schedule_of(given), place_of(given), told)


def parser(program: str) -> argparse.ArgumentParser:
    """Return the parser of the options."""
    usual = Schedule()
    made = argparse.ArgumentParser(program, description="Train a checkpoint.")
    add = made.add_argument
    add("--data", type=Path, required=True, help="folder of training cases (npz)")
    add("--out", type=Path, required=True, help="checkpoint to write (safetensors)")
    add("--config", choices=sorted(CONFIGS), default=usual.config)
    budget = made.add_mutually_exclusive_group()
    number(budget.add_argument, "--minutes", usual.minutes, "wall time")
    budget.add_argument("--steps", type=int, help="instead of minutes: repeatable bit by bit")
    add("--init", type=Path, help="weights to begin with")
    add("--resume", action="store_true", help="go on where a killed training stopped")
    number(add, "--scenes", usual.share_generated, "share of generated scenes")
    number(add, "--unboxed", usual.share_unboxed, "share without a box")
    add("--phases", type=phases, help="UNTIL:PATCH:BATCH,... [small 1:64:2, paper 1:192:2]")
    number(add, "--rate", usual.learning_rate, "peak learning rate")
    always = ", ".join(usual.left_out)
    add("--leave-out", type=words, help=f"beginnings of file names, beside {always}; '': read all")
    add("--hold", type=words, default=usual.held, help="patients to tune on [by --seed]")
    add("--licence", help="of the weights [that of --init, or: not stated]")
    number(add, "--measure", usual.evaluate_minutes, "minutes between measurements")
    add("--seed", type=int, default=usual.seed, help=f"[{usual.seed}]")
    add("--workers", type=int, default=1, help="processes that make scenes [1]")
    add("--threads", type=int, help="of the computation [torch's choice]")
    add("--device", default="auto", choices=["auto", "cpu", "cuda"])
    return made


def number(add: Callable[..., object], option: str, usual: float, meaning: str) -> None:
    """Add an option for a number, with its default in the help."""
    add(option, type=float, default=usual, help=f"{meaning} [{usual:g}]")


def phases(text: str) -> tuple[Phase, ...]:
    """Read ``0.36:64:32,1:96:16``: up to a share of the budget, patch edge and batch."""
    parts = [part.split(":") for part in text.split(",")]
    return tuple(Phase(float(until), int(patch), int(batch)) for until, patch, batch in parts)


def words(text: str) -> tuple[str, ...]:
    """Read ``a,b``; nothing is no word."""
    return tuple(word for word in text.split(",") if word)


def left_out(given: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return what is not read: what never is, and more if given; an empty option: nothing."""
    usual = Schedule().left_out
    return () if given == () else tuple(dict.fromkeys((*usual, *(given or ()))))


def schedule_of(given: argparse.Namespace) -> Schedule:
    """Return the schedule that the options describe."""
    return Schedule(
        minutes=given.minutes,
        steps=given.steps,
        config=given.config,
        phases=given.phases or phases(USUAL_PHASES[given.config]),
        learning_rate=given.rate,
        share_generated=given.scenes,
        share_unboxed=given.unboxed,
        left_out=left_out(given.leave_out),
        held=given.hold,
        evaluate_minutes=given.measure,
        seed=given.seed,
    )


def place_of(given: argparse.Namespace) -> Place:
    """Return files and device that the options describe."""
    device = given.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Place(
        given.data, given.out, given.init, given.resume, given.workers, device, given.licence
    )
