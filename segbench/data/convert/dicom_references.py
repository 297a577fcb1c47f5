"""Whether labels were drawn on an image: both name their frame of reference and series by UIDs.

Two images may have equal grids, so the grid of labels alone does not say which image is theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from pydicom import Dataset

from segbench.data.convert.dicom_files import hashed, read_header, reading
from segbench.data.convert.volume import SeriesIds, Volume
from segbench.errors import CaseError

REFERENCE_TAGS = (
    *("FrameOfReferenceUID", "ReferencedFrameOfReferenceSequence"),
    *("StructureSetROISequence", "ReferencedSeriesSequence"),
)
OTHER_SERIES = "the labels were drawn on another series of the same frame of reference"
UNSTATED = (
    "state no frame of reference: nothing but their grid says that image and labels belong together"
)


def ids_of(series: str, headers: Iterable[Dataset]) -> SeriesIds:
    """Return by which labels name an image as theirs."""
    frames = {hashed(header.get("FrameOfReferenceUID")) for header in headers}
    return SeriesIds(hashed(series), frozenset(frames - {""}))


def require_same_reference(
    file: Path, image: Volume, structures: Collection[int] | None = None
) -> list[str]:
    """Refuse labels in another frame of reference than their image; return what is to be noted.

    Parameters
    ----------
    file : Path
        A SEG or RTSTRUCT.
    image : Volume
        Of a DICOM series.
    structures : collection of int, optional
        The structures of an RTSTRUCT that count, from 1 in its order.

    Raises
    ------
    CaseError
        If the frames of reference differ, or the image is no DICOM series.
    """
    if image.ids is None:
        raise CaseError(
            f"{file}: expected a DICOM series as the image of DICOM labels, found another kind of "
            "image; convert the series itself"
        )
    header = read_header(file, REFERENCE_TAGS)
    with reading(file):
        labelled = _frames_of_reference(header, structures)
        series = _series(header)
    there = image.ids.frames_of_reference
    if labelled and there and not labelled <= there:
        raise CaseError(
            f"{file}: expected labels in the frame of reference of the image, found another one: "
            "they belong to other images"
        )
    if not labelled or not there:
        return [f"the {'image' if labelled else 'labels'} {UNSTATED}"]
    return [OTHER_SERIES] if series and image.ids.series not in series else []


def _frames_of_reference(header: Dataset, structures: Collection[int] | None) -> set[str]:
    """Return those of the structures; where these state none, those of the file."""
    rois = enumerate(header.get("StructureSetROISequence") or [], 1)
    found = {
        hashed(roi.get("ReferencedFrameOfReferenceUID"))
        for label, roi in rois
        if structures is None or label in structures
    }
    if not found or "" in found:
        items = header.get("ReferencedFrameOfReferenceSequence") or [header]
        found |= {hashed(item.get("FrameOfReferenceUID")) for item in items}
    return found - {""}


def _series(header: Dataset) -> set[str]:
    """Return the series that labels name as theirs."""
    items = list(header.get("ReferencedSeriesSequence") or [])
    for frame in header.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            items += study.get("RTReferencedSeriesSequence") or []
    return {hashed(item.get("SeriesInstanceUID")) for item in items} - {""}
