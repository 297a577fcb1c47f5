"""Find, read and check cases: a case that `read_case` returns is valid under the protocol.

A case is one ``.npz`` of the challenge; its reference may be in a folder of its own. Cases that the
protocol cannot score are refused before any model runs, with the file, the expected value and the
value found (PROTOCOL 9).
"""

from __future__ import annotations

import csv
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import MAX_LABEL, Box, Case, Image, LabelMap
from segbench.data.challenge_npz import ChallengeFile, parse_box
from segbench.errors import CaseError
from segbench.files import sha256_of as bytes_sha256
from segbench.protocol.validation import checked_label_map, checked_spacing


@dataclass(frozen=True)
class CaseMetadata:
    """What is known of a case apart from its arrays; empty strings if it is not known."""

    modality: str = ""
    patient: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class CaseFile:
    """The files of a case, and what is known of it without reading an array."""

    file: Path
    reference_file: Path | None = None  # None: ``gts`` is in the file of the case
    metadata: CaseMetadata = CaseMetadata()

    @property
    def name(self) -> str:
        """The case's name: its file name without the suffix."""
        return self.file.stem


def find_cases(folder: Path, *, references: Path | None = None) -> list[CaseFile]:
    """Return the cases of a folder, sorted by name.

    Parameters
    ----------
    folder : Path
        Contains ``.npz`` files, and maybe an ``index.csv`` with a column ``name`` and any of
        ``modality``, ``patient``, ``dataset``, which override the file name's prefix.
    references : Path, optional
        A folder of ``.npz`` files of the same names with ``gts``.

    Raises
    ------
    CaseError
        If there is no case, or the folder does not exist.
    """
    # a name that starts with a dot is not a case (macOS writes ._NAME.npz next to copies)
    files = sorted(folder.glob("[!.]*.npz"), key=lambda file: file.name)
    if not files:
        raise CaseError(f"{folder}: expected a folder with .npz cases, found none")
    index = _read_index(folder / "index.csv")
    return [
        CaseFile(file, references and references / file.name, _metadata(file.stem, index))
        for file in files
    ]


def select_cases(
    cases: Sequence[CaseFile], *, patterns: Sequence[str] = (), limit: int | None = None
) -> list[CaseFile]:
    """Return the cases whose names match a shell pattern, if there is any, up to a limit.

    Raises
    ------
    CaseError
        If no case matches.
    """
    selected = [case for case in cases if _matches(case.name, patterns)]
    if not selected:
        folder = cases[0].file.parent
        raise CaseError(f"{folder}: none of its {len(cases)} cases matches {' or '.join(patterns)}")
    return selected[:limit]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _read_index(file: Path) -> dict[str, dict[str, str]]:
    if not file.exists():
        return {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CaseError(f"{file}: expected a table as UTF-8 text: {error}") from None
    if rows and "name" not in rows[0]:
        raise CaseError(f"{file}: expected a column 'name', found {', '.join(rows[0])}")
    return {row["name"]: row for row in rows}


def _metadata(name: str, index: dict[str, dict[str, str]]) -> CaseMetadata:
    row, parts = index.get(name, {}), name.split("_")
    return CaseMetadata(
        modality=row.get("modality") or parts[0],
        patient=row.get("patient") or "",
        dataset=row.get("dataset") or (parts[1] if len(parts) > 2 else ""),
    )


def read_case(source: CaseFile) -> Case:
    """Read and check one case, one array at a time.

    Raises
    ------
    CaseError
        If the file is damaged, has a pickle of other than plain data, or is not valid under the
        protocol.
    """
    with ChallengeFile(source.file) as file:
        reference = _check_reference(_read_reference(source, file), source.file.name)
        labels = foreground_labels(reference)
        spacing = checked_spacing(file.read("spacing"), source.file.name)
        boxes = _read_boxes(file, labels)
        voxels = _check_image(file.read("imgs"), reference, source.file.name)
    return Case(
        source.name, Image(voxels, spacing), reference, boxes, labels, **vars(source.metadata)
    )


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file; refuse one that cannot be read."""
    try:
        return bytes_sha256(file)
    except OSError as error:
        raise CaseError(f"{file.name}: cannot be read: {error.strerror}") from None


def _read_reference(source: CaseFile, file: ChallengeFile) -> NDArray[Any]:
    if source.reference_file is None:
        return file.read("gts")
    if not source.reference_file.exists():
        raise CaseError(f"{source.file.name}: expected its reference at {source.reference_file}")
    with ChallengeFile(source.reference_file) as references:
        return references.read("gts")


def _check_reference(raw: NDArray[Any], name: str) -> LabelMap:
    reference = checked_label_map(raw, f"{name}: gts")
    low, high = int(reference.min()), int(reference.max())
    if low > 0:
        raise CaseError(f"{name}: gts: expected a background of 0, the smallest label is {low}")
    if high == 0:
        raise CaseError(f"{name}: gts: expected at least one foreground label, found only 0")
    return reference


def foreground_labels(reference: LabelMap) -> tuple[int, ...]:
    """Return the foreground labels of a reference, ascending."""
    flat, count = reference.ravel(order="K"), np.zeros(MAX_LABEL + 1, np.int64)
    for start in range(0, flat.size, 1 << 20):  # in parts, because bincount copies them to int64
        count += np.bincount(flat[start : start + (1 << 20)], minlength=count.size)
    return tuple(int(label) for label in count.nonzero()[0] if label > 0)


def _read_boxes(file: ChallengeFile, labels: tuple[int, ...]) -> tuple[Box, ...]:
    if "boxes" not in file.keys:
        return ()
    raw = file.read("boxes")
    if raw.ndim == 0 or len(raw) != len(labels):
        found = "a single value" if raw.ndim == 0 else f"{len(raw)}"
        raise CaseError(f"{file.name}: boxes: expected one per label {labels}, found {found}")
    try:
        return tuple(parse_box(label, row) for label, row in zip(labels, raw, strict=True))
    except (ValueError, TypeError) as error:
        raise CaseError(f"{file.name}: boxes: {error}") from None


def _check_image(voxels: NDArray[Any], reference: LabelMap, name: str) -> NDArray[Any]:
    if voxels.dtype.kind not in "buif":
        raise CaseError(f"{name}: imgs: expected numbers, found {voxels.dtype}")
    if voxels.shape != reference.shape:
        raise CaseError(
            f"{name}: imgs {voxels.shape} and gts {reference.shape}: expected one shape"
        )
    return voxels
