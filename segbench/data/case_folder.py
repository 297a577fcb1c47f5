"""Find the cases of a data folder, and what its ``index.csv`` tells of them.

A case's name is its path below the data folder, without the suffix and with ``__`` for ``/``. The
modality comes from the last part of the name; the nearest ``index.csv`` above the file overrides
it.
"""

from __future__ import annotations

import csv
import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from segbench.data.dataset import CaseFile, CaseMetadata, CaseSource, metadata_in_name
from segbench.errors import CaseError
from segbench.messages import counted, named

Rows = Mapping[str, Mapping[str, str]]  # of an index.csv, by name


def find_cases(*places: Path, references: Path | None = None) -> list[CaseFile]:
    """Return the cases of folders and single files, sorted by name.

    Parameters
    ----------
    *places : Path
        ``.npz`` files, and folders that are searched for them, with all folders inside. Hidden
        files and run folders are left out. A folder may have an ``index.csv`` with a column
        ``name`` and any of ``modality``, ``patient``, ``dataset``, which override the file name's
        prefix; names there are as the cases would have with this folder as data folder.
    references : Path, optional
        A folder of ``.npz`` files with ``gts``, at the same places below it.

    Raises
    ------
    CaseError
        If there is no case, two have the same name, or a place does not exist.
    """
    indices = _Indices()
    cases: dict[str, CaseFile] = {}
    for place in places:
        for case in _cases_of(place, references, indices):
            if case.name in cases:
                raise CaseError(
                    f"{case.file}: expected a case name of its own, found {case.name!r} twice; "
                    f"rename it, or the other file {cases[case.name].file}"
                )
            cases[case.name] = case
    return sorted(cases.values(), key=lambda case: f"{case.name}.npz")


def _cases_of(place: Path, references: Path | None, indices: _Indices) -> Iterator[CaseFile]:
    if not place.exists():
        raise CaseError(f"{place}: expected a folder with .npz cases or an .npz file, found none")
    if place.is_file():
        if place.suffix != ".npz":
            raise CaseError(f"{place}: expected an .npz case or a folder, found another file")
        found = [(place, Path(place.name))]
        top = place.parent
    else:
        files = npz_files(place, references)
        found, top = [(file, file.relative_to(place)) for file in files], place
        if not found:
            raise CaseError(f"{place}: expected a folder with .npz cases, found none")
    for file, inner in found:
        yield CaseFile(
            file,
            references and references / inner,
            _metadata(inner, top, indices),
            "".join(f"{folder}__" for folder in inner.parts[:-1]),
        )


def npz_files(folder: Path, references: Path | None = None) -> Iterator[Path]:
    """Yield the ``.npz`` files in a folder and in all folders below it, also behind links.

    A folder of references below it is left out: its files are no cases.
    """
    seen = set()  # folders by device and inode: links may form circles
    if references is not None and references.is_dir() and not references.samefile(folder):
        seen.add(_inode(references))
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse_unreadable):
        if _inode(place) in seen or _is_run_folder(folders, files):
            folders.clear()
            continue
        seen.add(_inode(place))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # a name that starts with a dot is not a case (macOS writes ._NAME.npz next to copies)
        for name in files:
            if name.endswith(".npz") and not name.startswith("."):
                yield Path(place, name)


def _inode(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _refuse_unreadable(error: OSError) -> None:
    """Raise for a folder whose cases would be left out without a word."""
    if not isinstance(error, FileNotFoundError):
        raise CaseError(
            f"{error.filename}: expected a folder that can be read, found: {error.strerror}"
        )


def _is_run_folder(folders: Sequence[str], files: Sequence[str]) -> bool:
    return "run.json" in files and "cases" in folders


class _Indices:
    """The ``index.csv`` files of the folders, each read once."""

    def __init__(self) -> None:
        self._rows: dict[Path, Rows | None] = {}

    def of(self, folder: Path) -> Rows | None:
        """Return the rows of the index in a folder; None if it has none."""
        if folder not in self._rows:
            self._rows[folder] = _read_index(folder / "index.csv")
        return self._rows[folder]


def _metadata(inner: Path, top: Path, indices: _Indices) -> CaseMetadata:
    """Return what the nearest index above a file, or else its name, tells of it."""
    row: Mapping[str, str] = {}
    for parent in inner.parents:  # the nearest folder first
        rows = indices.of(top / parent)
        if rows is not None:
            row = rows.get(_name(inner.relative_to(parent)), {})
            break
    by_name = metadata_in_name(inner.stem)
    return CaseMetadata(
        modality=row.get("modality") or by_name.modality,
        patient=row.get("patient") or "",
        dataset=row.get("dataset") or by_name.dataset,
    )


def _name(inner: Path) -> str:
    return "__".join(inner.with_suffix("").parts)


def _read_index(file: Path) -> Rows | None:
    if not file.exists():
        return None
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{file}: expected a table as UTF-8 text, found {named(error)}") from None
    if rows and "name" not in rows[0]:
        raise CaseError(f"{file}: expected a column 'name', found {', '.join(rows[0])}")
    return {row["name"]: row for row in rows}


def select_cases(
    cases: Sequence[CaseSource], *, patterns: Sequence[str] = (), limit: int | None = None
) -> list[CaseSource]:
    """Return the cases whose names match a shell pattern, if there is any, up to a limit.

    Raises
    ------
    CaseError
        If no case matches.
    """
    selected = [case for case in cases if _matches(case.name, patterns)]
    if not selected:
        raise CaseError(
            f"--case {' '.join(patterns)}: expected a pattern that one of the "
            f"{counted(len(cases), 'case')} matches, such as {cases[0].name}, found no match"
        )
    return selected[:limit]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
