"""`segbench report`: run folders in, tables out."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.option_types import FOLDER, OneOf, WholeNumber
from segbench.cli.options import command_line, policy_options, resampling_options, runs_argument
from segbench.cli.params import HOW, WHAT, WHERE, command, option
from segbench.results import FailurePolicy


@command(
    examples=[
        "segbench report runs",
        "segbench report runs/ours runs/ellipsoid --published table3 --out reports/mine",
        "segbench report runs --intervals --decimals 3",
    ]
)
@runs_argument
@option(
    "--published",
    heading=WHAT,
    type=OneOf(["table3", "table4", "table5"]),
    multiple=True,
    help="Show the rows of this table of the paper next to your runs; repeatable.",
)
@option(
    "--out",
    heading=WHERE,
    type=FOLDER,
    default=Path("reports/latest"),
    help="The folder for the report. An earlier report in it is replaced; no other file is.",
)
@option(
    "--intervals/--no-intervals",
    heading=HOW,
    default=False,
    help="Show the 95 % interval of each mean, by bootstrap over patients.",
)
@option(
    "--significance/--no-significance",
    heading=HOW,
    default=True,
    help="Print a method in bold if it is better than all others, and underline those that cannot "
    "be told from the best.",
)
@option(
    "--decimals",
    heading=HOW,
    type=WholeNumber(1, 10),
    default=4,
    help="How many decimals scores have in the tables; CSV files have all.",
)
@policy_options
@resampling_options
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
    """Write the tables of some runs as Markdown, CSV, LaTeX and HTML.

    index.html has all of them on one page.
    """
    from segbench.report import Resampling, TableOptions, load, terminal_table_of, write_report_of

    results = load(*runs, failures=failures, time_limit=time_limit)
    resampling = Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    options = TableOptions(intervals, significance, decimals, resampling)
    write_report_of(results, out, published=published, options=options, command=command_line())
    click.echo(terminal_table_of(results, options))
    click.echo(f"report: {out / 'index.html'}")
