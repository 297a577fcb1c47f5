"""Contours of radiotherapy (RTSTRUCT) to voxels of the image they were drawn on.

A structure set holds polygons, not voxels, so this is a rule and not a copy: on each slice a voxel
belongs to a structure if its centre is inside an odd number of the structure's polygons there. No
slice gets voxels that no contour is drawn on: nothing is interpolated between slices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from segbench.data.convert.dicom_files import read_header, reading, whole
from segbench.data.convert.dicom_painting import Voxels
from segbench.data.convert.dicom_placing import SNAP, indices_of
from segbench.data.convert.dicom_polygons import filled
from segbench.data.convert.dicom_seg import clean_name
from segbench.data.convert.volume import Volume
from segbench.errors import CaseError

STRUCTURE_TAGS = ("SOPClassUID", "StructureSetROISequence", "ROIContourSequence")
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR")
Contours = tuple[NDArray[np.float64], ...]  # each (n, 3), in mm in LPS


@dataclass(frozen=True)
class Structures:
    """The closed contours of a structure set, not parsed: a broken one concerns no other structure.

    Attributes
    ----------
    names : dict of int to str
        Labels are numbered from 1, in the order of the file.
    contours : dict of int to items
    notes : dict of int to tuple of str
        What was left out of each structure.
    has_strays : bool
        Whether there are contours of no structure.
    """

    file: Path
    names: dict[int, str]
    contours: dict[int, list[Dataset]]
    notes: dict[int, tuple[str, ...]]
    has_strays: bool


def read_structures(file: Path) -> Structures:
    """Read which structures a structure set has.

    Raises
    ------
    CaseError
        If it is damaged.
    """
    header = read_header(file, STRUCTURE_TAGS)
    names: dict[int, str] = {}
    contours: dict[int, list[Dataset]] = {}
    notes: dict[int, tuple[str, ...]] = {}
    with reading(file):
        drawn = _drawn(header, file)
        for label, item in enumerate(header.get("StructureSetROISequence") or [], 1):
            name = clean_name(item.get("ROIName"), f"structure {label}")
            items = drawn.pop(whole(item, "ROINumber", file), [])
            closed = [each for each in items if _is_closed(each)]
            notes[label] = _left_out(name, len(items) - len(closed), len(closed))
            if closed:
                names[label], contours[label] = name, closed
        return Structures(file, names, contours, notes, any(drawn.values()))


def structure_voxels(
    structures: Structures, image: Volume, wanted: Collection[int]
) -> Iterator[tuple[int, Voxels]]:
    """Yield the label and the voxels of each structure on each slice.

    Raises
    ------
    CaseError
        If a contour is damaged, between slices, not parallel to them, or outside the image.
    """
    columns, rows, _ = image.voxels.shape
    for label in sorted(wanted):
        slices: dict[int, list[NDArray[np.float64]]] = {}
        name = structures.names[label]
        for contour in _polygons(structures.contours[label], name, structures.file):
            index = indices_of(contour, image.affine)
            slice_ = _slice(index, image, name, structures.file)
            slices.setdefault(slice_, []).append(index[:, :2])
        for slice_, polygons in sorted(slices.items()):
            row, column = np.nonzero(filled(polygons, (rows, columns)))
            yield label, (column, row, np.full(len(row), slice_))


def _drawn(header: Dataset, file: Path) -> dict[int, list[Dataset]]:
    found: dict[int, list[Dataset]] = {}
    for item in header.get("ROIContourSequence") or []:
        contours = list(item.get("ContourSequence") or [])
        found.setdefault(whole(item, "ReferencedROINumber", file), []).extend(contours)
    return found


def _is_closed(item: Dataset) -> bool:
    return str(item.get("ContourGeometricType", "")) in CLOSED


def _left_out(name: str, n_open: int, n_closed: int) -> tuple[str, ...]:
    notes = []
    if n_open:
        notes.append(f"{name!r}: {n_open} of its contours are no closed polygons: left out")
    if not n_closed:
        notes.append(f"{name!r} has no closed contour: left out")
    return tuple(notes)


def _polygons(items: list[Dataset], name: str, file: Path) -> Contours:
    """Return the points of contours, each contour once: drawn twice, it would cancel itself."""
    found: dict[bytes, NDArray[np.float64]] = {}
    with reading(file):
        for item in items:
            points = _points(item, name, file)
            found.setdefault(points.tobytes(), points)
    return tuple(found.values())


def _points(item: Dataset, name: str, file: Path) -> NDArray[np.float64]:
    raw = item.get_item("ContourData")
    text = b"" if raw is None else raw.value
    if isinstance(text, bytes):  # as pydicom leaves it; its own numbers are 50 times slower
        text = text.rstrip(b" \0").split(b"\\")
    values = np.array(text if text != [b""] else []).astype(np.float64)
    if len(values) < 9 or len(values) % 3 or not np.isfinite(values).all():
        raise CaseError(
            f"{file}: expected three finite numbers for each of three or more points of a contour "
            f"of {name!r}, found {len(values)}; --labels chooses other structures"
        )
    return values.reshape(-1, 3)


def _slice(index: NDArray[np.float64], image: Volume, name: str, file: Path) -> int:
    """Return the slice that a contour is on."""
    height = index[:, 2]
    nearest = int(np.rint(np.median(height)))
    off = float(np.abs(height - nearest).max())
    normal = np.cross(image.affine[:3, 0], image.affine[:3, 1])
    distance = abs(float(image.affine[:3, 2] @ normal)) / float(np.linalg.norm(normal))
    if off > SNAP:
        raise CaseError(
            f"{file}: expected the contours of {name!r} on the slices of the image, found one "
            f"{off * distance:.3f} mm off"
        )
    last = image.voxels.shape[2] - 1
    if not 0 <= nearest <= last:
        beyond = max(-nearest, nearest - last) * distance
        raise CaseError(
            f"{file}: expected the contours of {name!r} inside the image, found one "
            f"{beyond:.1f} mm beyond its last slice"
        )
    return nearest
