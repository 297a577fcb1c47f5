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
    command_line,
    parse_options,
    policy_options,
)
from segbench.core import Policy

if TYPE_CHECKING:
    from segbench.runs.runner import RunConfig, RunSummary


@click.command()
@click.option("--model", required=True, help="An adapter's name, or a path to its file or folder.")
@click.option("--data", type=EXISTING_FOLDER, required=True, help="A folder of .npz cases.")
@click.option("--out", type=FOLDER, help="The run folder, continued if it exists. [runs/<model>]")
@click.option("--references", type=EXISTING_FOLDER, help="Where gts lies, if not in the cases.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_options,
    help="An option of the adapter; repeatable.",
)
@click.option("--name", help="What tables call this run. [the adapter's name]")
@click.option("--case", "patterns", multiple=True, metavar="PATTERN", help="Only such cases.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many cases.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Cases at a time, a model each.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and how much memory it takes.")
@click.option("--retry-failed", is_flag=True, help="Do cases again that failed or were invalid.")
@click.option("--threads", type=click.IntRange(1), help="Of a worker. [processors / jobs]")
@click.option("--wait/--no-wait", default=True, help="Wait for cases that another runner has.")
@click.option("--python", type=FILE, help="An interpreter.")
@click.option("--in-process", is_flag=True, help="No worker process: for debugging an adapter.")
@click.option("--step-timeout", type=SECONDS, default=900.0, help="Seconds a step may take.")
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
    help="Draw the boxes of the cases, or withhold them: no step 0.",
)
@click.option("--exact-sum", is_flag=True, help="NSD to the official last bit, for audits.")
@policy_options
def run(model: str, out: Path | None, dry_run: bool, **given: Any) -> None:
    """Let a simulated user refine MODEL's segmentation of every case in DATA.

    \b
    segbench run --model ours --data val/
    segbench run --model boxfill --data val/ --case 'CT_*' --jobs 2

    The same command again continues a run that was broken off.
    """
    from segbench.models.registry import resolve_model
    from segbench.runs import runner

    policy = Policy(given.pop("failures"), given.pop("time_limit"))
    out = out or runner.default_out(model)
    resolve_model(model)  # also in a dry run
    request = runner.RunConfig(model=model, out=out, policy=policy, command=command_line(), **given)
    if dry_run:
        click.echo(_forecast(runner.look(request)))
    else:
        sys.exit(0 if _run(request).clean else 1)


def _run(request: RunConfig) -> RunSummary:
    from segbench.report import terminal_table
    from segbench.runs import runner
    from segbench.runs.progress import progress

    todo = runner.look(request)
    total = len(todo.cases) + len(todo.done)
    with progress(request.name or request.model, total, len(todo.done)) as watch:
        outcome = runner.run(request, watch, todo=todo)
    click.echo(terminal_table([request.out], request.policy))
    for line in _notes(outcome):
        click.echo(line, err=True)
    click.echo(f"run folder: {request.out}")
    return outcome


def _notes(outcome: RunSummary) -> list[str]:
    bad = [case for case in outcome.run.cases if case.status != "ok"]
    lines = [f"{case.status}: {case.case}: {(case.reason or '')[:1000]}" for case in bad[:10]]
    if len(bad) > len(lines):
        lines.append(f"and {len(bad) - len(lines)} more, see run.log")
    for case in outcome.broken:
        lines.append(f"broken: {case.case}: a fault of segbench, not done:\n{case.traceback}")
    if outcome.elsewhere:
        lines.append(f"{len(outcome.elsewhere)} cases are left to another runner")
    return lines


def _forecast(todo: Any) -> str:
    lines = [f"would run {case.name}" for case in todo.cases]
    lines += [f"done      {name}" for name in todo.done]
    lines.append(f"{len(todo.cases)} to run, {len(todo.done)} done")
    lines.append(
        f"arrays of the largest case: {todo.largest_mb:.0f} MB a job; the model comes on top"
    )
    return "\n".join(lines)
