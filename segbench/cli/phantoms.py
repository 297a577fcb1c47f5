"""`segbench phantoms`: generated cases to try things on."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.option_types import FOLDER, WholeNumber
from segbench.cli.params import HOW, WHERE, argument, command, option


@command(examples=["segbench phantoms val/ --cases 10 --seed 0"])
@argument(
    "folder",
    heading=WHERE,
    type=FOLDER,
    help="The folder for the files. Other cases in it are refused, not replaced.",
)
@option(
    "--cases",
    heading=HOW,
    type=WholeNumber(1),
    default=10,
    help="How many cases are generated, the five modalities in turn.",
)
@option(
    "--seed",
    heading=HOW,
    type=WholeNumber(0),
    default=0,
    help="Seed of the generated shapes; the same seed makes the same bytes.",
)
def phantoms(folder: Path, cases: int, seed: int) -> None:
    """Make small generated cases, to try segbench without data.

    They have five modalities. They are no scans, and scores on them say nothing about scans.
    """
    from segbench.phantoms import make_phantoms

    files = make_phantoms(folder, cases=cases, seed=seed)
    click.echo(f"{len(files)} phantoms in {folder}")
