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
    from segbench.runs.pending_cases import PendingCases
    from segbench.runs.runner import RunSummary


@click.command()
@model_option
@click.option("--data", type=EXISTING_FOLDER, required=True, help="A folder of .npz cases.")
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
def run(model: str, out: Path | None, dry_run: bool, **options: Any) -> None:
    """Let a simulated user refine MODEL's segmentation of every case in DATA.

    \b
    segbench run --model ours --data val/
    segbench run --model boxfill --data val/ --case 'CT_*' --jobs 2

    The same command again continues an interrupted run.
    """
    from segbench.models.resolve import resolve_model
    from segbench.runs import runner
    from segbench.runs.config import RunConfig, default_out
    from segbench.runs.pending_cases import find_pending
    from segbench.runs.progress import progress

    out = out or default_out(model)
    config = RunConfig(model=model, out=out, command=command_line(), **options)
    if dry_run:
        resolve_model(model, config.option)  # what is unknown is refused here, too
        click.echo(_plan(find_pending(config)))
        return
    summary = runner.run(config, progress)
    _print_summary(config, summary)
    sys.exit(0 if summary.all_ok else 1)


def _print_summary(config: RunConfig, summary: RunSummary) -> None:
    from segbench.report import terminal_table

    click.echo(terminal_table([config.out], config.policy))
    for line in _problems(summary):
        click.echo(line, err=True)
    click.echo(f"run folder: {config.out}")


def _problems(summary: RunSummary) -> list[str]:
    bad = [case for case in summary.run.case_results if case.status != "ok"]
    lines = [f"{case.status}: {case.case}: {(case.reason or '')[:1000]}" for case in bad[:10]]
    if len(bad) > len(lines):
        lines.append(f"and {len(bad) - len(lines)} more, see run.log")
    for case in summary.crashed:
        lines.append(f"crashed: {case.case}: a fault of segbench, not done:\n{case.traceback}")
    if summary.left_to_others:
        lines.append(f"{len(summary.left_to_others)} cases are left to another runner")
    return lines


def _plan(cases: PendingCases) -> str:
    from segbench.runs.pending_cases import largest_case_mb

    lines = [f"would run {case.name}" for case in cases.pending]
    lines += [f"done      {name}" for name in cases.done]
    lines.append(f"{len(cases.pending)} to run, {len(cases.done)} done")
    lines.append(
        f"arrays of the largest case: {largest_case_mb(cases.pending):.0f} MB per job, "
        "without the model"
    )
    return "\n".join(lines)
