"""Read the labels of an image series: DICOM segmentations (SEG) or a structure set (RTSTRUCT)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from pydicom import Dataset

from segbench.data.convert.dicom_files import (
    SEGMENTATIONS,
    STRUCTURE_SET,
    dicom_files,
    kind_of,
    listed,
    read_header,
    reading,
)
from segbench.data.convert.dicom_painting import Voxels, painted
from segbench.data.convert.dicom_rtstruct import read_structures, structure_voxels
from segbench.data.convert.dicom_seg import Seg, read_seg, seg_voxels
from segbench.data.convert.dicom_series import image_series
from segbench.data.convert.volume import LabelVolume, Volume
from segbench.errors import CaseError
from segbench.messages import and_hint

REFERENCE_TAGS = (
    *("SOPClassUID", "FrameOfReferenceUID", "ReferencedFrameOfReferenceSequence"),
    "StructureSetROISequence",
)
CONTOURS = "contours to voxels: a voxel belongs to a structure if its centre is inside its polygons"
FRACTIONS = "fractional segments: voxels of at least half of the maximum are kept"


def read_labels(
    path: Path, image: Volume, series_folder: Path, *, only: Collection[str] | None = None
) -> LabelVolume:
    """Read segments or structures as a label map on the grid of their image.

    Parameters
    ----------
    path : Path
        A SEG or RTSTRUCT file, or a folder with one RTSTRUCT or any number of SEG files.
    image : Volume
        As `read_series` gives it.
    series_folder : Path
        Where the image is from; the labels must have its frame of reference.
    only : collection of str, optional
        Names or numbers of the segments to read; others cannot cover them.

    Returns
    -------
    LabelVolume
        Labels of one SEG are its segment numbers, those of several are numbered on from file to
        file, those of an RTSTRUCT from 1 in its order. Where labels overlap, the larger number is
        kept. The ``notes`` of the volume say which did and what was left out, ``rule`` how contours
        or fractions became voxels.

    Raises
    ------
    CaseError
        If there are no labels, or their grid is not that of the image.
    """
    segs, structures = _label_files(path)
    for file in (*segs, *structures):
        _check_reference(file, series_folder)
    if segs:
        return _from_segs([read_seg(file) for file in segs], image, only, path)
    found = read_structures(structures[0])
    wanted = _wanted(found.names, only, path)
    parts = structure_voxels(found, image, wanted)
    labels, notes = painted(image.voxels.shape, parts, _named(found.names, wanted), str(path))
    volume = Volume(labels, image.affine, (*found.notes, *notes))
    return LabelVolume(volume, _named(found.names, wanted), CONTOURS)


def _from_segs(
    segs: list[Seg], image: Volume, only: Collection[str] | None, path: Path
) -> LabelVolume:
    bases = np.cumsum([0, *(max(seg.names, default=0) for seg in segs)]).tolist()
    names = {
        base + number: name
        for base, seg in zip(bases, segs, strict=False)
        for number, name in seg.names.items()
    }
    wanted = _wanted(names, only, path)

    def parts() -> Iterator[tuple[int, Voxels]]:
        for base, seg in zip(bases, segs, strict=False):
            for number, voxels in seg_voxels(seg, image, {label - base for label in wanted}):
                yield base + number, voxels

    labels, notes = painted(image.voxels.shape, parts(), _named(names, wanted), str(path))
    rule = FRACTIONS if any(seg.kind == "FRACTIONAL" for seg in segs) else ""
    return LabelVolume(Volume(labels, image.affine, notes), _named(names, wanted), rule)


def _named(names: dict[int, str], wanted: Collection[int]) -> dict[int, str]:
    return {label: names[label] for label in sorted(wanted)}


def _wanted(names: dict[int, str], only: Collection[str] | None, path: Path) -> set[int]:
    """Return the labels to read.

    Raises
    ------
    CaseError
        If there are none, or a name is not there. A number that is not there has no voxels.
    """
    there = sorted(set(names.values()))
    if not names:
        raise CaseError(f"{path}: expected segments or structures, found none with content")
    if only is None:
        return set(names)
    missing = sorted(word for word in set(only) - set(there) if not word.isdigit())
    if missing:
        raise CaseError(
            f"{path}: expected names of its segments ({listed(there, 50)}), found {missing[0]!r}"
            f"{and_hint(missing[0], there)}"
        )
    numbers = set(only) - set(there)  # a number that is the name of a segment stands for this one
    return {label for label, name in names.items() if name in only or str(label) in numbers}


def _label_files(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the SEG files and the one RTSTRUCT file of a place: of one kind only."""
    segs, structures, kinds = [], [], set()
    for file in dicom_files(path):
        header = read_header(file, REFERENCE_TAGS)
        with reading(file):
            kind = str(header.get("SOPClassUID", ""))
            segs += [file] if kind in SEGMENTATIONS else []
            structures += [file] if kind == STRUCTURE_SET else []
            kinds.add(kind_of(kind))
    if not segs and not structures:
        raise CaseError(f"{path}: expected DICOM SEG or RTSTRUCT, found {listed(sorted(kinds))}")
    if len(structures) > 1 or (segs and structures):
        raise CaseError(
            f"{path}: expected SEG files or one RTSTRUCT, found {len(segs)} SEG and "
            f"{len(structures)} RTSTRUCT; name one: {listed([*structures, *segs])}"
        )
    return segs, structures


def _check_reference(file: Path, series_folder: Path) -> None:
    """Raise an error if labels are in another frame of reference than all images of a folder."""
    header = read_header(file, REFERENCE_TAGS)
    with reading(file):
        labelled = _references(header)
        there = {
            str(image["FrameOfReferenceUID"].value)
            for headers in image_series(series_folder).values()
            for _, image in headers
            if image.get("FrameOfReferenceUID")
        }
    if labelled and there and not labelled <= there:
        raise CaseError(
            f"{file}: expected labels in the frame of reference of the images in {series_folder}, "
            "found another one: they belong to other images"
        )


def _references(header: Dataset) -> set[str]:
    rois = header.get("StructureSetROISequence") or []
    found = {str(roi.get("ReferencedFrameOfReferenceUID") or "") for roi in rois} - {""}
    if found:
        return found
    items = header.get("ReferencedFrameOfReferenceSequence") or [header]
    return {str(item.get("FrameOfReferenceUID") or "") for item in items} - {""}
