"""One label map from segments that may overlap.

Where two segments overlap, the later one, with the larger number, is kept: a voxel of a label map
has one value. What is lost is noted; a segment of which nothing is left is an error. Segments that
become one label lose nothing to each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import MAX_LABEL
from segbench.errors import CaseError
from segbench.messages import counted

Voxels = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]  # (column, row, slice)
Overlaps = Counter[tuple[int, int]]  # (earlier, later): voxels


@dataclass(frozen=True, eq=False)
class Painted:
    """A label map, the labels that have no voxel, and what is to be noted of both."""

    labels: NDArray[np.unsignedinteger[Any]]
    empty: Collection[int]
    notes: tuple[str, ...]


def painted(
    shape: tuple[int, ...],
    parts: Iterable[tuple[int, Voxels]],
    names: Mapping[int, str],
    source: str,
    *,
    merged: Iterable[Collection[int]] = (),
) -> Painted:
    """Return a label map and what is to be noted.

    Parameters
    ----------
    shape : (columns, rows, slices)
    parts : iterable of (label, voxels)
        In any order; no voxel twice in a part.
    names : mapping of label to name
        Of all labels of the parts.
    source : str
        Of the file, for messages.
    merged : iterable of collections of labels
        Those that become one label later.

    Raises
    ------
    CaseError
        If a label cannot be stored, or nothing is left of one because later ones cover it.
    """
    if max(names, default=0) > MAX_LABEL or min(names, default=1) < 1:
        raise CaseError(f"{source}: expected labels from 1 to {MAX_LABEL}, found {max(names)}")
    kind = np.uint8 if max(names, default=0) <= 255 else np.uint16
    labels = np.zeros(shape[::-1], kind).transpose(2, 1, 0)
    group_of = {label: min(group) for group in merged for label in group}
    group_of = {label: group_of.get(label, label) for label in names}
    covered: Overlaps = Counter()
    seen: set[int] = set()
    for label, voxels in parts:
        if not voxels[0].size:
            continue
        seen.add(label)
        before = labels[voxels]
        for other, count in zip(*np.unique(before, return_counts=True), strict=True):
            if other and group_of[int(other)] != group_of[label]:
                covered[min(int(other), label), max(int(other), label)] += int(count)
        labels[voxels] = np.maximum(before, kind(label))
    _require_left(labels, seen, covered, group_of, names, source)
    empty = sorted(names.keys() - seen)
    notes = [f"no voxel of {said(label, names)}" for label in empty]
    notes += [
        f"{said(later, names)} covers {counted(count, 'voxel')} of {said(earlier, names)}: "
        "the later one is kept"
        for (earlier, later), count in sorted(covered.items())
    ]
    return Painted(labels, empty, tuple(notes))


def said(label: int, names: Mapping[int, str]) -> str:
    """Return a label in the words of a message: its name and its number."""
    return f"{names[label]!r} ({label})"


def _require_left(
    labels: NDArray[np.unsignedinteger[Any]],
    seen: Collection[int],
    covered: Overlaps,
    group_of: Mapping[int, int],
    names: Mapping[int, str],
    source: str,
) -> None:
    """Raise an error if a label, or all that become one, are covered."""
    left = {group_of[label] for label in np.flatnonzero(_counts(labels)).tolist()}
    first = min((label for label in seen if group_of[label] not in left), default=None)
    if first is None:
        return
    over = max(
        (pair for pair in covered if group_of[pair[0]] == group_of[first]), key=covered.__getitem__
    )[1]
    raise CaseError(
        f"{source}: expected some voxels of {said(first, names)}, found none: "
        f"{said(over, names)} is later and covers it; choose labels that do not overlap"
    )


def _counts(labels: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.int64]:
    """Return how many voxels each value has, slice by slice: bincount makes 8 bytes of each."""
    counts = np.zeros(MAX_LABEL + 1, np.int64)
    for slice_ in range(labels.shape[2]):
        counts += np.bincount(labels[:, :, slice_].ravel(), minlength=MAX_LABEL + 1)
    counts[0] = 0
    return counts
