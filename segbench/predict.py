"""Any adapter as a challenge submission: inputs in, outputs out, nothing kept between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from segbench.adapter import resolve
from segbench.environments import interpreter_of
from segbench.errors import AdapterError, CaseError
from segbench.exchange import read_input, write_answer
from segbench.session import checked
from segbench.supervisor import Supervisor
from segbench.threads import of_each_model
from segbench.workplace import Environment


def predict(
    model: str,
    inputs: Path,
    outputs: Path,
    *,
    options: Mapping[str, str] | None = None,
    python: Path | None = None,
    step_timeout: float = 900.0,
) -> list[Path]:
    """Answer every input file of the challenge's contract with one step of the adapter.

    Parameters
    ----------
    model : str
        An adapter's name, or a path to its file or folder.
    inputs, outputs : Path
        ``inputs/CASE.npz`` holds the image and all that was said; ``outputs/CASE.npz`` gets
        ``segs``.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    CaseError
        If there is no input, or one cannot be read.
    AdapterError
        If the adapter cannot be loaded or fails; nothing is written for that input.
    """
    files = sorted(inputs.glob("*.npz"))
    if not files:
        raise CaseError(f"{inputs}: expected .npz inputs, found none")
    file, implied = resolve(model)
    share = of_each_model(jobs=1)
    environment = Environment(interpreter_of(file, python), step_timeout, share)
    seat = Supervisor(file, implied | dict(options or {}), environment)
    outputs.mkdir(parents=True, exist_ok=True)
    try:
        return [_answer(seat, each, outputs / each.name) for each in files]
    finally:
        seat.close()


def _answer(seat: Supervisor, source: Path, target: Path) -> Path:
    image, labels, said = read_input(source)
    seat.start(image, labels)
    answer = checked(seat.ask(said), image.voxels.shape)
    if answer.labels is None:
        raise AdapterError(f"{source.name}: {answer.failure}")
    write_answer(target, answer.labels)
    return target
