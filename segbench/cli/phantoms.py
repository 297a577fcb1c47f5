"""`segbench phantoms`: generated cases to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segbench.cli.option_types import FOLDER, OneOf, WholeNumber
from segbench.cli.params import HOW, WHAT, WHERE, argument, command, option
from segbench.messages import counted

if TYPE_CHECKING:
    from segbench.phantoms.files import PhantomFormat


@command(
    examples=[
        "segbench phantoms val/ --cases 10 --seed 0",
        "segbench phantoms scans/ --format nifti",
    ]
)
@argument(
    "folder",
    heading=WHERE,
    type=FOLDER,
    help="The folder for the files. Other cases in it are refused, not replaced.",
)
@option(
    "--format",
    "format_",
    heading=WHAT,
    type=OneOf(["npz", "nifti"]),
    default="npz",
    help="How phantoms are stored: npz (cases for segbench run), or nifti (images and labels in "
    "imagesTr and labelsTr, in varied orientations, as scans often are; needs segbench[convert]).",
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
def phantoms(folder: Path, format_: PhantomFormat, cases: int, seed: int) -> None:
    """Make small generated cases, to try segbench without data.

    They have five modalities. They are no scans, and scores on them say nothing about scans.
    """
    from segbench.phantoms import make_phantoms

    make_phantoms(folder, cases=cases, seed=seed, format=format_)
    click.echo(f"{counted(cases, 'phantom')} in {folder}")
