"""`segbench parity`: an official metrics CSV against its stored predictions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from segbench.cli.misuse import Misuse
from segbench.cli.option_types import EXISTING_FOLDER, EXISTING_PATH, FILE, OneOf, WholeNumber
from segbench.cli.params import ADVANCED, HOW, WHAT, argument, command, option
from segbench.messages import did_you_mean


def parse_causes(_: Any, __: Any, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return causes that may be allowed; refuse any other word."""
    from segbench.report.parity import CAUSES

    known = [cause for cause in CAUSES if cause != "unexplained"]
    for cause in given:
        if cause not in known:
            cure = did_you_mean(cause, known) or f"known: {', '.join(known)}"
            raise Misuse("a cause that can be established", repr(cause), cure)
    return given


@command(
    examples=[
        "segbench parity seg/team --data val/",
        "segbench parity seg/team --data imgs/ --references gts/ --jobs 4",
        "segbench parity seg/team --data val/ --format csv --allow dropped-case",
    ]
)
@argument(
    "official",
    heading=WHAT,
    metavar="OFFICIAL_DIR",
    type=EXISTING_FOLDER,
    help="The folder that the official script wrote for a team: TEAM_metrics.csv, and CASE.npz "
    "with segs and all_segs, next to it or in a folder of their own.",
)
@option(
    "--data",
    heading=WHAT,
    type=EXISTING_FOLDER,
    required=True,
    help="The folder with the cases that the script was given.",
)
@option(
    "--references",
    heading=WHAT,
    type=EXISTING_FOLDER,
    help="A folder of .npz files of the same names with the reference label maps (gts), if the "
    "cases have none.",
)
@option(
    "--metrics",
    heading=WHAT,
    type=FILE,
    help="The CSV, if it is in another folder or there are several.",
    show_default="the CSV in OFFICIAL_DIR",
)
@option(
    "--allow",
    heading=HOW,
    multiple=True,
    metavar="CAUSE",
    callback=parse_causes,
    help="Exit with status 0 although there are differences of this cause, such as dropped-case; "
    "repeatable.",
)
@option(
    "--format",
    "form",
    heading=HOW,
    type=OneOf(["text", "json", "csv"]),
    default="text",
    help="How the differences are written: text (a line for each, and a summary), json (for "
    "programs), or csv (a row for each number).",
)
@option(
    "--jobs",
    heading=HOW,
    type=WholeNumber(1),
    default=1,
    help="How many cases are scored at the same time, each in a process of its own.",
)
@option(
    "--earlier",
    heading=ADVANCED,
    type=EXISTING_PATH,
    multiple=True,
    help="The official folder, or the CSV, of an earlier run, of which files may be left; "
    "repeatable.",
)
@option(
    "--other-references",
    heading=ADVANCED,
    type=EXISTING_FOLDER,
    multiple=True,
    help="A folder of other reference label maps that the script may have been given; repeatable.",
)
def parity(
    *,
    official: Path,
    data: Path,
    references: Path | None,
    metrics: Path | None,
    allow: tuple[str, ...],
    form: Literal["text", "json", "csv"],
    jobs: int,
    earlier: tuple[Path, ...],
    other_references: tuple[Path, ...],
) -> None:
    """Score the predictions of an official run again, and explain what differs.

    A cause is named only if a test has established it; all else is unexplained. Exit status 1 if
    anything differs.
    """
    from segbench.report.parity import parity as find_parity
    from segbench.report.parity import parity_csv, parity_json, parity_text
    from segbench.report.written_files import generator
    from segbench.runs.progress_count import shown_count

    with shown_count("scoring") as on_case:
        found = find_parity(
            official,
            data,
            references=references,
            metrics=metrics,
            earlier=earlier,
            other_references=other_references,
            jobs=jobs,
            on_case=on_case,
        )
    if form == "json":
        text = parity_json(found, generator())
    else:
        text = parity_csv(found) if form == "csv" else parity_text(found)
    click.echo(text, nl=False)
    sys.exit(1 if found.other_than(allow) else 0)
