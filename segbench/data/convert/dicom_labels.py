"""Read the labels of an image series: DICOM segmentations (SEG) or a structure set (RTSTRUCT)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segbench.data.convert.dicom_files import (
    SEGMENTATIONS,
    STRUCTURE_SET,
    dicom_files,
    kind_of,
    listed,
    read_header,
    reading,
)
from segbench.data.convert.dicom_painting import Painted, Voxels, painted
from segbench.data.convert.dicom_references import require_same_reference
from segbench.data.convert.dicom_rtstruct import read_structures, structure_voxels
from segbench.data.convert.dicom_seg import Seg, read_seg, seg_voxels
from segbench.data.convert.label_rule import ALL
from segbench.data.convert.volume import LabelVolume, Volume
from segbench.errors import CaseError
from segbench.messages import and_hint

CONTOURS = "contours to voxels: a voxel belongs to a structure if its centre is inside its polygons"
FRACTIONS = "fractional segments: voxels of at least half of the maximum are kept"


def read_labels(
    path: Path,
    image: Volume,
    *,
    only: Collection[str] | None = None,
    merged: Iterable[Collection[str]] = (),
) -> LabelVolume:
    """Read segments or structures as a label map on the grid of their image.

    Parameters
    ----------
    path : Path
        A SEG or RTSTRUCT file, or a folder with one RTSTRUCT or any number of SEG files.
    image : Volume
        As `read_series` gives it; the labels must have its frame of reference.
    only : collection of str, optional
        Names or numbers of the segments to read; others cannot cover them.
    merged : iterable of collections of str
        Names or numbers of segments that become one label later: no loss where these overlap.

    Returns
    -------
    LabelVolume
        Labels of one SEG are its segment numbers, those of several are numbered on from file to
        file, those of an RTSTRUCT from 1 in its order. Where labels overlap, the larger number is
        kept. The ``notes`` of the volume say which did, which have no voxel and what was left out,
        ``rule`` how contours or fractions became voxels.

    Raises
    ------
    CaseError
        If there are no labels, or their grid or frame of reference is not that of the image.
    """
    segs, structures = _label_files(path)
    asked = _Asked(path, only, tuple(merged))
    if segs:
        return _from_segs([read_seg(file) for file in segs], image, asked)
    found = read_structures(structures[0])
    if only is None and found.has_strays:
        raise CaseError(
            f"{path}: expected a structure of each contour, found contours of none; --labels "
            "chooses structures"
        )
    wanted = asked.wanted(found.names)
    notes = require_same_reference(structures[0], image, wanted)
    for label, texts in found.notes.items():
        notes += texts if only is None or label in wanted else ()
    names = _named(found.names, wanted)
    labels = asked.painted(image, structure_voxels(found, image, wanted), names)
    return _label_volume(image, labels, names, notes, CONTOURS)


@dataclass(frozen=True)
class _Asked:
    """Which segments of a place are asked for, by name or number."""

    path: Path
    only: Collection[str] | None
    merged: tuple[Collection[str], ...]

    def wanted(self, names: dict[int, str]) -> set[int]:
        """Return the labels to read.

        Raises
        ------
        CaseError
            If there are none, or a name is not there. A number that is not there has no voxels.
        """
        there = sorted(set(names.values()))
        if not names:
            raise CaseError(
                f"{self.path}: expected segments or structures, found none with content"
            )
        if self.only is None:
            return set(names)
        missing = sorted(word for word in set(self.only) - set(there) if not word.isdecimal())
        if missing:
            raise CaseError(
                f"{self.path}: expected names of its segments ({listed(there, 50)}), found "
                f"{missing[0]!r}{and_hint(missing[0], there)}"
            )
        return _meant(names, self.only)

    def painted(
        self, image: Volume, parts: Iterable[tuple[int, Voxels]], names: dict[int, str]
    ) -> Painted:
        """Return the label map of the voxels of labels."""
        groups = (
            set(names) if ALL in words and ALL not in names.values() else _meant(names, words)
            for words in self.merged
        )
        merged = [group for group in groups if group]
        return painted(image.voxels.shape, parts, names, str(self.path), merged=merged)


def _meant(names: dict[int, str], words: Collection[str]) -> set[int]:
    numbers = set(words) - set(names.values())  # a number that is a name stands for this one
    return {label for label, name in names.items() if name in words or str(label) in numbers}


def _from_segs(segs: list[Seg], image: Volume, asked: _Asked) -> LabelVolume:
    bases = np.cumsum([0, *(max(seg.names, default=0) for seg in segs)]).tolist()
    names = {
        base + number: name
        for base, seg in zip(bases, segs, strict=False)
        for number, name in seg.names.items()
    }
    wanted = asked.wanted(names)
    own = [
        (seg, base, {label - base for label in wanted})
        for seg, base in zip(segs, bases, strict=False)
    ]
    notes: list[str] = []
    for seg, _, numbers in own:
        if numbers & seg.names.keys():
            notes += require_same_reference(seg.file, image)

    def parts() -> Iterator[tuple[int, Voxels]]:
        for seg, base, numbers in own:
            for number, voxels in seg_voxels(seg, image, numbers):
                yield base + number, voxels

    names = _named(names, wanted)
    rule = FRACTIONS if any(seg.kind == "FRACTIONAL" for seg in segs) else ""
    return _label_volume(image, asked.painted(image, parts(), names), names, notes, rule)


def _label_volume(
    image: Volume, found: Painted, names: dict[int, str], notes: Iterable[str], rule: str
) -> LabelVolume:
    notes = tuple(dict.fromkeys((*notes, *found.notes)))
    return LabelVolume(Volume(found.labels, image.affine, notes), names, rule, found.empty)


def _named(names: dict[int, str], wanted: Collection[int]) -> dict[int, str]:
    return {label: names[label] for label in sorted(wanted)}


def _label_files(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the SEG files and the one RTSTRUCT file of a place: of one kind only."""
    segs, structures, kinds = [], [], set()
    for file in dicom_files(path):
        header = read_header(file, ("SOPClassUID",))
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
