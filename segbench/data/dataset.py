"""Read and check cases: a case that `read_case` returns is valid under the protocol.

A case is one ``.npz`` of the challenge; its reference may be in a file of its own. Cases that the
protocol cannot score are refused before any model runs, with the file, the expected value and the
value found (PROTOCOL 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segbench.core import MAX_LABEL, Box, Case, Image, LabelMap, Spacing
from segbench.data.case_grid import read_grid
from segbench.data.challenge_boxes import parse_box
from segbench.data.challenge_npz import ArrayHeader, ChallengeFile
from segbench.errors import CaseError
from segbench.files import sha256_of as bytes_sha256
from segbench.protocol.validation import checked_label_map, checked_spacing

PHANTOM_DATASET = "Phantom"  # in the names of generated cases (segbench.phantoms)


@dataclass(frozen=True)
class CaseMetadata:
    """What is known of a case apart from its arrays; empty strings if it is not known."""

    modality: str = ""
    patient: str = ""
    dataset: str = ""


def metadata_in_name(name: str) -> CaseMetadata:
    """Return what the name of a case tells: ``CT_AMOS_0001`` is CT, of the dataset AMOS."""
    parts = name.split("_")
    return CaseMetadata(parts[0], "", parts[1] if len(parts) > 2 else "")


class CaseSource(Protocol):
    """Where a case comes from: a file, or arrays of the caller."""

    @property
    def name(self) -> str:
        """The case's name."""

    @property
    def metadata(self) -> CaseMetadata:
        """What is known of the case without reading an array."""

    def read(self) -> Case:
        """Return the case; refuse one that is not valid with a `CaseError`."""

    def check(self) -> None:
        """Refuse what `read` refuses, but without reading the image."""

    def sha256(self) -> tuple[str, str | None]:
        """Return what the case is known by: its sha256, and that of a reference of its own."""

    def array_bytes(self) -> int:
        """Return the bytes of its image and reference, and of six label maps."""


@dataclass(frozen=True)
class CaseFile:
    """The files of a case, and what is known of it without reading an array."""

    file: Path
    reference_file: Path | None = None  # None: ``gts`` is in the file of the case
    metadata: CaseMetadata = CaseMetadata()
    prefix: str = ""  # the folders between the data folder and the file: ``a__b__``

    @property
    def name(self) -> str:
        """The case's name: its path below the data folder without suffix, ``__`` for ``/``."""
        return f"{self.prefix}{self.file.stem}"

    def read(self) -> Case:
        """Read the case, as `read_case` does."""
        return read_case(self)

    def check(self) -> None:
        """Refuse what `read_case` refuses, but read only the header of the image."""
        with ChallengeFile(self.file) as file:
            reference, *_ = _read_all_but_image(self, file)
            check_image(file.header("imgs"), reference, self.file.name)

    def sha256(self) -> tuple[str, str | None]:
        """Return the sha256 of the file, and that of the reference's file if it exists."""
        reference = self.reference_file
        has_own = reference is not None and reference.exists()
        return sha256_of(self.file), sha256_of(reference) if reference and has_own else None

    def array_bytes(self) -> int:
        """Return the bytes of image, reference and six label maps; 0 for a damaged file."""
        try:
            with ChallengeFile(self.file) as file:
                image_bytes = file.size("imgs")
                label_map_bytes = file.size("gts") or image_bytes
        except CaseError:
            return 0
        return image_bytes + 8 * label_map_bytes

    def has_reference(self) -> bool:
        """Whether there is a reference: a file of its own, or ``gts`` in the case.

        True also for a file that cannot be read: reading it gives the reason.
        """
        if self.reference_file is not None:
            return self.reference_file.exists()
        try:
            with ChallengeFile(self.file) as file:
                return "gts" in file.keys
        except CaseError:
            return True


