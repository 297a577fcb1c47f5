"""`segbench predict`: any adapter as a challenge submission."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import click

from segbench.cli.option_types import EXISTING_FOLDER, FOLDER
from segbench.cli.options import (
    adapter_option,
    model_option,
    python_option,
    step_timeout_option,
)
from segbench.cli.params import ADVANCED, WHAT, WHERE, command, option
from segbench.errors import CaseError
from segbench.messages import counted


@command(examples=["segbench predict --model ours --inputs inputs/ --outputs outputs/"])
@model_option
@option(
    "--inputs",
    heading=WHAT,
    type=EXISTING_FOLDER,
    required=True,
    help="The folder of the input files CASE.npz: an image, and all boxes and clicks so far.",
)
@adapter_option
@option(
    "--outputs",
    heading=WHERE,
    type=FOLDER,
    required=True,
    help="The folder for the output files CASE.npz: each has the label map, segs.",
)
@step_timeout_option
@python_option
@option(
    "--persistent",
    heading=ADVANCED,
    is_flag=True,
    help="Keep the model loaded: read the name of an input file from each line of stdin, and "
    "process it, until stdin is closed.",
)
def predict(outputs: Path, persistent: bool, **given: Any) -> None:
    """Do one step of the challenge's contract, with any adapter.

    This is what the predict.sh of a submission must do.
    """
    from segbench.runs import submission
    from segbench.runs.progress import shown_progress

    folder = given.pop("inputs")
    _refuse_other_files(folder, outputs)
    with shown_progress() as progress:
        given |= {"outputs": outputs, "progress": progress}
        if persistent:
            inputs = submission.inputs_named(folder, sys.stdin)
            for _ in submission.predict(inputs=inputs, **given):
                click.echo("segbench: done")
        else:
            files = list(submission.predict(inputs=submission.inputs_in(folder), **given))
            click.echo(f"{counted(len(files), 'prediction')} in {outputs}")


def _refuse_other_files(inputs: Path, outputs: Path) -> None:
    """Refuse outputs that would replace anything but earlier outputs."""
    if outputs.exists() and outputs.samefile(inputs):
        raise CaseError(
            f"{outputs}: expected another folder than --inputs, found the same; "
            "choose another --outputs"
        )
    for file in inputs.glob("*.npz"):
        if (outputs / file.name).exists() and not _is_output(outputs / file.name):
            raise CaseError(
                f"{outputs / file.name}: expected nothing or an earlier output (segs alone), found "
                "another file; choose another --outputs, or move this file; nothing was written"
            )


def _is_output(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist() == ["segs.npy"]
    except (OSError, zipfile.BadZipFile):
        return False
