"""`segbench rescore`: further metrics of finished runs, without their models."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from segbench.cli.option_types import EXISTING_FOLDER, WholeNumber
from segbench.cli.options import runs_argument
from segbench.cli.params import HOW, WHAT, WHERE, command, option
from segbench.messages import counted

SHOWN = 20  # reasons


@command(
    examples=[
        "segbench rescore runs --metric nsd@1mm --metric nsd@3mm",
        "segbench rescore runs/ours --metric hd95 --data /new/place/val",
        "segbench rescore runs --metric metrics.py:boundary_iou --jobs 4",
    ]
)
@runs_argument
@option(
    "--metric",
    heading=WHAT,
    multiple=True,
    required=True,
    metavar="NAME[@VALUE]",
    help="A metric: nsd, nsd-ungated, nsd-voxels, nsd-eroded or nsd-box, each with a tolerance "
    "(nsd@1mm; 2 mm if left out), hd95, assd, volume-error, lesion-f1, obeyed, or a function of "
    "your own, path/to/file.py:function. Repeatable.",
)
@option(
    "--data",
    heading=WHERE,
    type=EXISTING_FOLDER,
    help="The folder where the cases of the runs are now; each must be the same file as then.",
    show_default="as in run.json",
)
@option(
    "--references",
    heading=WHERE,
    type=EXISTING_FOLDER,
    help="The folder where the reference label maps (gts) are now, if the cases have none.",
    show_default="as in run.json",
)
@option(
    "--jobs",
    heading=HOW,
    type=WholeNumber(1),
    default=1,
    help="How many cases are worked on at the same time, each in a process with one thread.",
)
def rescore(
    *,
    runs: tuple[Path, ...],
    metric: tuple[str, ...],
    data: Path | None,
    references: Path | None,
    jobs: int,
) -> None:
    """Compute further metrics of runs from their predictions, without their models.

    They are stored in the run folders. An interrupted call goes on where it was. Exit status 1 if
    a value cannot be computed.
    """
    from segbench.further_metrics.metric import parse_metrics
    from segbench.report.compared_runs import read_any_runs
    from segbench.runs.progress_count import shown_count
    from segbench.runs.rescore import rescore_runs

    where = {"data": data, "references": references}
    metrics = parse_metrics(metric)
    found = list(read_any_runs(runs).values())
    with shown_count("rescoring") as on_case:
        done = rescore_runs(found, metrics, **where, jobs=jobs, on_case=on_case)
    for reason in done.refused[:SHOWN]:
        click.echo(reason, err=True)
    if len(done.refused) > SHOWN:
        click.echo(f"and {len(done.refused) - SHOWN} more", err=True)
    click.echo(
        f"{counted(done.n_runs, 'run')}, {counted(done.n_cases, 'case')}: "
        f"{counted(done.n_computed, 'value')} computed, {len(done.refused)} refused"
    )
    sys.exit(1 if done.refused else 0)
