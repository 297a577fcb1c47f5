"""`segbench verify`: check a finished run without its model."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from segbench.cli.options import EXISTING_FOLDER


@click.command()
@click.argument("run_folder", type=EXISTING_FOLDER, metavar="RUN")
@click.option("--data", type=EXISTING_FOLDER, help="Where the cases are now. [as in run.json]")
@click.option("--references", type=EXISTING_FOLDER, help="Where gts is now. [as in run.json]")
def verify(run_folder: Path, data: Path | None, references: Path | None) -> None:
    """Compute all clicks and scores of RUN again, without its model, and compare.

    \b
    segbench verify runs/ours

    Exit status 1 if anything differs or cannot be checked. Floats must be equal to the last bit.
    """
    from segbench.runs import verify as verification

    found = verification.verify(run_folder, data, references)
    for check in found.different[:20]:
        click.echo(f"{check.case} {check.what}: stored {check.stored}, now {check.now}", err=True)
    if found.without_predictions:
        unchecked = ", ".join(found.without_predictions[:5])
        click.echo(
            f"no predictions kept of {len(found.without_predictions)} cases: {unchecked}", err=True
        )
    click.echo(f"{len(found.checks)} facts compared, {len(found.different)} different")
    sys.exit(1 if found.different or found.without_predictions else 0)
