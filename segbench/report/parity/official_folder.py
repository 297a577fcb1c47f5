"""The folders that are compared: the script's rows and files, and the cases of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.case_folder import find_cases
from segbench.data.dataset import CaseFile
from segbench.errors import RunError
from segbench.report.parity.metrics_table import (
    OfficialRow,
    find_metrics,
    printable,
    read_metrics,
)

Places = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class OfficialFolder:
    """The rows and the files of an official folder, by the name of the case."""

    rows: Mapping[str, OfficialRow]
    files: Mapping[str, Path]


def paths_of(places: Places) -> list[str | Path]:
    """Return one path or several as a list."""
    return [places] if isinstance(places, str | Path) else list(places)


def read_folder(official: Path, metrics: str | Path | None) -> OfficialFolder:
    """Return the rows and files of an official folder; ``metrics`` is a CSV in another place."""
    existing_folder(official)
    rows = read_metrics(find_metrics(official) if metrics is None else Path(metrics))
    return OfficialFolder(rows, {printable(file.stem): file for file in _outputs(official)})


def _outputs(official: Path) -> list[Path]:
    """Return the stored predictions: those of the folder, else of the only folder in it with any.

    Raises
    ------
    RunError
        If there are several such folders.
    """
    found = sorted(official.glob("[!.]*.npz")) or sorted(official.glob("[!.]*/[!.]*.npz"))
    folders = sorted({file.parent.name for file in found})
    if len(folders) > 1:
        raise RunError(
            f"{official}: expected the predictions of one run, found .npz files in "
            f"{', '.join(map(printable, folders))}; give one of these folders, with --metrics"
        )
    return found


def existing_folder(folder: Path) -> Path:
    """Return a folder; refuse anything else."""
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a folder, found none; check the path")
    return folder


def read_earlier(place: Path) -> tuple[str, Mapping[str, OfficialRow]]:
    """Return the name and the rows of an earlier run."""
    file = find_metrics(place) if place.is_dir() else place
    return printable(place.resolve().name), read_metrics(file)


def cases_by_name(data: Path, references: str | Path | None) -> dict[str, CaseFile]:
    """Return the cases by the names that the script knows: those of their files, if unique."""
    found = find_cases(data, references=None if references is None else Path(references))
    stems = Counter(case.file.stem for case in found)
    return {
        printable(case.file.stem if stems[case.file.stem] == 1 else case.name): case
        for case in found
    }
