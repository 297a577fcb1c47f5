"""`segbench run`: a model, a folder of cases, a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segbench.cli.option_types import EXISTING_FOLDER, EXISTING_PATH, FOLDER, OneOf, WholeNumber
from segbench.cli.options import (
    adapter_option,
    command_line,
    model_option,
    policy_options,
    python_option,
    step_timeout_option,
)
from segbench.cli.params import ADVANCED, HOW, WHAT, WHERE, command, option

if TYPE_CHECKING:
    from segbench.runs.config import RunConfig
    from segbench.runs.runner import RunSummary


@command(
    examples=[
        "segbench run --model ours --data val/",
        "segbench run --model boxfill --data val/ --case 'CT_*' --jobs 2",
        "segbench run --model mine.py --data val/ --option device=cuda:0",
        "segbench run --model mine.py --data imgs/ --references gts/",
    ]
)
@model_option
@option(
    "--data",
    heading=WHAT,
    type=EXISTING_PATH,
    required=True,
    help="The cases: a folder of .npz files in the format of the challenge, searched with all "
    "folders inside; or one such file.",
)
@option(
    "--references",
    heading=WHAT,
    type=EXISTING_FOLDER,
    help="A folder of .npz files with the reference label maps (gts), one per case and of the same "
    "name, if the files of --data have none.",
)
@adapter_option
@option(
    "--case",
    heading=WHAT,
    multiple=True,
    metavar="PATTERN",
    help="Run only the cases whose names match this pattern, such as 'CT_*'; repeatable: one match "
    "is enough.",
    show_default="all cases",
)
@option(
    "--limit",
    heading=WHAT,
    type=WholeNumber(1),
    help="Run only this many cases, the first ones by name.",
    show_default="all cases",
)
@option(
    "--out",
    heading=WHERE,
    type=FOLDER,
    help="The run folder, for the results. If it has a part of this run, the run is continued.",
    show_default="runs/<model>",
)
@option(
    "--fresh",
    heading=WHERE,
    is_flag=True,
    help="Start anew instead of continuing: a run folder that exists is first moved to OUT.old-1, "
    "OUT.old-2 and so on.",
)
@option(
    "--name",
    heading=WHERE,
    help="The name of this run in tables and reports.",
    show_default="the adapter's name",
)
@option(
    "--predictions",
    heading=WHERE,
    type=OneOf(["all", "final", "none"]),
    default="all",
    help="Which label maps of the model are kept in the run folder: of all steps, of the final "
    "step, or none. Verifying a run needs them.",
)
@option(
    "--boxes",
    heading=HOW,
    type=OneOf(["given", "none"]),
    default="given",
    help="given: a case that has boxes starts with them (step 0). none: boxes are withheld, and "
    "all cases start with clicks.",
)
@policy_options
@step_timeout_option
@option(
    "--jobs",
    heading=HOW,
    type=WholeNumber(1),
    default=1,
    help="How many cases run at the same time; each job loads its own model.",
)
@option(
    "--dry-run",
    heading=HOW,
    is_flag=True,
    help="Only check the cases and say which would run, which would be refused, which are done, "
    "and the memory that the largest needs. Loads no model and writes nothing.",
)
@option(
    "--retry-failed",
    heading=HOW,
    is_flag=True,
    help="Run the failed and invalid cases of an earlier call again; otherwise they count as done.",
)
@option(
    "--threads",
    heading=ADVANCED,
    type=WholeNumber(1),
    help="How many processor threads each model may use.",
    show_default="processors / jobs",
)
@option(
    "--wait/--no-wait",
    heading=ADVANCED,
    default=True,
    help="At the end, wait for cases that another segbench is running into the same folder, or "
    "leave them to it.",
)
@python_option
@option(
    "--in-process",
    heading=ADVANCED,
    is_flag=True,
    help="Run the model in the process of segbench, not in a worker process, one case at a time: "
    "for debugging an adapter. Nothing can stop it then.",
)
@option(
    "--exact-sum",
    heading=ADVANCED,
    is_flag=True,
    help="Sum NSD in the order of the official script, so that it is equal to the last bit. "
    "Otherwise it is equal to within 1e-12.",
)
def run(model: str, data: Path, out: Path | None, dry_run: bool, **options: Any) -> None:
    """Let a simulated user refine a model's result, case by case.

    The model gets the boxes of a case, then five rounds of clicks on its largest errors, and is
    scored after each. The same command again continues an interrupted run.
    """
    from segbench.runs import runner
    from segbench.runs.config import RunConfig, default_out
    from segbench.runs.dry_run import dry_run as plan_run
    from segbench.runs.progress import shown_progress

    out = out or default_out(model)
    config = RunConfig(model=model, data=(data,), out=out, command=command_line(), **options)
    if dry_run:
        with shown_progress() as progress:
            plan = plan_run(config, progress)
        click.echo("\n".join(plan.lines()))
        sys.exit(1 if plan.would_refuse else 0)
    summary = runner.run(config, shown_progress)
    _print_summary(config, summary)
    sys.exit(0 if summary.all_ok else 1)


def _print_summary(config: RunConfig, summary: RunSummary) -> None:
    from segbench.cli.run_end import asked_for, problems
    from segbench.report import terminal_table

    click.echo(terminal_table([config.out], config.policy))
    for line in problems(config, summary):
        click.echo(line, err=True)
    counts = asked_for(summary)
    if counts is not None:
        click.echo(counts)
    click.echo(f"run folder: {config.out}")
