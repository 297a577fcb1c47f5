"""`segbench models`: what is installed, and downloads of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from segbench.cli.options import FOLDER, parse_options


@click.group(invoke_without_command=True)
@click.option(
    "--folder", type=FOLDER, help="The folder of the weights. [~/.local/share/segbench/models]"
)
@click.pass_context
def models(ctx: click.Context, folder: Path | None) -> None:
    """List every adapter with its environment, licences and weights.

    \b
    segbench models
    segbench models show ours
    segbench models fetch nninteractive
    """
    from segbench.models.weights import default_weights_folder, models_table

    ctx.obj = folder or default_weights_folder()
    if ctx.invoked_subcommand is None:
        click.echo(models_table(ctx.obj))


@models.command()
@click.argument("name")
@click.pass_obj
def show(folder: Path, /, name: str) -> None:
    """Describe the adapter NAME: its environment, licences, weights and options.

    \b
    segbench models show random_walker
    segbench models show my_model.py
    """
    from segbench.models.model_page import model_page
    from segbench.models.weights import find_model_entry

    click.echo(model_page(find_model_entry(name), folder))


@models.command()
@click.argument("name")
@click.option("--weights", "which", metavar="WEIGHTS", help="Which set, if there are several.")
@click.option("--accept-licence", is_flag=True, help="Do not ask for confirmation.")
@click.option("--revision", help="The expected commit.")
@click.option(
    "--sha256",
    multiple=True,
    metavar="FILE=HEX",
    callback=parse_options,
    help="The expected checksum of a file; repeatable.",
)
@click.option("--endpoint", metavar="URL", help="Another server with the hub's protocol.")
@click.pass_obj
def fetch(
    folder: Path, /, name: str, which: str | None, accept_licence: bool, **given: Any
) -> None:
    """Download the weights of the adapter NAME, after showing their licence.

    \b
    segbench models fetch sam_med3d --weights alldata
    """
    from segbench.models import download
    from segbench.models.weights import find_model_entry

    found = find_model_entry(name)
    weights = download.select_weights(found, which)
    click.echo(download.licence_notice(found, weights, folder))
    if not accept_licence and not weights.bundled:
        click.confirm("Accept this licence?", abort=True)
    pins = download.Pins(given["revision"], given["sha256"])
    place = download.fetch(
        found, weights, folder, pins=pins, endpoint=given["endpoint"], say=click.echo
    )
    click.echo(f"segbench run --model {name} --option {weights.option}={place}")
