"""`segbench export`: run folders in, files for other programs and for publication out."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.option_types import FOLDER, OneOf
from segbench.cli.options import policy_options, resampling_options, runs_argument
from segbench.cli.params import WHAT, WHERE, command, option
from segbench.results import FailurePolicy


@command(
    examples=[
        "segbench export runs --out exported",
        "segbench export runs/ours --format parquet --out exported",
        "segbench export runs/ours --format card --out cards",
    ]
)
@runs_argument
@option(
    "--format",
    "format_",
    heading=WHAT,
    type=OneOf(["csv", "parquet", "challenger", "card"]),
    default="csv",
    help="csv, parquet: the cases, steps, prompts and methods, one file each (parquet needs "
    "segbench[parquet]). challenger: scores for the R package challengeR. card: a page on each "
    "run, Markdown and JSON.",
)
@option(
    "--out",
    heading=WHERE,
    type=FOLDER,
    required=True,
    help="The folder for the exported files. Files of an earlier export are replaced; no others "
    "are.",
)
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
    """Write runs as files for other programs, or a card of each.

    No exported file names a path, a user or a host.
    """
    from segbench.report import Resampling, load, write_export

    results = load(*runs, failures=failures, time_limit=time_limit)
    resampling = Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    for file in write_export(results, out, format=format_, resampling=resampling):
        click.echo(file)
