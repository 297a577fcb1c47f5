"""`segbench report`: run folders in, tables out."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.options import (
    EXISTING_FOLDER,
    FOLDER,
    command_line,
    policy_options,
    resampling_options,
)
from segbench.results import FailurePolicy


@click.command()
@click.argument("runs", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option(
    "--out", type=FOLDER, default=Path("reports/latest"), help="The folder of the report."
)
@click.option(
    "--published",
    type=click.Choice(["table3", "table4", "table5"]),
    multiple=True,
    help="Show the paper's rows next to yours; repeatable.",
)
@click.option(
    "--intervals/--no-intervals",
    default=False,
    help="Show 95 % intervals of the means, by bootstrap over patients.",
)
@click.option(
    "--significance/--no-significance",
    default=True,
    help="Bold for a method that is better than all others, underline for those that cannot be "
    "told from the best.",
)
@click.option("--decimals", type=click.IntRange(1, 10), default=4, help="Of scores, as printed.")
@resampling_options
@policy_options
def report(
    runs: tuple[Path, ...],
    *,
    out: Path,
    published: tuple[str, ...],
    intervals: bool,
    significance: bool,
    decimals: int,
    patient_pattern: str | None,
    draws: int,
    seed: int,
    failures: FailurePolicy,
    time_limit: float | None,
) -> None:
    """Write the tables of one or more RUNS as Markdown, CSV, LaTeX and HTML.

    \b
    segbench report runs/*
    segbench report runs/ours runs/ellipsoid --published table3 --out reports/mine
    segbench report runs/* --intervals --decimals 3
    """
    from segbench.report import Resampling, TableOptions, load, terminal_table_of, write_report_of

    results = load(*runs, failures=failures, time_limit=time_limit)
    resampling = Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    options = TableOptions(intervals, significance, decimals, resampling)
    write_report_of(results, out, published=published, options=options, command=command_line())
    click.echo(terminal_table_of(results, options))
    click.echo(f"report: {out / 'index.html'}")
