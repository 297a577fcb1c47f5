"""The files and the device of a training, and what is refused before it starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import AdapterError

from ..weights import read_progress
from .schedule import Schedule


@dataclass(frozen=True)
class TrainingSetup:
    """The files and the device of a training."""

    data: Path
    out: Path
    init: Path | None = None  # initial weights
    resume: bool = False
    workers: int = 1
    device: str = "cpu"
    licence: str | None = None  # of the weights; default: that of the initial weights
    stop_after: float = math.inf  # minutes; the training is then continued by the same command
    measure_seconds: float = 0.0  # to fit the schedule to the speed of the machine; 0: do not
    overwrite: bool = False  # the output of an earlier trial

    @property
    def state(self) -> Path:
        """The file from which a training is resumed."""
        return self.out.with_suffix(".state.pt")


def check_setup(setup: TrainingSetup) -> None:
    """Raise if the output is not a checkpoint's name or belongs to another training."""
    if setup.out.suffix != ".safetensors" or setup.out.is_dir():
        raise AdapterError(f"{setup.out}: expected the name of a file ending in .safetensors")
    if setup.overwrite:
        for file in (setup.out, setup.state):
            file.unlink(missing_ok=True)
    if setup.state.exists() and not setup.resume:
        raise AdapterError(
            f"{setup.state}: the state of a training exists; continue it with --resume, remove "
            "it, or choose another --out"
        )
    if setup.out.exists() and not setup.state.exists() and not _is_resumable(setup):
        raise AdapterError(
            f"{setup.out}: exists and is not a training that can be continued; remove it or choose "
            "another --out"
        )


def _is_resumable(setup: TrainingSetup) -> bool:
    """Whether a training continues from the weights alone."""
    return setup.resume and bool(read_progress(setup.out))


def check_left_out(data: Path, left_out: Sequence[str]) -> None:
    """Raise if a prefix matches no file: a misspelt one would not be left out."""
    names = [path.name for path in data.glob("*.npz")]
    for prefix in set(left_out) - set(Schedule().left_out):
        if not any(name.startswith(prefix) for name in names):
            raise AdapterError(f"{data}: no file begins with {prefix}: cannot be left out")
