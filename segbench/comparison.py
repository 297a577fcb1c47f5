"""Label maps beside the reference of their case, one bit a voxel in each label's own frame.

Clicks and scores of a step look at the same voxels; what is common to both is made once here, and
what does not depend on the prediction once a case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.bits import Bits, Window, extent, pack
from segbench.core import LabelMap, Voxel

SLAB = 2**20  # voxels looked at together, so that they stay near the processor
MARGIN = 3  # voxels around a label, so that the next prediction mostly fits its frame too


@dataclass(frozen=True, eq=False)
class Comparison:
    """One label map beside the reference: for each label, ascending, both masks in one frame.

    A label that neither of the two has is missing.
    """

    prediction: LabelMap
    predicted: dict[int, Bits]
    expected: dict[int, Bits]
    in_fortran_order: bool  # both label maps are, which decides between equal errors (PROTOCOL 4.2)
    unknown: tuple[int, ...]  # labels of the prediction that are not compared, ascending

    def repeats(self, other: Comparison) -> bool:
        """Whether the errors are those of another comparison with the same reference."""
        pairs = (self.predicted, other.predicted), (self.expected, other.expected)
        # bits that are equal are the same object, and no two objects are equal
        return self.in_fortran_order == other.in_fortran_order and all(a == b for a, b in pairs)


class Reference:
    """The reference standard of one case, made ready to be compared with many predictions.

    Parameters
    ----------
    label_map : unsigned integer array, shape (z, y, x)
        Must not change while this is in use.
    labels : int
        The labels to compare; other values only count as wrong voxels.
    """

    def __init__(self, label_map: LabelMap, labels: Iterable[int]) -> None:
        self.labels = tuple(sorted(set(map(int, labels))))
        self._in_fortran_order = in_fortran_order(label_map)
        self._label_map = np.ascontiguousarray(label_map)
        self._windows = label_windows(self._label_map)
        self._frames: dict[int, Window] = {}
        self._expected: dict[int, Bits] = {}
        self._last: Comparison | None = None

    def compare(self, prediction: LabelMap) -> Comparison:
        """Put a label map beside the reference; neither may change afterwards."""
        if prediction.shape != self._label_map.shape:
            shapes = f"prediction {prediction.shape} and reference {self._label_map.shape}"
            raise ValueError(f"{shapes}: expected one shape")
        voxels = np.ascontiguousarray(prediction)
        unknown: tuple[int, ...] = ()
        predicted = self._pack(voxels)
        if not self._frames or sum(b.count for b in predicted.values()) != np.count_nonzero(voxels):
            # something lies outside the frame of its label, or has a label of no interest
            windows = label_windows(voxels)
            self._fit(windows)
            predicted = self._pack(voxels)
            unknown = tuple(sorted(windows.keys() - set(self.labels)))
        fortran = self._in_fortran_order and in_fortran_order(prediction)
        self._last = Comparison(prediction, predicted, dict(self._expected), fortran, unknown)
        return self._last

    def compared(self, prediction: LabelMap) -> Comparison:
        """Return the last comparison if it was with this very array, else make it."""
        if self._last is not None and self._last.prediction is prediction:
            return self._last
        return self.compare(prediction)

    def _pack(self, voxels: LabelMap) -> dict[int, Bits]:
        """Return the bits of each label with a frame: the last ones if they are equal."""
        seen = (label for label in self.labels if label in self._frames)
        before = self._last.predicted if self._last is not None else {}
        packed = {label: pack(voxels, label, self._frames[label]) for label in seen}
        return {label: bits.or_equal(before.get(label)) for label, bits in packed.items()}

    def _fit(self, windows: dict[int, Window]) -> None:
        """Enlarge each frame that does not hold its label's voxels in both label maps."""
        for label in self.labels:
            found = [w[label] for w in (self._windows, windows) if label in w]
            if not found:
                continue
            frame = self._frames.get(label)
            if frame is None or enclosing([frame, *found]) != frame:
                self._frames[label] = _grown(enclosing(found), self._label_map.shape)
                self._expected[label] = pack(self._label_map, label, self._frames[label])


def label_windows(labels: LabelMap) -> dict[int, Window]:
    """Return the box around each label, ascending."""
    from_above = labels.max(axis=0)
    y, x = extent(from_above.max(axis=1)), extent(from_above.max(axis=0))
    inside = labels[:, y, x]
    # slab by slab, because new memory costs more than looking at it; with a gap behind each row
    # no run of one label goes on in the next one
    _, height, width = inside.shape
    slab = min(max(SLAB // (height * width), 1), len(inside))
    rows = np.zeros((slab, height, width + 1), labels.dtype)
    windows: dict[int, Window] = {}
    for z in range(0, len(inside), slab):
        planes = rows[: len(inside) - z]
        planes[..., :-1] = inside[z : z + slab]
        for label, window in _windows_of_runs(planes, (z, y.start, x.start)):
            windows[label] = enclosing([window, windows.get(label, window)])
    return dict(sorted(windows.items()))


def _windows_of_runs(rows: LabelMap, low: Voxel) -> Iterator[tuple[int, Window]]:
    """Yield the box around each label, from ``low``; each row ends with background.

    To look only at both ends of each run along x is three times as fast as at all voxels.
    """
    flat = rows.ravel()
    change = np.concatenate([flat[:1] != 0, flat[1:] != flat[:-1], [False]])
    at = np.flatnonzero((change[1:] | change[:-1]) & (flat != 0))
    at = at[np.argsort(flat[at], kind="stable")]
    found, first = np.unique(flat[at], return_index=True)
    if len(found):
        ends = np.stack(np.unravel_index(at, rows.shape)) + np.array(low)[:, None]
        sides = (extreme.reduceat(ends, first, axis=1) for extreme in (np.minimum, np.maximum))
        for label, start, stop in zip(found.tolist(), *(s.T.tolist() for s in sides), strict=True):
            yield label, tuple(slice(a, b + 1) for a, b in zip(start, stop, strict=True))


def enclosing(windows: Iterable[Window]) -> Window:
    """Return the smallest window that holds all of some windows."""
    sides = zip(*windows, strict=True)
    return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)


def _grown(window: Window, shape: tuple[int, ...]) -> Window:
    return tuple(
        slice(max(side.start - MARGIN, 0), min(side.stop + MARGIN, size))
        for side, size in zip(window, shape, strict=True)
    )


def in_fortran_order(array: NDArray[Any]) -> bool:
    """Whether an array lies in memory in Fortran order only, which decides ties (PROTOCOL 4.2)."""
    return array.flags.f_contiguous and not array.flags.c_contiguous
