"""Any adapter as a challenge submission: input files in, output files out, no state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from segbench.errors import AdapterError, CaseError
from segbench.models.environments import find_interpreter
from segbench.models.resolve import resolve_model
from segbench.models.submission_npz import read_input, write_output
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.protocol.interaction import validated_output
from segbench.runs.progress import NoProgress, Progress
from segbench.threads import threads_per_model

SILENT = NoProgress()


def predict(  # noqa: PLR0913
    model: str,
    inputs: Iterable[Path],
    outputs: Path,
    *,
    option: Mapping[str, str] | None = None,
    python: Path | None = None,
    step_timeout: float = 900.0,
    progress: Progress = SILENT,
) -> Iterator[Path]:
    """Predict one step for each input file of the challenge's contract.

    The model is loaded once. Every input has all prompts so far, so nothing is kept between them.

    Parameters
    ----------
    model : str
        An adapter's name, or a path to its file or folder.
    inputs : iterable of Path
        Files ``CASE.npz`` with the image and all prompts so far; the next one is taken when the
        prediction for the last one is written.
    outputs : Path
        A folder; its ``CASE.npz`` gets ``segs``.
    progress : Progress
        Says what takes long: an environment that is built, a model that is loaded.

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
    file, options = resolve_model(model, option, say=progress.note)
    interpreter = find_interpreter(file, python, activity=progress.activity)
    config = WorkerConfig(interpreter, step_timeout, threads_per_model(jobs=1))
    with progress.activity(f"loading {model}"):
        worker = WorkerModel(file, options, config)
    outputs.mkdir(parents=True, exist_ok=True)
    try:
        for each in inputs:
            yield _predict_file(worker, each, outputs / each.name)
    finally:
        worker.close()


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


def _predict_file(model: WorkerModel, source: Path, target: Path) -> Path:
    image, labels, interactions = read_input(source)
    model.set_image(image, labels)
    output = validated_output(model.predict(interactions), image.voxels.shape)
    if output.segmentation is None:
        raise AdapterError(f"{source.name}: {output.failure}")
    write_output(target, output.segmentation)
    return target
