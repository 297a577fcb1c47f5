"""What became of one scan, and the file that keeps it until the report of all has taken it in.

A process that converts a scan writes its record before the case appears. So whatever ends a
conversion, and however, each case that is there is described.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from segbench.core import Grid
from segbench.data.case_grid import read_grid
from segbench.data.challenge_npz import ChallengeFile
from segbench.errors import CaseError
from segbench.files import write_text

Status = Literal["converted", "unchanged", "refused", "planned"]
FOLDER = ".conversion"  # in that of the cases; hidden folders hold no cases


@dataclass(frozen=True)
class Conversion:
    """What became of one scan.

    Attributes
    ----------
    name : str
        Of the case.
    image : str
        The name of the source, without its folder.
    status : {"converted", "unchanged", "refused", "planned"}
        planned: a dry run has found it.
    reason : str
        Of a refusal.
    modality, patient, dataset : str
        As in ``index.csv``.
    decided : mapping
        What was decided, as in ``conversion.json``; empty if the case was there before.
    guessed, warnings : tuple of str
        What was guessed, and what is unusual.
    """

    name: str
    image: str
    status: Status
    reason: str = ""
    modality: str = ""
    patient: str = ""
    dataset: str = ""
    decided: dict[str, Any] = field(default_factory=dict, hash=False)
    guessed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def write_record(folder: Path, done: Conversion, identity: Mapping[str, Any]) -> None:
    """Keep what became of a scan; ``identity`` is what its case is made of, empty without one."""
    (folder / FOLDER).mkdir(exist_ok=True)
    text = json.dumps({"identity": identity, "done": asdict(done)}, ensure_ascii=False)
    write_text(folder / FOLDER / f"{done.name}.json", text)


def read_records(folder: Path) -> list[Conversion]:
    """Return what no report has taken in yet: refused scans, and cases that are there."""
    names = sorted(file.stem for file in (folder / FOLDER).glob("*.json"))
    records = (read_record(folder, name) for name in names)
    return [record for record in records if record is not None]


def remove_records(folder: Path, names: Collection[str]) -> None:
    """Remove the records of these cases, because a report has taken them in."""
    for name in names:
        (folder / FOLDER / f"{name}.json").unlink(missing_ok=True)


def remove_record_folder(folder: Path) -> None:
    """Remove the folder of records if it is empty: not while a record may be written to it."""
    with contextlib.suppress(OSError):  # others are still in it, or there is none
        (folder / FOLDER).rmdir()


def read_record(folder: Path, name: str) -> Conversion | None:
    """Return one record; None if there is none, or not the case that it describes."""
    try:
        facts = json.loads((folder / FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        done = Conversion(**facts["done"])
        if done.status != "refused":
            case = folder / f"{done.name}.npz"
            if not case.exists() or read_identity(case) != facts["identity"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, CaseError):
        return None
    return done


def read_identity(file: Path) -> dict[str, Any]:
    """Return what a case in a file was made of.

    Raises
    ------
    CaseError
        If it was not written by segbench convert: it may be another's, and is never replaced.
    """
    grid = converted_grid(file)
    return {
        "image": grid.source_sha256,
        "labels": grid.facts.get("labels_sha256"),
        "rule": grid.facts["rule"],
    }


def converted_grid(file: Path) -> Grid:
    """Return the grid of a case that was converted.

    Raises
    ------
    CaseError
        If it was not.
    """
    with ChallengeFile(file) as archive:
        grid = read_grid(archive)
    if grid is None or "rule" not in grid.facts:
        raise CaseError(
            f"{file.name}: expected no file or a converted case, found another file; choose another"
            " folder or name"
        )
    return grid


def is_converted(file: Path) -> bool:
    """Whether a file is there and is a case that was converted."""
    try:
        return file.exists() and bool(converted_grid(file).facts)
    except (CaseError, OSError):
        return False
