"""`segbench export`: run folders in, files for other programs and for publication out."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.options import EXISTING_FOLDER, FOLDER, policy_options, resampling_options
from segbench.results import FailurePolicy


@click.command()
@click.argument("runs", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "parquet", "challenger", "card"]),
    default="csv",
    help="csv, parquet: frames (parquet needs the extra segbench[parquet]). challenger: scores "
    "for the R package challengeR. card: a page on each run, Markdown and JSON.",
)
@click.option("--out", type=FOLDER, required=True, help="The folder of the exported files.")
@policy_options
@resampling_options
def export(
    *,
    runs: tuple[Path, ...],
    format_: str,
    out: Path,
    failures: FailurePolicy,
    time_limit: float | None,
    patient_pattern: str | None,
    seed: int,
    draws: int,
) -> None:
    """Write one or more RUNS as files: tables of all facts, or a card of each run.

    \b
    segbench export runs/* --out exported
    segbench export runs/ours --format parquet --out exported
    segbench export runs/ours --format card --out cards

    No exported file names a path, a user or a host.
    """
    from segbench.report import Resampling, load, write_export

    results = load(*runs, failures=failures, time_limit=time_limit)
    resampling = Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    for file in write_export(results, out, format=format_, resampling=resampling):
        click.echo(file)
