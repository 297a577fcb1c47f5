"""`segbench convert`: scans of the clinic in, cases out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segbench.cli.convert_options import rule_options, source_options
from segbench.cli.interruption import one_line_if_interrupted
from segbench.cli.misuse import Fault, Refusal
from segbench.cli.option_types import EXISTING_PATH, FOLDER, WholeNumber
from segbench.cli.params import HOW, WHAT, WHERE, argument, command, option
from segbench.messages import counted

if TYPE_CHECKING:
    from segbench.data.convert.convert_data import ConvertedData
    from segbench.data.convert.rules import Rules
    from segbench.data.convert.scan import Found


@command(
    examples=[
        "segbench convert ct.nii.gz labels.nii.gz --modality CT --out val/",
        "segbench convert images/ labels/ --modality MR --out val/ --jobs 4",
        "segbench convert scans.csv --out val/ --labels 'liver,tumor=2+3'",
        "segbench convert Dataset003_Liver/ --out val/ --dry-run",
        "segbench convert dicom/ct/ dicom/seg.dcm --out val/",
    ]
)
@argument(
    "sources",
    heading=WHAT,
    metavar="SOURCES...",
    nargs=-1,
    required=True,
    type=EXISTING_PATH,
    help="IMAGE LABELS: two files (NIfTI, MHA, NRRD; of DICOM a series folder and a file of SEG or "
    "RTSTRUCT), or two folders, paired by name. Or one path: a list (CSV, TSV, YAML, JSON), or a "
    "data set in the layout of nnU-Net, MSD or BIDS.",
)
@source_options
@option(
    "--out",
    heading=WHERE,
    type=FOLDER,
    required=True,
    help="The folder for the cases. Unchanged cases in it are not converted again, and no other "
    "file is replaced.",
)
@rule_options
@option(
    "--jobs",
    heading=HOW,
    type=WholeNumber(1),
    default=1,
    help="How many scans are converted at the same time, each in a process of its own.",
)
@option(
    "--replace",
    is_flag=True,
    heading=HOW,
    help="Convert again the cases whose source or options have changed; else they are refused.",
)
@option(
    "--dry-run",
    is_flag=True,
    heading=HOW,
    help="Show the pairs that are found and what is left out, and write nothing.",
)
def convert(
    *,
    sources: tuple[Path, ...],
    out: Path,
    jobs: int,
    replace: bool,
    dry_run: bool,
    **given: Any,
) -> None:
    """Make cases of scans and their labels, without resampling.

    Axes are permuted and flipped to one orientation, and the case keeps the grid of its source.
    Exit status 1: a scan was refused.
    """
    begun: list[Found] = []
    with one_line_if_interrupted(lambda: _how_to_go_on(begun, out)):
        _require_extra()
        from segbench.data.convert.request import request_of

        rules, found = request_of(sources, given)
        if dry_run:
            click.echo(_plan(found, out))
            return
        begun.append(found)
        done = _convert(found, rules, out, jobs=jobs, replace=replace)
    _show(done)
    if not done.all_ok:
        sys.exit(1)


def _plan(found: Found, out: Path) -> str:
    """Return what a call would do."""
    from segbench.text_table import text_table

    rows = [("case", "image", "labels", "modality", "patient")]
    for scan in found.scans:
        names = (scan.name, scan.image.name, scan.labels.name)
        rows.append((*names, scan.modality or "as the file says", scan.patient or "-"))
    there = sum((out / f"{scan.name}.npz").exists() for scan in found.scans)
    lines = [f"{found.layout}: {counted(len(found.scans), 'case')}, of which {out} has {there}"]
    lines += [text_table(rows), *(f"left out: {text}" for text in found.unpaired)]
    return "\n".join([*lines, *(f"guessed: {text}" for text in _guesses(found))])


def _guesses(found: Found) -> list[str]:
    return list(dict.fromkeys(text for scan in found.scans for text in scan.guessed))


def _require_extra() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("nibabel", "SimpleITK", "pydicom") if find_spec(name) is None]
    if missing:
        cure = "install it by pip install 'segbench[convert]'"
        raise Refusal(str(Fault("convert", f"the library {missing[0]}", "none", cure)))


def _convert(found: Found, rules: Rules, out: Path, *, jobs: int, replace: bool) -> ConvertedData:
    from segbench.data.convert.batch import Batch
    from segbench.data.convert.convert_data import convert_found
    from segbench.runs.progress_count import shown_count

    with shown_count("convert", line_seconds=0) as show:
        return convert_found(found, Batch(rules, out, replace), jobs=jobs, on_case=show)


def _show(done: ConvertedData) -> None:
    for line in done.lines():
        click.echo(line)
    click.echo(f"{done.index} and {done.report} say what was decided")


def _how_to_go_on(begun: Sequence[Found], out: Path) -> str:
    scans = [scan for found in begun for scan in found.scans]
    if not scans:
        return "convert: interrupted, nothing is converted; the same command begins again"
    there = sum((out / f"{scan.name}.npz").exists() for scan in scans)
    return (
        f"convert: interrupted, {out} has {there} of {counted(len(scans), 'case')}; the same "
        "command converts the rest"
    )
