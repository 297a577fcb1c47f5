"""Cases that a Python caller gives as arrays; each is known by the sha256 of its arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import Box, Case, Image, Spacing
from segbench.data.challenge_npz import ArrayHeader
from segbench.data.dataset import (
    CaseMetadata,
    check_image,
    checked_reference,
    foreground_labels,
    metadata_in_name,
)
from segbench.errors import CaseError
from segbench.keywords import suggest_keywords
from segbench.protocol.mask_pairs import in_fortran_order
from segbench.protocol.validation import checked_spacing


@suggest_keywords
def case_from_arrays(  # noqa: PLR0913
    name: str,
    voxels: NDArray[Any],
    reference: NDArray[Any],
    spacing: Spacing,
    *,
    boxes: Sequence[Box] = (),
    modality: str = "",
    patient: str = "",
    dataset: str = "",
) -> Case:
    """Make a valid case of arrays, for `segbench.evaluate`.

    Parameters
    ----------
    name : str
        Its name in results, and so the name of its files in the run folder.
    voxels : array of numbers, shape (z, y, x)
        The image; the model gets it as it is.
    reference : integer array, shape (z, y, x)
        0 is background, every other value is a label.
    spacing : tuple of float
        Voxel size in mm, (z, y, x).
    boxes : sequence of Box
        One for each label, ascending; without boxes the case has no step 0.
    modality, patient, dataset : str
        For tables and statistics; by default the modality and the dataset are those of a name such
        as ``CT_AMOS_0001``.

    Raises
    ------
    CaseError
        If the case is not valid under the protocol: what was expected, and what was found.
    """
    label_map = checked_reference(np.asarray(reference), f"{name}: reference")
    case = Case(
        name,
        Image(np.asarray(voxels), checked_spacing(np.asarray(spacing), name)),
        label_map,
        tuple(boxes),
        foreground_labels(label_map),
        modality,
        patient,
        dataset,
    )
    return valid_case(case)


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """A valid case in memory, with the same methods as a case in a file."""

    case: Case
    digest: str  # sha256 of its arrays

    @classmethod
    def of(cls, case: Case) -> CaseArrays:
        """Check a case as `valid_case` does, and name it by its arrays."""
        valid = valid_case(case)
        return cls(valid, arrays_sha256(valid))

    @property
    def name(self) -> str:
        """The case's name."""
        return self.case.name

    @property
    def metadata(self) -> CaseMetadata:
        """Modality, patient and dataset."""
        return CaseMetadata(self.case.modality, self.case.patient, self.case.dataset)

    def read(self) -> Case:
        """Return the case."""
        return self.case

    def check(self) -> None:
        """Do nothing: the case was checked when it was given."""

    def sha256(self) -> tuple[str, None]:
        """Return the sha256 of the arrays."""
        return self.digest, None

    def array_bytes(self) -> int:
        """Return the bytes of image, reference and six label maps."""
        return self.case.image.voxels.nbytes + 8 * self.case.reference.nbytes


def valid_case(case: Case) -> Case:
    """Return a case as one that was read from a file.

    Raises
    ------
    CaseError
        If its name cannot be that of a file, or it is not valid under the protocol.
    """
    _check_name(case.name)
    _check_types(case)
    reference = checked_reference(case.reference, f"{case.name}: reference")
    spacing = checked_spacing(np.asarray(case.image.spacing), case.name)
    check_image(
        ArrayHeader(case.image.voxels.shape, case.image.voxels.dtype),
        reference,
        case.name,
        words=("voxels", "reference"),
    )
    labels = foreground_labels(reference)
    if tuple(case.labels) != labels:
        raise CaseError(f"{case.name}: labels: expected {labels}, found {tuple(case.labels)}")
    _check_boxes(case)
    by_name = metadata_in_name(case.name)
    return replace(
        case,
        image=Image(case.image.voxels, spacing),
        reference=reference,
        labels=labels,
        modality=case.modality or by_name.modality,
        dataset=case.dataset or by_name.dataset,
    )


def arrays_sha256(case: Case) -> str:
    """Return the sha256 of what moves a number in a case: arrays, spacing, boxes, memory order.

    Equal values give equal hashes, whatever the dtype of the label map. Byte order does not count;
    the dtype of the image does, because a model sees it.
    """
    facts = {
        "imgs": [case.image.voxels.dtype.newbyteorder("<").str, case.image.voxels.shape],
        "spacing": case.image.spacing,
        "boxes": [asdict(box) for box in case.boxes],
        # it decides between errors of equal size (PROTOCOL 4.2)
        "fortran_order": in_fortran_order(case.reference),
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=int).encode())
    narrow = case.reference.astype(label_map_dtype(case.labels), copy=False)
    for array in (case.image.voxels, narrow):
        for plane in array:
            digest.update(np.ascontiguousarray(plane, plane.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or name[0] == "." or set(name) & set("/\\\0"):
        raise CaseError(
            "name of a case: expected text that can be the name of a file, without slashes and "
            f"without a dot at its beginning, found {name!r}"
        )


def _check_types(case: Case) -> None:
    image = case.image
    if not isinstance(image, Image) or not isinstance(image.voxels, np.ndarray):
        found = type(image.voxels if isinstance(image, Image) else image).__name__
        raise CaseError(
            f"{case.name}: image: expected an Image of a numpy array and a spacing, found {found}; "
            "segbench.case_from_arrays makes a case of arrays"
        )
    if not isinstance(case.reference, np.ndarray):
        found = type(case.reference).__name__
        raise CaseError(f"{case.name}: reference: expected a numpy array, found {found}")
    for box in case.boxes:
        if not isinstance(box, Box):
            raise CaseError(
                f"{case.name}: boxes: expected Box objects, found {box!r}; make each with "
                "segbench.Box(label, low, high, mid_slice), all in (z, y, x)"
            )
        if len(tuple(box.low)) != 3 or len(tuple(box.high)) != 3:
            raise CaseError(
                f"{case.name}: boxes: expected low and high of three numbers (z, y, x), found "
                f"{box.low} and {box.high}"
            )


def _check_boxes(case: Case) -> None:
    found = tuple(box.label for box in case.boxes)
    if found and found != tuple(case.labels):
        raise CaseError(f"{case.name}: boxes: expected one per label {case.labels}, found {found}")
    for box in case.boxes:
        if min(box.low) < 0 or any(a >= b for a, b in zip(box.low, box.high, strict=True)):
            raise CaseError(
                f"{case.name}: boxes: expected bounds from 0 on, each low below its high, found "
                f"low {box.low} and high {box.high}"
            )
