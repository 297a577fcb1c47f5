"""`segbench run`: a model, a folder of cases, a run folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segbench.cli.options import (
    EXISTING_FOLDER,
    FILE,
    FOLDER,
    SECONDS,
    adapter_option,
    command_line,
    model_option,
    policy_options,
)

if TYPE_CHECKING:
    from segbench.runs.config import RunConfig
    from segbench.runs.runner import RunSummary


@click.command()
@model_option
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="A folder of .npz cases, searched with all folders inside; or one .npz file.",
)
@click.option("--out", type=FOLDER, help="The run folder, continued if it exists. [runs/<model>]")
@click.option(
    "--references", type=EXISTING_FOLDER, help="A folder with gts, if the cases have none."
)
@adapter_option
@click.option("--name", help="The name in tables. [the adapter's name]")
@click.option(
    "--case", multiple=True, metavar="PATTERN", help="Only cases whose names match; repeatable."
)
@click.option("--limit", type=click.IntRange(1), help="Only this many cases, the first by name.")
@click.option(
    "--jobs", type=click.IntRange(1), default=1, help="Cases at a time, each with its own model."
)
@click.option("--dry-run", is_flag=True, help="Show what would run, and the memory it takes.")
@click.option(
    "--fresh",
    is_flag=True,
    help="Start anew: an existing run folder is moved to OUT.old-1, .old-2, ...",
)
@click.option("--retry-failed", is_flag=True, help="Run failed and invalid cases again.")
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of each model. [processors / jobs]"
)
@click.option(
    "--wait/--no-wait", default=True, help="Wait for cases that another runner has locked."
)
@click.option("--python", type=FILE, help="The interpreter of the adapter.")
@click.option("--in-process", is_flag=True, help="No worker process: for debugging an adapter.")
@click.option(
    "--step-timeout", type=SECONDS, default=900.0, help="Time limit of a step in seconds."
)
@click.option(
    "--predictions",
    type=click.Choice(["all", "final", "none"]),
    default="all",
    help="Which label maps to keep.",
)
@click.option(
    "--boxes",
    type=click.Choice(["given", "none"]),
    default="given",
    help="Give the model the boxes of the cases, or withhold them: no step 0.",
)
@click.option(
    "--exact-sum", is_flag=True, help="Sum NSD in the official order: equal to the last bit."
)
@policy_options
def run(model: str, data: Path, out: Path | None, dry_run: bool, **options: Any) -> None:
    """Let a simulated user refine MODEL's segmentation of every case in DATA.

    \b
    segbench run --model ours --data val/
    segbench run --model boxfill --data val/ --case 'CT_*' --jobs 2

    The same command again continues an interrupted run.
    """
    from segbench.runs import runner
    from segbench.runs.config import RunConfig, default_out
    from segbench.runs.dry_run import dry_run as plan_run
    from segbench.runs.progress import shown_progress

    out = out or default_out(model)
    config = RunConfig(model=model, data=(data,), out=out, command=command_line(), **options)
    if dry_run:
        plan = plan_run(config)
        click.echo("\n".join(plan.lines()))
        sys.exit(1 if plan.would_refuse else 0)
    summary = runner.run(config, shown_progress)
    _print_summary(config, summary)
    sys.exit(0 if summary.all_ok else 1)


def _print_summary(config: RunConfig, summary: RunSummary) -> None:
    from segbench.report import terminal_table

    click.echo(terminal_table([config.out], config.policy))
    for line in _problems(summary):
        click.echo(line, err=True)
    click.echo(_asked_for(summary))
    click.echo(f"run folder: {config.out}")


def _asked_for(summary: RunSummary) -> str:
    """Return how many of the cases that were asked for are ok, and how many the folder has."""
    n_ok = sum(case.status == "ok" for case in summary.results)
    n_done, n_cases = len(summary.run.case_results), summary.run.manifest.data.cases
    return (
        f"asked for {len(summary.asked_for)} of {n_cases} cases: {n_ok} ok; the run folder has "
        f"{n_done}"
    )


def _problems(summary: RunSummary) -> list[str]:
    bad = [case for case in summary.results if case.status != "ok"]
    lines = [f"{case.status}: {case.case}: {first_line(case.reason)}" for case in bad[:10]]
    if len(bad) > len(lines):
        lines.append(f"and {len(bad) - len(lines)} more, see run.log")
    for case in summary.crashed:
        lines.append(f"crashed: {case.case}: a fault of segbench, not done:\n{case.traceback}")
    if summary.left_to_others:
        lines.append(f"{len(summary.left_to_others)} cases are left to another runner")
    return lines


def first_line(reason: str | None) -> str:
    """Return the first line of a reason; run.log has all of them."""
    lines = (reason or "").splitlines()
    return f"{lines[0]} (all of it in run.log)" if len(lines) > 1 else (reason or "")
