"""`segbench models`: what is installed, and downloads of weights."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segbench.cli.completion import complete_adapter
from segbench.cli.confirm import confirm
from segbench.cli.option_types import FOLDER, SECONDS
from segbench.cli.options import adapter_option, parse_options, python_option
from segbench.cli.params import ADVANCED, HOW, WHAT, WHERE, Group, argument, option

if TYPE_CHECKING:
    from segbench.models.weights import Weights

name_argument = argument(
    "name",
    heading=WHAT,
    shell_complete=complete_adapter,
    help="The adapter: its name, or the path of its file or folder.",
)


@click.group(
    cls=Group,
    invoke_without_command=True,
    examples=[
        "segbench models",
        "segbench models show ours",
        "segbench models check mine.py",
        "segbench models fetch nninteractive",
    ],
)
@option(
    "--folder",
    heading=WHERE,
    type=FOLDER,
    help="The folder in which the weights of all adapters are; written before the command.",
    show_default="~/.local/share/segbench/models",
)
@click.pass_context
def models(ctx: click.Context, folder: Path | None) -> None:
    """List every adapter with its environment and weights."""
    from segbench.models.model_page import models_list
    from segbench.models.weights import default_weights_folder

    ctx.obj = folder or default_weights_folder()
    if ctx.invoked_subcommand is None:
        click.echo(models_list(ctx.obj, width=_columns()))
        click.echo(
            "\nOptions, licences and sources: segbench models show NAME\n"
            f"Folder of the weights: {ctx.obj}"
        )


def _columns() -> int:
    """Return the columns of the terminal, as far as a text is readable in them."""
    return min(max(shutil.get_terminal_size((100, 24)).columns, 60), 100)


@models.command(examples=["segbench models show random_walker", "segbench models show my_model.py"])
@name_argument
@click.pass_obj
def show(folder: Path, /, name: str) -> None:
    """Describe an adapter: its environment, licences, weights and options."""
    from segbench.models.model_page import model_page
    from segbench.models.weights import find_model_entry

    click.echo(model_page(find_model_entry(name), folder, width=_columns()))


@models.command(
    examples=["segbench models fetch sam_med3d --weights alldata"],
)
@name_argument
@option(
    "--weights",
    "which",
    heading=WHAT,
    metavar="NAME",
    help="Which weights are downloaded, if the adapter has several.",
    show_default="the first that can be downloaded",
)
@option(
    "--accept-licence",
    heading=HOW,
    is_flag=True,
    help="Accept the licence of the weights; then segbench does not ask.",
)
@option(
    "--revision",
    heading=ADVANCED,
    metavar="COMMIT",
    help="The commit of the weights' repository that is downloaded.",
    show_default="as declared or downloaded before, else the newest",
)
@option(
    "--sha256",
    heading=ADVANCED,
    multiple=True,
    metavar="FILE=HEX",
    callback=parse_options,
    help="The sha256 that a downloaded file must have; repeatable, each file once.",
)
@option(
    "--endpoint",
    heading=ADVANCED,
    metavar="URL",
    help="The address of another server that works like the Hugging Face hub.",
    show_default="HF_ENDPOINT, else the hub",
)
@click.pass_obj
def fetch(
    folder: Path, /, name: str, which: str | None, accept_licence: bool, **given: Any
) -> None:
    """Download the weights of an adapter, after showing their licence."""
    from segbench.models import download
    from segbench.models.weights import find_model_entry
    from segbench.runs.progress import shown_progress

    found = find_model_entry(name)
    weights = download.select_weights(found, which)
    download.require_repository(found, weights, folder)
    click.echo(download.licence_notice(found, weights, folder))
    if not accept_licence and not weights.bundled:
        confirm(
            "Accept this licence?",
            thing=name,
            not_done="nothing was downloaded",
            flag="--accept-licence",
        )
    with shown_progress() as progress:
        place = download.fetch(
            found,
            weights,
            folder,
            pins=download.Pins(given["revision"], given["sha256"]),
            endpoint=given["endpoint"],
            say=click.echo,
            activity=progress.activity,
        )
    click.echo(_run_command(name, weights, place))


def _run_command(name: str, weights: Weights, place: Path) -> str:
    """Return the command that uses weights which are in place."""
    from segbench.errors import AdapterError
    from segbench.models.resolve import resolve_model

    try:
        is_taken = resolve_model(name)[1].get(weights.option) == str(place)
    except AdapterError:  # they are not where a run looks for them
        is_taken = False
    given = "" if is_taken or weights.bundled else f" --option {weights.option}={place}"
    return f"segbench run --model {name} --data DATA{given}"


@models.command(
    examples=[
        "segbench models check mine.py",
        "segbench models check mine.py --option weights=best.pth",
    ],
)
@name_argument
@adapter_option
@python_option
@option(
    "--step-timeout",
    heading=HOW,
    type=SECONDS,
    metavar="SECONDS",
    default=120,
    help="How long the model may take to load, to receive an image, and for each step; then it is "
    "stopped and the rule is broken.",
)
@click.pass_obj
def check(
    folder: Path,
    /,
    name: str,
    option: dict[str, str],
    python: Path | None,
    step_timeout: float,
) -> None:
    """Try an adapter on two tiny cases, and say where it breaks the contract.

    Exit status: 0 nothing failed, 1 a rule is broken.
    """
    from segbench.models.check_cases import check_cases
    from segbench.models.contract_check import check_contract
    from segbench.models.environments import find_interpreter
    from segbench.models.resolve import resolve_model
    from segbench.models.supervisor import WorkerModel
    from segbench.models.worker_process import WorkerConfig
    from segbench.runs.progress import shown_progress

    counts: Counter[str] = Counter()
    with shown_progress() as progress:
        file, options = resolve_model(name, option, folder=folder, say=progress.note)
        interpreter = find_interpreter(file, python, activity=progress.activity)
        config = WorkerConfig(interpreter, step_timeout)
        findings = check_contract(
            lambda: WorkerModel(file, options, config), check_cases(), progress.activity
        )
        for finding in findings:
            counts[finding.status] += 1
            click.echo(finding.line)
    plural = "" if counts["warning"] == 1 else "s"
    failed = counts["failed"] or "nothing"
    click.echo(f"{name}: {failed} failed, {counts['warning']} warning{plural}")
    sys.exit(1 if counts["failed"] else 0)
