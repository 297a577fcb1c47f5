"""DICOM segmentations (SEG) to voxels of the image they were drawn on.

Binary segments are taken as they are. Of fractional ones a voxel counts from half of the maximum.
In label maps the values are the segments. A frame's place comes from its own position: frames may
be in any order, flipped or transposed against the image, or cover a part of it; where a segment has
no frame it has no voxels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from segbench.data.convert.dicom_files import read_header, reading, whole
from segbench.data.convert.dicom_frames import (
    FRAME_TAGS,
    Plane,
    check_size,
    functional_group,
    groups_of,
    plane_of,
)
from segbench.data.convert.dicom_painting import Voxels
from segbench.data.convert.dicom_pixels import stored_frames
from segbench.data.convert.dicom_placing import voxels_of
from segbench.data.convert.volume import Volume
from segbench.errors import CaseError

SEG_TAGS = (
    *FRAME_TAGS,
    *("SegmentationType", "MaximumFractionalValue", "SegmentSequence", "PixelPaddingValue"),
)
LONGEST_NAME = 64


@dataclass(frozen=True)
class Seg:
    """A segmentation file without its pixels."""

    file: Path
    kind: str  # BINARY, FRACTIONAL or LABELMAP
    half: float  # of the largest fractional value
    names: dict[int, str]
    segments: tuple[int, ...]  # of each frame; 0 in label maps
    planes: tuple[Plane, ...]
    padding: int  # of label maps: a second value of background


def read_seg(file: Path) -> Seg:
    """Read the header of a segmentation.

    Raises
    ------
    CaseError
        If it is damaged, or its frames have no position or no segment.
    """
    header = read_header(file, SEG_TAGS)
    with reading(file):
        check_size(header, file)
        kind = str(header.get("SegmentationType", ""))
        if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
            raise CaseError(
                f"{file}: expected a binary, fractional or label map segmentation, found another"
            )
        groups = groups_of(header, file)
        half = whole(header, "MaximumFractionalValue", file) / 2 if kind == "FRACTIONAL" else 0.5
        return Seg(
            file,
            kind,
            half,
            _names(header, file),
            tuple(0 if kind == "LABELMAP" else _segment(header, group, file) for group in groups),
            tuple(plane_of(header, group, file) for group in groups),
            int(header.get("PixelPaddingValue") or 0),
        )


def seg_voxels(seg: Seg, image: Volume, wanted: Collection[int]) -> Iterator[tuple[int, Voxels]]:
    """Yield the segments of each frame and their voxels in the image.

    Raises
    ------
    CaseError
        If a frame is not on the image's grid, or all segments are read and one is not described.
    """
    every = seg.names.keys() <= set(wanted)
    planes = zip(seg.planes, seg.segments, stored_frames(seg.file), strict=False)
    for number, (plane, segment, frame) in enumerate(planes):
        for label, mask in _masks(seg, frame, segment):
            if every and label not in seg.names:
                raise CaseError(
                    f"{seg.file}: frame {number}: expected a segment that is described, found "
                    f"{label}"
                )
            if label in wanted:
                yield label, voxels_of(mask, plane, image, str(seg.file))


def clean_name(text: object, otherwise: str) -> str:
    """Return a name on one line of printable characters."""
    found = " ".join("".join(c if c.isprintable() else " " for c in str(text or "")).split())
    return found[:LONGEST_NAME] or otherwise


def _names(header: Dataset, file: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for item in header.get("SegmentSequence") or []:
        number = whole(item, "SegmentNumber", file)
        if number in names:
            raise CaseError(f"{file}: expected each segment once, found {number} twice")
        coded = (item.get("SegmentedPropertyTypeCodeSequence") or [Dataset()])[0]
        text = item.get("SegmentLabel") or coded.get("CodeMeaning")
        if number != 0:  # background, in label maps
            names[number] = clean_name(text, f"segment {number}")
    return names


def _segment(header: Dataset, group: Dataset, file: Path) -> int:
    item = functional_group(header, group, "SegmentIdentificationSequence")
    return whole(item, "ReferencedSegmentNumber", file)


def _masks(seg: Seg, frame: NDArray[Any], segment: int) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    if seg.kind != "LABELMAP":
        yield segment, frame >= seg.half
        return
    for label in np.unique(frame).tolist():
        if label not in (0, seg.padding):
            yield label, frame == label
