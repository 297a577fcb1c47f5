"""`segbench report`: run folders in, tables out."""

from __future__ import annotations

from pathlib import Path

import click

from segbench.cli.options import EXISTING_FOLDER, FOLDER, command_line, policy_options
from segbench.results import FailurePolicy, Policy


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
@policy_options
def report(
    runs: tuple[Path, ...],
    out: Path,
    published: tuple[str, ...],
    failures: FailurePolicy,
    time_limit: float | None,
) -> None:
    """Write the tables of one or more RUNS as Markdown, CSV, LaTeX and HTML.

    \b
    segbench report runs/*
    segbench report runs/ours runs/ellipsoid --published table3 --out reports/mine
    """
    from segbench.report import terminal_table, write_report

    policy = Policy(failures, time_limit)
    write_report(runs, out, published=published, policy=policy, command=command_line())
    click.echo(terminal_table(runs, policy))
    click.echo(f"report: {out / 'index.html'}")
