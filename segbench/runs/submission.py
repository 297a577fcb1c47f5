"""Any adapter as a challenge submission: inputs in, outputs out, nothing kept between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from segbench.errors import AdapterError, CaseError
from segbench.models.environments import interpreter_of
from segbench.models.registry import resolve_model
from segbench.models.submission_npz import read_input, write_answer
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.protocol.interaction import checked
from segbench.threads import of_each_model


def predict(
    model: str,
    inputs: Iterable[Path],
    outputs: Path,
    *,
    options: Mapping[str, str] | None = None,
    python: Path | None = None,
    step_timeout: float = 900.0,
) -> Iterator[Path]:
    """Answer input files of the challenge's contract, each with one step of the adapter.

    The model is loaded once. Every input holds all that was said, so that nothing needs to be known
    of the one before.

    Parameters
    ----------
    model : str
        An adapter's name, or a path to its file or folder.
    inputs : iterable of Path
        Files ``CASE.npz`` with the image and all that was said; each is asked for when the one
        before is answered.
    outputs : Path
        A folder; its ``CASE.npz`` gets ``segs``.

    Yields
    ------
    Path
        Each file written.

    Raises
    ------
    CaseError
        If an input cannot be read.
    AdapterError
        If the adapter cannot be loaded or fails; nothing is written for that input.
    """
    file, implied = resolve_model(model)
    share = of_each_model(jobs=1)
    environment = WorkerConfig(interpreter_of(file, python), step_timeout, share)
    seat = WorkerModel(file, implied | dict(options or {}), environment)
    outputs.mkdir(parents=True, exist_ok=True)
    try:
        for each in inputs:
            yield _answer(seat, each, outputs / each.name)
    finally:
        seat.close()


def inputs_in(folder: Path) -> list[Path]:
    """Return the input files of a folder, in name order; there must be one."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise CaseError(f"{folder}: expected .npz inputs, found none")
    return files


def inputs_named(folder: Path, lines: Iterable[str]) -> Iterator[Path]:
    """Yield the file of a folder that each line names, as the lines come."""
    for name in map(str.strip, lines):
        if Path(name).name != name:
            raise CaseError(f"{folder}: expected the name of a file in it, found {name!r}")
        yield folder / name


def _answer(seat: WorkerModel, source: Path, target: Path) -> Path:
    image, labels, interactions = read_input(source)
    seat.set_image(image, labels)
    answer = checked(seat.predict(interactions), image.voxels.shape)
    if answer.segmentation is None:
        raise AdapterError(f"{source.name}: {answer.failure}")
    write_answer(target, answer.segmentation)
    return target
