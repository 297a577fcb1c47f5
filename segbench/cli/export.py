"""`segbench export`: run folders in, frames as files out."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.options import EXISTING_FOLDER, FOLDER, policy_options
from segbench.results import FailurePolicy


@click.command()
@click.argument("runs", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    help="parquet needs the extra segbench[parquet].",
)
@click.option("--out", type=FOLDER, required=True, help="The folder of the exported files.")
@policy_options
def export(
    runs: tuple[Path, ...],
    format_: str,
    out: Path,
    failures: FailurePolicy,
    time_limit: float | None,
) -> None:
    """Write the cases, steps, prompts and methods of one or more RUNS as files.

    \b
    segbench export runs/* --out exported
    segbench export runs/ours --format parquet --out exported
    """
    from segbench.report import load, write_export

    results = load(*runs, failures=failures, time_limit=time_limit)
    for file in write_export(results, out, format=format_):
        click.echo(file)
