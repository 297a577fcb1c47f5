"""`segbench phantoms`: generated cases to try things on."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.options import FOLDER


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--cases", type=click.IntRange(1), default=10, help="Number of cases.")
@click.option("--seed", type=int, default=0, help="The same seed makes the same bytes.")
def phantoms(folder: Path, cases: int, seed: int) -> None:
    """Make small generated cases of five modalities in FOLDER, to try segbench without data.

    \b
    segbench phantoms val/ --cases 10 --seed 0
    """
    from segbench.phantoms import make_phantoms

    files = make_phantoms(folder, cases=cases, seed=seed)
    click.echo(f"{len(files)} phantoms in {folder}")
