"""Command line: parse, call one function, print. No logic lives here.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segbench.core import FAILURE_POLICIES, Policy
from segbench.errors import SegbenchError

if TYPE_CHECKING:
    from segbench.runner import Outcome, Request

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


class Seconds(click.FloatRange):
    """A positive number of seconds; "nan" is none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number."""
        seconds = super().convert(value, param, ctx)
        return self.fail(f"{value!r} is not a number") if math.isnan(seconds) else seconds


SECONDS = Seconds(0, 1e6, min_open=True)


class Group(click.Group):
    """Turns an expected error into one line on stderr and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (SegbenchError, OSError) as error:
            click.echo(f"segbench: {error}", err=True)
            ctx.exit(2)


@click.group(
    cls=Group,
    context_settings={
        "auto_envvar_prefix": "SEGBENCH",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@click.version_option(package_name="segbench")
def cli() -> None:
    """Replay the interactive 3D segmentation protocol against any model.

    Every option can be set by a variable: SEGBENCH_RUN_JOBS=2 is --jobs 2 of run. Exit status:
    0 done, 1 some case failed or was invalid, 2 the request is bad.
    """


def policy_options(command: Any) -> Any:
    """Add the options that turn raw facts into scores."""
    failures = click.option(
        "--failures",
        type=click.Choice(FAILURE_POLICIES),
        default="zero",
        help="A failed step scores 0, or what the last answer scored (the official number).",
    )
    limit = click.option(
        "--time-limit",
        type=SECONDS,
        metavar="SECONDS",
        help="Score a case 0 if it took more than SECONDS per label (the paper: 90).",
    )
    return failures(limit(command))


def parse_options(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Turn key=value pairs into a dictionary."""
    wrong = [pair for pair in given if "=" not in pair]
    if wrong:
        raise click.BadParameter(f"expected key=value, found {wrong[0]!r}")
    return dict(pair.split("=", 1) for pair in given)


@cli.command()
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
    from segbench import runner
    from segbench.adapter import resolve

    policy = Policy(given.pop("failures"), given.pop("time_limit"))
    out = out or runner.default_out(model)
    resolve(model)  # also in a dry run
    request = runner.Request(model=model, out=out, policy=policy, command=_command(), **given)
    if dry_run:
        click.echo(_forecast(runner.look(request)))
    else:
        sys.exit(0 if _run(request).clean else 1)


def _command() -> str:
    return shlex.join(["segbench", *sys.argv[1:]])


def _run(request: Request) -> Outcome:
    from segbench import runner
    from segbench.progress import progress
    from segbench.report import terminal_table

    todo = runner.look(request)
    total = len(todo.cases) + len(todo.done)
    with progress(request.name or request.model, total, len(todo.done)) as watch:
        outcome = runner.run(request, watch, todo=todo)
    click.echo(terminal_table([request.out], request.policy))
    for line in _notes(outcome):
        click.echo(line, err=True)
    click.echo(f"run folder: {request.out}")
    return outcome


def _notes(outcome: Outcome) -> list[str]:
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


@cli.command()
@click.argument("run_folder", type=EXISTING_FOLDER, metavar="RUN")
@click.option("--data", type=EXISTING_FOLDER, help="Where the cases are now. [where they were]")
@click.option("--references", type=EXISTING_FOLDER, help="Where gts lies, if not in the cases.")
def score(run_folder: Path, data: Path | None, references: Path | None) -> None:
    """Compute all clicks and scores of RUN again, without its model, and compare.

    \b
    segbench score runs/ours

    Exit status 1 if anything differs, floats to the last bit, or cannot be checked.
    """
    from segbench.rescore import rescore

    found = rescore(run_folder, data, references)
    for check in found.different[:20]:
        click.echo(f"{check.case} {check.what}: stored {check.stored}, now {check.now}", err=True)
    if found.without_predictions:
        unchecked = ", ".join(found.without_predictions[:5])
        click.echo(
            f"no predictions kept of {len(found.without_predictions)} cases: {unchecked}", err=True
        )
    click.echo(f"{len(found.checks)} facts compared, {len(found.different)} different")
    sys.exit(1 if found.different or found.without_predictions else 0)


@cli.command()
@click.argument("runs", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option("--out", type=FOLDER, default=Path("reports/latest"), help="Where the report goes.")
@click.option(
    "--published",
    type=click.Choice(["table3", "table4", "table5"]),
    multiple=True,
    help="Set the paper's rows beside; repeatable.",
)
@policy_options
def report(
    runs: tuple[Path, ...],
    out: Path,
    published: tuple[str, ...],
    failures: str,
    time_limit: float | None,
) -> None:
    """Write the tables of one or more RUNS as Markdown, CSV, LaTeX and HTML.

    \b
    segbench report runs/*
    segbench report runs/ours runs/ellipsoid --published table3 --out reports/mine
    """
    from segbench.report import terminal_table, write_report

    policy = Policy(failures, time_limit)
    write_report(runs, out, published=published, policy=policy, command=_command())
    click.echo(terminal_table(runs, policy))
    click.echo(f"report: {out / 'index.html'}")


@cli.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF NAME]...")
def train(name: str, arguments: tuple[str, ...]) -> None:
    """Train the adapter NAME by its own program.

    \b
    segbench train ours --help
    segbench train ours --data train/ --minutes 120 --out mine.safetensors
    """
    from segbench import training

    training.train(name, arguments)


@cli.command()
@click.option("--model", required=True, help="An adapter's name, or a path to its file or folder.")
@click.option("--inputs", type=EXISTING_FOLDER, required=True, help="Holds CASE.npz files.")
@click.option("--outputs", type=FOLDER, required=True, help="Gets CASE.npz files with segs.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    callback=parse_options,
    help="An option of the adapter; repeatable.",
)
@click.option("--python", type=FILE, help="An interpreter.")
@click.option("--step-timeout", type=SECONDS, default=900.0, help="Seconds a step may take.")
@click.option("--persistent", is_flag=True, help="Answer each file named by a line on stdin.")
def predict(outputs: Path, persistent: bool, **given: Any) -> None:
    """Answer one step of the challenge's contract: what a submission's predict.sh has to do.

    \b
    segbench predict --model ours --inputs /workspace/inputs --outputs /workspace/outputs
    """
    from segbench import predict as ends

    folder = given.pop("inputs")
    if persistent:
        inputs = ends.inputs_named(folder, sys.stdin)
        for _ in ends.predict(inputs=inputs, outputs=outputs, **given):
            click.echo("segbench: done")
    else:
        files = list(ends.predict(inputs=ends.inputs_in(folder), outputs=outputs, **given))
        click.echo(f"{len(files)} answers in {outputs}")


@cli.group(invoke_without_command=True)
@click.option("--folder", type=FOLDER, help="Where weights go. [~/.local/share/segbench/models]")
@click.pass_context
def models(ctx: click.Context, folder: Path | None) -> None:
    """List every adapter: its environment, its licence, its weights.

    \b
    segbench models
    segbench models fetch nninteractive
    """
    from segbench.models import default_folder, listing

    ctx.obj = folder or default_folder()
    if ctx.invoked_subcommand is None:
        click.echo(listing(ctx.obj))


@models.command()
@click.argument("name")
@click.option("--weights", "which", metavar="WEIGHTS", help="Which, if there are several.")
@click.option("--accept-licence", is_flag=True, help="Do not ask.")
@click.option("--revision", help="The commit it must be.")
@click.option(
    "--sha256",
    multiple=True,
    metavar="FILE=HEX",
    callback=parse_options,
    help="What a file must be; repeatable.",
)
@click.option("--endpoint", metavar="URL", help="Another server of the hub's protocol.")
@click.pass_obj
def fetch(
    folder: Path, /, name: str, which: str | None, accept_licence: bool, **given: Any
) -> None:
    """Download the weights of the adapter NAME, after showing their licence.

    \b
    segbench models fetch sam_med3d --weights alldata
    """
    from segbench import fetching
    from segbench.models import model

    found = model(name)
    weights = fetching.chosen(found, which)
    click.echo(fetching.notice(found, weights, folder))
    if not accept_licence and not weights.bundled:
        click.confirm("Accept this licence?", abort=True)
    pins = fetching.Pins(given["revision"], given["sha256"])
    place = fetching.fetch(
        found, weights, folder, pins=pins, endpoint=given["endpoint"], say=click.echo
    )
    click.echo(f"segbench run --model {name} --option {weights.option}={place}")


@cli.command()
@click.argument("folder", type=FOLDER)
@click.option("--cases", type=click.IntRange(1), default=10, help="How many.")
@click.option("--seed", type=int, default=0, help="The same seed makes the same bytes.")
def phantoms(folder: Path, cases: int, seed: int) -> None:
    """Make small generated cases of five modalities in FOLDER, to try things on.

    \b
    segbench phantoms val/ --cases 10 --seed 0
    """
    from segbench.phantoms import make_phantoms

    files = make_phantoms(folder, cases=cases, seed=seed)
    click.echo(f"{len(files)} phantoms in {folder}")
