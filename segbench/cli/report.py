"""`segbench report`: run folders in, tables and figures out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from segbench.cli.option_types import EXISTING_FOLDER, FOLDER, OneOf, SomeOf, WholeNumber
from segbench.cli.options import command_line, policy_options, resampling_options, runs_argument
from segbench.cli.params import HOW, WHAT, WHERE, command, option
from segbench.results import FailurePolicy

if TYPE_CHECKING:
    from segbench.report.viewer.plan import ViewerChoice


@command(
    examples=[
        "segbench report runs",
        "segbench report runs/ours runs/ellipsoid --published table3 --out reports/mine",
        "segbench report runs --intervals --decimals 3",
        "segbench report runs --figures pdf,png",
        "segbench report runs --viewer selected",
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
    "--figures",
    heading=WHAT,
    type=SomeOf(["svg", "pdf", "png"]),
    default="svg",
    help="The files of each figure, such as svg,pdf; none: no figures, which takes less time.",
)
@option(
    "--images/--no-images",
    heading=WHAT,
    default=True,
    help="Show the images of the best and worst cases; otherwise their outlines alone, without "
    "any image data.",
)
@option(
    "--viewer",
    heading=WHAT,
    type=OneOf(["selected", "all", "none"]),
    default="none",
    help="Write a gallery and a view of each case, click by click: with the whole volume of the "
    "best, worst, failed and most disputed cases and slices of the others (selected), or with all "
    "volumes (all).",
)
@option(
    "--viewer-size",
    heading=WHAT,
    type=WholeNumber(1),
    default=500,
    help="The limit of the viewer's data in MB; further cases have slices only, then scores only.",
)
@option(
    "--data",
    heading=WHERE,
    type=EXISTING_FOLDER,
    help="The folder where the cases of the runs are now, for the pictures of cases; each must be "
    "the same file as then.",
    show_default="as in run.json",
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
    figures: tuple[str, ...],
    images: bool,
    viewer: ViewerChoice,
    viewer_size: int,
    data: Path | None,
    intervals: bool,
    significance: bool,
    decimals: int,
    patient_pattern: str | None,
    draws: int,
    seed: int,
    failures: FailurePolicy,
    time_limit: float | None,
) -> None:
    """Write tables and figures of some runs.

    Tables are Markdown, CSV, LaTeX and HTML; each figure has a CSV of what it draws. index.html
    has all of them on one page.
    """
    from segbench import report as reports
    from segbench.runs.progress import shown_progress

    results = reports.load(*runs, failures=failures, time_limit=time_limit)
    resampling = reports.Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    reports.require_report_folder(out)  # before anything is drawn
    options = reports.FigureOptions(figures, images, data)
    with shown_progress() as progress:
        drawn = reports.figure_files(results, options, resampling, progress.activity)
    for line in drawn.left_out:
        click.echo(f"not drawn: {line}", err=True)
    with_cases = viewer != "none"
    look = reports.TableOptions(intervals, significance, decimals, resampling)
    reports.write_report_of(
        results,
        out,
        published=published,
        options=look,
        figures=drawn,
        command=command_line(),
        with_cases=with_cases,
    )
    if with_cases:
        shown = reports.ViewerOptions(viewer, viewer_size * 1_000_000, images, data)
        plan = reports.plan_of(results, shown)
        click.echo(f"viewer: about {plan.estimate / 1e6:.0f} MB", err=True)
        with shown_progress() as progress:
            _, notes = reports.write_viewer(
                results, out, shown, plan=plan, activity=progress.activity
            )
        for note in notes:
            click.echo(f"viewer: {note}", err=True)
    click.echo(reports.terminal_table_of(results, look))
    click.echo(f"report: {out / 'index.html'}")
