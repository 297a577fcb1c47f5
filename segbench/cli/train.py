"""`segbench train`: the training that an adapter brings."""

from __future__ import annotations

import click

from segbench.cli.completion import complete_adapter
from segbench.cli.params import HOW, WHAT, argument, command


@command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
    examples=[
        "segbench train ours --help",
        "segbench train ours --data train/ --minutes 120 --out mine.safetensors",
    ],
)
@argument(
    "name",
    heading=WHAT,
    shell_complete=complete_adapter,
    help="The adapter: its name, or a path. It must have a training program.",
)
@argument(
    "arguments",
    heading=HOW,
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[OPTIONS OF NAME]...",
    help="The options of this training program; NAME --help explains them.",
)
def train(name: str, arguments: tuple[str, ...]) -> None:
    """Train an adapter with its own training program."""
    from segbench.models import training

    training.train(name, arguments)
