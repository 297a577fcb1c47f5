"""`segbench verify`: check a finished run without its model."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from segbench.cli.option_types import EXISTING_FOLDER, RUN_FOLDER
from segbench.cli.params import WHAT, argument, command, option
from segbench.messages import counted


@command(examples=["segbench verify runs/ours", "segbench verify runs/ours --data /new/place/val"])
@argument(
    "run_folder",
    heading=WHAT,
    metavar="RUN",
    type=RUN_FOLDER,
    help="The run folder to check.",
)
@option(
    "--data",
    heading=WHAT,
    type=EXISTING_FOLDER,
    help="The folder where the cases of the run are now; each must be the same file as then.",
    show_default="as in run.json",
)
@option(
    "--references",
    heading=WHAT,
    type=EXISTING_FOLDER,
    help="The folder where the reference label maps (gts) are now, if the cases have none.",
    show_default="as in run.json",
)
def verify(run_folder: Path, data: Path | None, references: Path | None) -> None:
    """Compute all clicks and scores of a run again, without its model.

    They are compared with the stored ones, to the last bit. Exit status 1 if anything differs or
    cannot be checked.
    """
    from segbench.runs import verify as verification

    found = verification.verify(run_folder, data, references)
    for check in found.different[:20]:
        click.echo(f"{check.case} {check.what}: stored {check.stored}, now {check.now}", err=True)
    if found.without_predictions:
        unchecked = ", ".join(found.without_predictions[:5])
        click.echo(
            f"no predictions kept of {counted(len(found.without_predictions), 'case')}: "
            f"{unchecked}",
            err=True,
        )
    click.echo(f"{counted(len(found.checks), 'fact')} compared, {len(found.different)} different")
    sys.exit(1 if found.different or found.without_predictions else 0)
