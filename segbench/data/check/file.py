"""What a run would refuse in the file of a case: read with the same functions, part by part.

`segbench.data.dataset.read_case` stops at the first refusal. Here every part is tried.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, Grid, LabelMap, Spacing
from segbench.data.case_grid import KEYS as GRID_KEYS
from segbench.data.case_grid import read_grid
from segbench.data.challenge_npz import ArrayHeader, ChallengeFile
from segbench.data.check.finding import Finding
from segbench.data.dataset import (
    CaseFile,
    check_image,
    checked_reference,
    foreground_labels,
    read_boxes,
    read_reference,
)
from segbench.data.pickled_numpy import UnsafePickle
from segbench.errors import CaseError
from segbench.protocol.validation import checked_spacing

READ_BY_RUN = ("imgs", "gts", "spacing", "boxes", *GRID_KEYS)
READ_BY_MODELS = ("prev_pred", "clicks", "clicks_order")  # the official script adds them
_T = TypeVar("_T")


@dataclass
class CaseParts:
    """The parts of a case that could be read; None for one that was refused."""

    findings: list[Finding] = field(default_factory=list)
    image: NDArray[Any] | None = None
    reference: LabelMap | None = None
    labels: tuple[int, ...] = ()
    spacing: Spacing | None = None
    boxes: tuple[Box, ...] = ()
    grid: Grid | None = None


def read_parts(source: CaseFile) -> CaseParts:
    """Read what can be read of a case; what `read_case` refuses is an error among the findings."""
    parts = CaseParts()
    try:
        file = ChallengeFile(source.file)
    except CaseError as refusal:
        parts.findings.append(_refused("file-unreadable", source, refusal))
        return parts
    with file:
        reader = _Reader(source, parts.findings)
        parts.reference = reader.part("reference-invalid", lambda: _reference(source, file))
        if parts.reference is not None:
            parts.labels = foreground_labels(parts.reference)
            boxes = reader.part("boxes-invalid", lambda: read_boxes(file, parts.labels))
            parts.boxes = boxes or ()
        parts.spacing = reader.part(
            "spacing-invalid",
            lambda: checked_spacing(file.read("spacing"), source.file.name),
        )
        parts.image = reader.part("image-invalid", lambda: _image(parts, file))
        parts.grid = reader.part("grid-invalid", lambda: read_grid(file))
        parts.findings += other_keys(source.name, file)
    return parts


@dataclass(frozen=True)
class _Reader:
    """Reads the parts of an open case and notes the refusals."""

    source: CaseFile
    findings: list[Finding]

    def part(self, code: str, read: Callable[[], _T]) -> _T | None:
        """Return a part; None, with a finding, if it is refused."""
        try:
            return read()
        except CaseError as refusal:
            # a pickle that is refused is the reason of the refusal
            is_unsafe = isinstance(refusal.__context__, UnsafePickle)
            found = "pickle-refused" if is_unsafe else code
            self.findings.append(_refused(found, self.source, refusal))
            return None


def _reference(source: CaseFile, file: ChallengeFile) -> LabelMap:
    return checked_reference(read_reference(source, file), source.file.name)


def _image(parts: CaseParts, file: ChallengeFile) -> NDArray[Any]:
    voxels = file.read("imgs")
    header = ArrayHeader(voxels.shape, voxels.dtype)
    # without a reference the image is held against its own shape: it must have three axes
    grid = np.broadcast_to(np.uint8(0), voxels.shape if voxels.ndim == 3 else (1, 1, 1))
    check_image(header, grid if parts.reference is None else parts.reference, file.name)
    return voxels


def is_pickled(file: ChallengeFile, key: str) -> bool:
    """Whether a key of a case is an array of Python objects, which numpy stores as a pickle."""
    try:
        return key in file.keys and file.header(key).dtype.hasobject
    except CaseError:
        return False


def other_keys(case: str, file: ChallengeFile) -> Iterator[Finding]:
    """Yield what is wrong with keys that a run does not read."""
    known = (*READ_BY_RUN, *READ_BY_MODELS)
    for key in file.keys:
        if key in READ_BY_RUN:
            continue
        if is_pickled(file, key):
            yield from _pickle(case, file, key)
        missing = [name for name in known if name not in file.keys]
        meant = difflib.get_close_matches(SYNONYMS.get(key.lower(), key), missing, 1, 0.75)
        if meant and key not in known:
            what = f"keys: expected {meant[0]!r}, found {key!r}, which is not read"
            yield Finding("key-misspelt", case, what, {"key": key, "meant": meant[0]})


# what other programs, and the challenge's own documentation, call a key
SYNONYMS = {
    **dict.fromkeys(("bbox", "bboxes", "box"), "boxes"),
    **dict.fromkeys(("image", "images", "img"), "imgs"),
    **dict.fromkeys(("gt", "label", "labels", "seg", "mask"), "gts"),
    **dict.fromkeys(("spacings", "voxel_spacing", "spacing_mm"), "spacing"),
}


def _pickle(case: str, file: ChallengeFile, key: str) -> Iterator[Finding]:
    try:
        file.read(key)
    except CaseError as refusal:
        what = str(refusal).removeprefix(f"{file.name}: ")
        yield Finding("pickle-unread", case, what, {"key": key})


def _refused(code: str, source: CaseFile, refusal: CaseError) -> Finding:
    return Finding(code, source.name, str(refusal).removeprefix(f"{source.file.name}: "))
