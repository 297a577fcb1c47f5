"""One label map from segments that may overlap.

Where two segments overlap, the later one, with the larger number, is kept: a voxel of a label map
has one value. What is lost is noted; a segment of which nothing is left is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import MAX_LABEL
from segbench.errors import CaseError

Voxels = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]  # (column, row, slice)


def painted(
    shape: tuple[int, ...],
    parts: Iterable[tuple[int, Voxels]],
    names: Mapping[int, str],
    source: str,
) -> tuple[NDArray[np.unsignedinteger[Any]], tuple[str, ...]]:
    """Return a label map and what is to be noted of overlaps.

    Parameters
    ----------
    shape : (columns, rows, slices)
    parts : iterable of (label, voxels)
        In any order; no voxel twice in a part.
    names : mapping of label to name
        Of all labels of the parts.
    source : str
        Of the file, for messages.

    Raises
    ------
    CaseError
        If a label cannot be stored, or nothing is left of one because later ones cover it.
    """
    if max(names, default=0) > MAX_LABEL or min(names, default=1) < 1:
        raise CaseError(f"{source}: expected labels from 1 to {MAX_LABEL}, found {max(names)}")
    kind = np.uint8 if max(names, default=0) <= 255 else np.uint16
    labels = np.zeros(shape[::-1], kind).transpose(2, 1, 0)
    covered: Counter[tuple[int, int]] = Counter()  # (earlier, later): voxels
    seen: set[int] = set()
    for label, voxels in parts:
        if not voxels[0].size:
            continue
        seen.add(label)
        before = labels[voxels]
        for other, count in zip(*np.unique(before, return_counts=True), strict=True):
            if other not in (0, label):
                covered[min(int(other), label), max(int(other), label)] += int(count)
        labels[voxels] = np.maximum(before, kind(label))
    gone = seen - set(np.flatnonzero(_counts(labels)).tolist())
    if gone:
        first = min(gone)
        over = max((pair for pair in covered if pair[0] == first), key=covered.__getitem__)[1]
        raise CaseError(
            f"{source}: expected some voxels of {_said(first, names)}, found none: "
            f"{_said(over, names)} is later and covers it; choose labels that do not overlap"
        )
    return labels, tuple(
        f"{_said(later, names)} covers {count} voxels of {_said(earlier, names)}: the later one "
        "is kept"
        for (earlier, later), count in sorted(covered.items())
    )


def _counts(labels: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.int64]:
    """Return how many voxels each value has, slice by slice: bincount makes 8 bytes of each."""
    counts = np.zeros(MAX_LABEL + 1, np.int64)
    for slice_ in range(labels.shape[2]):
        counts += np.bincount(labels[:, :, slice_].ravel(), minlength=MAX_LABEL + 1)
    counts[0] = 0
    return counts


def _said(label: int, names: Mapping[int, str]) -> str:
    return f"{names[label]!r} ({label})"
