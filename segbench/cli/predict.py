"""`segbench predict`: any adapter as a challenge submission."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from segbench.cli.options import (
    EXISTING_FOLDER,
    FILE,
    FOLDER,
    SECONDS,
    adapter_option,
    model_option,
)


@click.command()
@model_option
@click.option("--inputs", type=EXISTING_FOLDER, required=True, help="A folder of CASE.npz files.")
@click.option(
    "--outputs", type=FOLDER, required=True, help="The folder for CASE.npz files with segs."
)
@adapter_option
@click.option("--python", type=FILE, help="The interpreter of the adapter.")
@click.option(
    "--step-timeout", type=SECONDS, default=900.0, help="Time limit of a step in seconds."
)
@click.option("--persistent", is_flag=True, help="Process the file that each line on stdin names.")
def predict(outputs: Path, persistent: bool, **given: Any) -> None:
    """Do one step of the challenge's contract, as a submission's predict.sh must.

    \b
    segbench predict --model ours --inputs /workspace/inputs --outputs /workspace/outputs
    """
    from segbench.runs import submission

    folder = given.pop("inputs")
    if persistent:
        inputs = submission.inputs_named(folder, sys.stdin)
        for _ in submission.predict(inputs=inputs, outputs=outputs, **given):
            click.echo("segbench: done")
    else:
        files = list(
            submission.predict(inputs=submission.inputs_in(folder), outputs=outputs, **given)
        )
        click.echo(f"{len(files)} predictions in {outputs}")
