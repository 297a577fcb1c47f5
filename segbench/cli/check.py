"""`segbench check`: find mistakes in data before they cost a run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Literal

import click

from segbench.cli.interruption import one_line_if_interrupted
from segbench.cli.misuse import Misuse
from segbench.cli.option_types import (
    EXISTING_FOLDER,
    EXISTING_PATH,
    NEW_FILE,
    OneOf,
    WholeNumber,
)
from segbench.cli.params import ADVANCED, HOW, WHAT, WHERE, argument, command, option
from segbench.messages import counted, did_you_mean

# what the three formats have and no other file
OURS = re.compile(
    r'<title>Data check: |"generator": "segbench[^"]* check"|^Checked by segbench', re.MULTILINE
)


def parse_codes(_: Any, __: Any, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return codes of findings; refuse any other word."""
    from segbench.data.check.codes import CODES

    for code in given:
        if code not in CODES:
            cure = did_you_mean(code, CODES) or "docs/check.md lists them"
            raise Misuse("a code of a finding", repr(code), cure)
    return given


def parse_pattern(_: Any, __: Any, given: str | None) -> str | None:
    """Return a regular expression; refuse one that cannot be used."""
    try:
        re.compile(given or "")
    except re.error as error:
        raise Misuse("a regular expression", f"{given!r}: {error}") from error
    return given


def parse_out(_: Any, __: Any, given: Path | None) -> Path | None:
    """Return a path that is new, or of an earlier check; refuse to replace any other file."""
    if given is None or not given.exists():
        return given
    if not OURS.search(given.read_text(encoding="utf-8", errors="replace")):
        expected = "a new file, or one that segbench check wrote"
        raise Misuse(expected, f"{str(given)!r} of something else", "choose another name")
    return given


@command(
    examples=[
        "segbench check val/",
        "segbench check val/ --against train/ --strict",
        "segbench check imgs/ --references gts/ --format html --out check.html",
    ]
)
@argument(
    "data",
    heading=WHAT,
    metavar="DATA",
    type=EXISTING_PATH,
    help="A folder of .npz cases, searched with all folders inside, or one .npz file.",
)
@option(
    "--references",
    heading=WHAT,
    type=EXISTING_FOLDER,
    help="A folder of .npz files with the reference label maps (gts), one per case and of the same "
    "name, if the files of DATA have none.",
)
@option(
    "--against",
    heading=WHAT,
    type=EXISTING_PATH,
    help="A folder that must not have the same images or patients, such as that of the training "
    "cases.",
)
@option(
    "--out",
    heading=WHERE,
    type=NEW_FILE,
    callback=parse_out,
    help="Write the findings to this file and print the summary only. An earlier file of this "
    "command is replaced; no other is.",
)
@option(
    "--format",
    "form",
    heading=HOW,
    type=OneOf(["text", "json", "html"]),
    default="text",
    help="How the findings are written: text (grouped, for a terminal), json (all findings and all "
    "cases, for programs), or html (one page).",
)
@option(
    "--strict",
    heading=HOW,
    is_flag=True,
    help="Exit with status 1 if there is a warning, too, not only if there is an error.",
)
@option(
    "--ignore",
    heading=HOW,
    multiple=True,
    metavar="CODE",
    callback=parse_codes,
    help="Leave out the findings of this code, such as label-at-border; repeatable.",
)
@option(
    "--jobs",
    heading=HOW,
    type=WholeNumber(1),
    default=1,
    help="How many cases are checked at the same time, each in a process with one thread.",
)
@option(
    "--patient-pattern",
    heading=ADVANCED,
    metavar="REGEX",
    callback=parse_pattern,
    help="Regular expression that finds the patient in the name of a case: its first group, or "
    "all that matches. It says which scans of DATA and --against are of one patient.",
    show_default="the column patient of index.csv",
)
def check(
    *,
    data: Path,
    references: Path | None,
    against: Path | None,
    out: Path | None,
    form: Literal["text", "json", "html"],
    strict: bool,
    ignore: tuple[str, ...],
    jobs: int,
    patient_pattern: str | None,
) -> None:
    """Find mistakes in data: in files, geometry, intensities, labels and boxes.

    No model is needed. Exit status 1 if a run would refuse a case (an error).
    """
    progress = [0, 0]  # cases that are checked, of how many
    with one_line_if_interrupted(lambda: _how_to_go_on(*progress)):
        from segbench.data.check.check_data import check_data
        from segbench.data.check.text import summary
        from segbench.runs.progress_count import shown_count

        def on_case(name: str, done: int, total: int) -> None:
            progress[:] = done, total
            show(name, done, total)

        with shown_count("checking") as show:
            checked = check_data(
                data,
                references=references,
                against=against,
                patient_pattern=patient_pattern,
                ignore=ignore,
                jobs=jobs,
                on_case=on_case,
            )
    text = _formatted(checked, form, data, is_file=out is not None)
    if out is None:
        click.echo(text, nl=False)
    else:
        from segbench.files import write_text

        write_text(out, text)
        click.echo("\n".join(summary(checked)))
        click.echo(f"findings: {out}", err=True)
    sys.exit(1 if checked.count("error") or (strict and checked.count("warning")) else 0)


def _how_to_go_on(done: int, total: int) -> str:
    of = f" after {done} of {counted(total, 'case')}" if total else ""
    return f"check: interrupted{of}, nothing is written; the same command checks all of them"


def _formatted(checked: Any, form: str, data: Path, *, is_file: bool) -> str:
    from segbench.data.check.text import as_json, as_text
    from segbench.report.written_files import generator

    if form == "json":
        return as_json(checked, generator())
    if form == "html":
        from segbench.report.check_page import check_html

        return check_html(checked, data.name)
    return as_text(checked) + (f"\nChecked by {generator()}.\n" if is_file else "")
