"""The data of a run, found again: each case is the same file, by its sha256."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from segbench.core import LabelMap
from segbench.data.case_arrays import arrays_sha256
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile, read_case, sha256_of
from segbench.errors import RunError
from segbench.results import CaseResult, StepResult
from segbench.runs.run_folder import Run


def find_run_cases(
    run: Run, data: Path | None = None, references: Path | None = None
) -> dict[str, CaseFile]:
    """Return the case files of a run by name; by default where ``run.json`` says.

    Raises
    ------
    RunError
        If the cases were given as arrays, or their folder is not there.
    """
    stored = run.manifest.data
    places = [data] if data else list(map(Path, stored.files or filter(None, [stored.path])))
    if not places:
        raise RunError(
            f"{run.folder}: expected cases in files, found that they were given as arrays; write "
            "them with write_case and name their folder with --data"
        )
    missing = [place for place in places if not place.exists()]
    if missing:
        raise RunError(
            f"{run.folder}: expected its data in {missing[0]}, found nothing there; name their "
            "folder with --data"
        )
    own = Path(stored.references) if stored.references else None
    return {case.name: case for case in find_cases(*places, references=references or own)}


def same_file(file: CaseFile | None, result: CaseResult, folder: Path) -> CaseFile:
    """Return the file of a case if it is the one that the run was made with.

    Raises
    ------
    RunError
        If there is none, or it is another file.
    """
    if file is None:
        raise RunError(
            f"{folder}: expected the data of case {result.case}, found no such case; name their "
            "folder with --data"
        )
    pairs = [(file.file, result.file_sha256)]
    if file.reference_file is not None:
        pairs.append((file.reference_file, result.reference_sha256 or ""))
    others = [path for path, expected in pairs if sha256_of(path) != expected]
    # a case that was given as arrays is known by these
    if others and arrays_sha256(read_case(file)) != result.file_sha256:
        raise RunError(
            f"{folder}: expected the data of case {result.case}, found another file in their "
            f"place, {others[0]}; name their folder with --data"
        )
    return file


def count_label_maps(file: Path, result: CaseResult) -> int:
    """Return how many label maps a prediction file has: one per step, or that of the last.

    Raises
    ------
    RunError
        If it has another number, or label maps of another shape than the case.
    """
    with ChallengeFile(file) as stored:
        shape = stored.header("all_segs").shape
    if shape[1:] != tuple(result.shape) or shape[0] not in (1, len(result.steps)):
        expected = f"{len(result.steps)} (or 1) x {tuple(result.shape)}"
        raise RunError(f"{file}: all_segs: expected {expected}, found {shape}")
    return int(shape[0])


def stored_label_maps(file: Path, result: CaseResult) -> Iterator[tuple[StepResult, LabelMap]]:
    """Yield the kept steps of a case with their label maps, one in memory at a time.

    The label map of a failed step is that of the step before it (zeros before the first
    prediction).
    """
    steps = result.steps[-count_label_maps(file, result) :]
    with ChallengeFile(file) as stored:
        yield from zip(steps, stored.read_parts("all_segs"), strict=True)
