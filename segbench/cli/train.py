"""`segbench train`: the training that an adapter brings."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    options_metavar="",
)
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF NAME]...")
def train(name: str, arguments: tuple[str, ...]) -> None:
    """Train the adapter NAME with its own training program.

    \b
    segbench train ours --help
    segbench train ours --data train/ --minutes 120 --out mine.safetensors
    """
    from segbench.models import training

    training.train(name, arguments)