def read_case(source: CaseFile) -> Case:
    """Read and check one case, one array at a time.

    Raises
    ------
    CaseError
        If the file is damaged, has a pickle of other than plain data, or is not valid under the
        protocol.
    """
    with ChallengeFile(source.file) as file:
        reference, labels, spacing, boxes = _read_all_but_image(source, file)
        voxels = file.read("imgs")
        grid = read_grid(file)
    check_image(ArrayHeader(voxels.shape, voxels.dtype), reference, source.file.name)
    facts = vars(source.metadata) | {"grid": grid}
    return Case(source.name, Image(voxels, spacing), reference, boxes, labels, **facts)


def read_reference_and_spacing(source: CaseFile) -> tuple[LabelMap, tuple[int, ...], Spacing]:
    """Return reference, labels and spacing of a case, checked as in `read_case`; no image."""
    with ChallengeFile(source.file) as file:
        reference, labels, spacing, _ = _read_all_but_image(source, file)
    return reference, labels, spacing


def _read_all_but_image(
    source: CaseFile, file: ChallengeFile
) -> tuple[LabelMap, tuple[int, ...], Spacing, tuple[Box, ...]]:
    reference = checked_reference(read_reference(source, file), f"{source.file.name}: gts")
    labels = foreground_labels(reference)
    spacing = checked_spacing(file.read("spacing"), source.file.name)
    return reference, labels, spacing, read_boxes(file, labels)


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file; refuse one that cannot be read."""
    try:
        return bytes_sha256(file)
    except OSError as error:
        raise CaseError(
            f"{file.name}: expected a file that can be read, found {error.strerror!r}"
        ) from None


def read_reference(source: CaseFile, file: ChallengeFile) -> NDArray[Any]:
    """Return the reference of an open case as it is stored, from its own file if it has one."""
    if source.reference_file is None:
        if "gts" not in file.keys:
            raise CaseError(
                f"{file.name}: expected a key 'gts', found {', '.join(file.keys)}; if the "
                "references are in a folder of their own, name it with --references"
            )
        return file.read("gts")
    if not source.reference_file.exists():
        raise CaseError(
            f"{source.file.name}: expected its reference at {source.reference_file}, found no "
            "such file"
        )
    with ChallengeFile(source.reference_file) as references:
        return references.read("gts")


def checked_reference(raw: NDArray[Any], what: str) -> LabelMap:
    """Return an array as a reference: a label map with a background and at least one label.

    ``what`` begins the message: whose array it is, and what its owner calls it.
    """
    reference = checked_label_map(raw, what)
    low, high = int(reference.min()), int(reference.max())
    if low > 0:
        raise CaseError(f"{what}: expected a background of 0, found {low} as smallest label")
    if high == 0:
        raise CaseError(f"{what}: expected at least one foreground label, found only 0")
    return reference


def foreground_labels(reference: LabelMap) -> tuple[int, ...]:
    """Return the foreground labels of a reference, ascending."""
    flat, count = reference.ravel(order="K"), np.zeros(MAX_LABEL + 1, np.int64)
    for start in range(0, flat.size, 1 << 20):  # in parts, because bincount copies them to int64
        count += np.bincount(flat[start : start + (1 << 20)], minlength=count.size)
    return tuple(int(label) for label in count.nonzero()[0] if label > 0)


def read_boxes(file: ChallengeFile, labels: tuple[int, ...]) -> tuple[Box, ...]:
    """Return the boxes of an open case, one per label; none if it has no such key."""
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


def check_image(
    image: ArrayHeader, reference: LabelMap, name: str, *, words: tuple[str, str] = ("imgs", "gts")
) -> None:
    """Refuse an image without numbers, not of three axes, or of another shape than the reference.

    ``words`` are what the owner of the two arrays calls them.
    """
    if image.dtype.kind not in "buif":
        raise CaseError(f"{name}: {words[0]}: expected numbers, found {image.dtype}")
    if len(image.shape) != 3:
        raise CaseError(
            f"{name}: {words[0]}: expected three axes (z, y, x) and one channel, found "
            f"{len(image.shape)} axes, shape {image.shape}; give one channel, array[..., 0] or "
            "array[0]"
        )
    if image.shape != reference.shape:
        raise CaseError(
            f"{name}: {' and '.join(words)}: expected one shape (z, y, x), found {image.shape} and "
            f"{reference.shape}"
        )
