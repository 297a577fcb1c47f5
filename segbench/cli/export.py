"""`segbench export`: run folders in, files for other programs and for publication out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segbench.cli.misuse import Fault, Refusal
from segbench.cli.option_types import EXISTING_FOLDER, FOLDER, STEP, OneOf
from segbench.cli.options import policy_options, resampling_options, runs_argument
from segbench.cli.params import WHAT, WHERE, command, option
from segbench.results import FailurePolicy

if TYPE_CHECKING:
    from segbench.report.volumes.plan import StepChoice


@command(
    examples=[
        "segbench export runs --out exported",
        "segbench export runs/ours --format parquet --out exported",
        "segbench export runs/ours --format card --out cards",
        "segbench export runs --format slicer --case 'CT_*' --out volumes",
    ]
)
@runs_argument
@option(
    "--format",
    "format_",
    heading=WHAT,
    type=OneOf(["csv", "parquet", "challenger", "card", "nifti", "slicer"]),
    default="csv",
    help="csv, parquet: the cases, steps, prompts, methods and further metrics, one file each "
    "(parquet needs segbench[parquet]). challenger: scores for the R package challengeR. card: a "
    "page on each run, Markdown and JSON. nifti, slicer: images, references, predictions, errors "
    "and boxes as volumes in the grid of the source (needs segbench[convert]); slicer adds clicks "
    "and boxes as markups, and a script that opens a case in 3D Slicer.",
)
@option(
    "--case",
    "cases",
    heading=WHAT,
    multiple=True,
    metavar="PATTERN",
    help="Export only the cases whose names match this pattern, such as 'CT_*' (nifti, slicer); "
    "repeatable: one match is enough.",
    show_default="all cases",
)
@option(
    "--step",
    heading=WHAT,
    type=STEP,
    help="Which predictions are exported: after the final step, after all steps, or after step N "
    "(nifti, slicer).",
    show_default="final",
)
@option(
    "--data",
    heading=WHERE,
    type=EXISTING_FOLDER,
    help="The folder where the cases of the runs are now (nifti, slicer); each must be the same "
    "file as then.",
    show_default="as in run.json",
)
@option(
    "--references",
    heading=WHERE,
    type=EXISTING_FOLDER,
    help="The folder where the reference label maps (gts) are now, if the cases have none (nifti, "
    "slicer).",
    show_default="as in run.json",
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
    cases: tuple[str, ...],
    step: StepChoice | None,
    data: Path | None,
    references: Path | None,
    failures: FailurePolicy,
    time_limit: float | None,
    patient_pattern: str | None,
    seed: int,
    draws: int,
) -> None:
    """Write runs as files for other programs, a card of each, or volumes for a viewer.

    No exported file names a path, a user or a host.
    """
    if format_ in ("nifti", "slicer"):
        which = {"cases": cases, "step": "final" if step is None else step}
        where = {"data": data, "references": references}
        _export_volumes(runs, out, format=format_, **which, **where)
        return
    _refuse_without_volumes(format_, cases=cases, step=step, data=data, references=references)
    from segbench.report import Resampling, load, write_export

    results = load(*runs, failures=failures, time_limit=time_limit)
    resampling = Resampling(draws=draws, seed=seed, patient_pattern=patient_pattern)
    for file in write_export(results, out, format=format_, resampling=resampling):
        click.echo(file)


def _export_volumes(runs: tuple[Path, ...], out: Path, **options: Any) -> None:
    from segbench.report.volumes import write_volumes
    from segbench.runs.progress import shown_progress

    with shown_progress() as progress:
        written = write_volumes(runs, out, activity=progress.activity, **options)
    for line in written.left_out:
        click.echo(f"left out: {line}", err=True)
    for file in written.files:
        click.echo(file)


def _refuse_without_volumes(format_: str, **given: Any) -> None:
    """Refuse options that would have no effect: they are about volumes."""
    for name, value in given.items():
        if value not in (None, ()):
            what = Fault(
                f"--{'case' if name == 'cases' else name}",
                "--format nifti or slicer with this option",
                f"--format {format_}",
                "leave it out, or choose another format",
            )
            raise Refusal(str(what))
