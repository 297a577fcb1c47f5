"""`segbench fetch`: a public data set, downloaded and placed as a run wants it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from segbench.cli.confirm import confirm
from segbench.cli.option_types import FOLDER, OneOf
from segbench.cli.params import ADVANCED, HOW, WHAT, WHERE, argument, command, option
from segbench.messages import counted

if TYPE_CHECKING:
    from segbench.data.fetch import Role


@command(examples=["segbench fetch segfm3d --split val --out challenge"])
@argument(
    "name",
    heading=WHAT,
    metavar="DATA",
    type=OneOf(["segfm3d"]),
    help="The data set: segfm3d, the public part of the data of the challenge.",
)
@option(
    "--split",
    heading=WHAT,
    type=OneOf(["val", "coreset"]),
    default="val",
    help="Which part: val (validation images and their references), or coreset (10 % of the "
    "training cases, 16 GB).",
)
@option(
    "--out",
    heading=WHERE,
    type=FOLDER,
    required=True,
    help="The folder for the cases. Files that are there already are not downloaded again, and "
    "none is replaced.",
)
@option(
    "--accept-licence",
    heading=HOW,
    is_flag=True,
    help="Accept the licence of the data; then segbench does not ask.",
)
@option(
    "--revision",
    heading=ADVANCED,
    metavar="COMMIT",
    help="The commit of the repository of the data that is downloaded.",
    show_default="as downloaded before, else the newest",
)
@option(
    "--endpoint",
    heading=ADVANCED,
    metavar="URL",
    help="The address of another server that works like the Hugging Face hub.",
    show_default="HF_ENDPOINT, else the hub",
)
def fetch(
    *,
    name: str,
    split: str,
    out: Path,
    accept_licence: bool,
    revision: str | None,
    endpoint: str | None,
) -> None:
    """Download a public data set, after showing its licence, and place it as a run wants it."""
    from segbench.data import fetch as download
    from segbench.runs.progress import shown_progress

    data = download.DATA_SETS[name]
    click.echo(download.licence_notice(data, split, out))
    with shown_progress() as progress:
        hub = download.repository(data, out, endpoint=endpoint, activity=progress.activity)
        with progress.activity(f"asking for the files of {data.repo}"):
            plan = download.plan_fetch(data, split, hub, out=out, revision=revision)
        click.echo(f"found:   {counted(len(plan.files), 'file')}, {plan.size / 1e9:.1f} GB")
        if not accept_licence:
            confirm(
                "Accept this licence?",
                thing=name,
                not_done="nothing was downloaded",
                flag="--accept-licence",
            )
        folders = download.fetch(plan, hub, out, say=click.echo)
    click.echo(_next_command(folders))


def _next_command(folders: Mapping[Role, Path]) -> str:
    if "cases" in folders:
        return f"segbench run --model boxfill --data {folders['cases']}"
    where = f"--data {folders['images']} --references {folders['references']}"
    return f"segbench run --model boxfill {where} --dry-run"
