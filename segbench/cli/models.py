"""`segbench models`: what is installed, and downloads of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from segbench.cli.completion import complete_adapter
from segbench.cli.confirm import confirm
from segbench.cli.option_types import FOLDER
from segbench.cli.options import parse_options
from segbench.cli.params import ADVANCED, HOW, WHAT, WHERE, Group, argument, option

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
    """List every adapter with its environment, licences and weights."""
    from segbench.models.weights import default_weights_folder, models_table

    ctx.obj = folder or default_weights_folder()
    if ctx.invoked_subcommand is None:
        click.echo(models_table(ctx.obj))


@models.command(examples=["segbench models show random_walker", "segbench models show my_model.py"])
@name_argument
@click.pass_obj
def show(folder: Path, /, name: str) -> None:
    """Describe an adapter: its environment, licences, weights and options."""
    from segbench.models.model_page import model_page
    from segbench.models.weights import find_model_entry

    click.echo(model_page(find_model_entry(name), folder))


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

    found = find_model_entry(name)
    weights = download.select_weights(found, which)
    click.echo(download.licence_notice(found, weights, folder))
    if not accept_licence and not weights.bundled:
        confirm(
            "Accept this licence?",
            thing=name,
            not_done="nothing was downloaded",
            flag="--accept-licence",
        )
    pins = download.Pins(given["revision"], given["sha256"])
    place = download.fetch(
        found, weights, folder, pins=pins, endpoint=given["endpoint"], say=click.echo
    )
    click.echo(f"segbench run --model {name} --option {weights.option}={place}")
