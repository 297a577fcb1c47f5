"""Label maps beside the reference of their case, one bit a voxel in each label's own frame.

Clicks and scores of a step look at the same voxels; what is common to both is made once here, and
what does not depend on the prediction once a case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from segbench.bits import Bits, Window, pack
from segbench.core import LabelMap

MIN_RUN = 8  # voxels on average; shorter runs of one label are not worth listing
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
        self.labels = tuple(sorted(set(labels)))
        self._in_fortran_order = _is_fortran(label_map)
        self._label_map = np.ascontiguousarray(label_map)
        self._windows = label_windows(self._label_map)
        self._frames: dict[int, Window] = {}
        self._expected: dict[int, Bits] = {}
        self._fit({})
        self._last: Comparison | None = None

    def compare(self, prediction: LabelMap) -> Comparison:
        """Put a label map of the same shape beside the reference."""
        voxels = np.ascontiguousarray(prediction)
        unknown: tuple[int, ...] = ()
        predicted = self._pack(voxels)
        if sum(bits.count for bits in predicted.values()) != np.count_nonzero(voxels):
            # something lies outside the frame of its label, or has a label of no interest
            windows = label_windows(voxels)
            self._fit(windows)
            predicted = self._pack(voxels)
            unknown = tuple(sorted(windows.keys() - set(self.labels)))
        in_fortran_order = self._in_fortran_order and _is_fortran(prediction)
        self._last = Comparison(
            prediction, predicted, dict(self._expected), in_fortran_order, unknown
        )
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
    box = _occupied(labels)
    # with a gap at both ends no run of one label goes on in the next row
    rows = np.pad(labels[box], ((0, 0), (0, 0), (1, 1)))
    ends = rows.ravel()[1:] != rows.ravel()[:-1]
    if np.count_nonzero(ends) > rows.size / MIN_RUN:
        found = enumerate(find_objects(rows), start=1)
        windows = {label: window for label, window in found if window is not None}
    else:
        windows = _windows_of_runs(rows, np.flatnonzero(ends))
    low = [side.start for side in box[:2]] + [box[2].start - 1]
    return {
        label: tuple(slice(s.start + o, s.stop + o) for s, o in zip(window, low, strict=True))
        for label, window in windows.items()
    }


def _windows_of_runs(rows: LabelMap, last: NDArray[np.intp]) -> dict[int, Window]:
    """Return the box around each label, given the flat positions before each change.

    Looking at the ends of runs only is three times as fast as looking at all voxels.
    """
    at = np.concatenate([last, last + 1])
    values = rows.ravel()[at]
    order = np.argsort(values, kind="stable")[np.count_nonzero(values <= 0) :]
    found, first = np.unique(values[order], return_index=True)
    if not len(found):
        return {}
    voxels = np.stack(np.unravel_index(at[order], rows.shape))
    low, high = (extreme.reduceat(voxels, first, axis=1) for extreme in (np.minimum, np.maximum))
    sides = zip(found.tolist(), low.T.tolist(), (high.T + 1).tolist(), strict=True)
    return {label: tuple(map(slice, starts, stops)) for label, starts, stops in sides}


def enclosing(windows: Iterable[Window]) -> Window:
    """Return the smallest window that holds all of some windows."""
    sides = zip(*windows, strict=True)
    return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)


def _occupied(labels: LabelMap) -> Window:
    """Return the box around everything; looking for labels in it alone is three times as fast."""
    from_above = labels.max(axis=0)
    lines = labels.max(axis=2).max(axis=1), from_above.max(axis=1), from_above.max(axis=0)
    used = [np.flatnonzero(line) for line in lines]
    return tuple(slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, 1) for at in used)


def _grown(window: Window, shape: tuple[int, ...]) -> Window:
    return tuple(
        slice(max(side.start - MARGIN, 0), min(side.stop + MARGIN, size))
        for side, size in zip(window, shape, strict=True)
    )


def _is_fortran(array: NDArray[Any]) -> bool:
    return array.flags.f_contiguous and not array.flags.c_contiguous
