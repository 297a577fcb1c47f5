"""Label maps beside the reference of their case, one bit a voxel in each label's own frame.

Clicks and scores of a step look at the same voxels; what is common to both is made once here, and
what does not depend on the prediction once a case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from segbench.core import LabelMap, Mask
from segbench.protocol.packed_mask import PackedMask, Window, pack
from segbench.protocol.validation import refuse_no_label_map, refuse_other_shape

SLAB = 2**20  # voxels, so that labels like noise take no more memory than others
MARGIN = 3  # voxels around a label, so that the next prediction mostly fits its frame too


@dataclass(frozen=True, eq=False)
class MaskPairs:
    """One label map beside the reference: for each label, ascending, both masks in one frame.

    A label that neither of the two has is missing (PROTOCOL 4.1, 5).
    """

    prediction: LabelMap
    predicted: dict[int, PackedMask]
    expected: dict[int, PackedMask]
    in_fortran_order: bool  # both label maps are, which decides between equal errors (PROTOCOL 4.2)
    unknown: tuple[int, ...]  # labels of the prediction that are not compared, ascending

    def repeats(self, other: MaskPairs) -> bool:
        """Whether errors and clicks are those of another one, of the same reference (PROTOCOL 4).

        Bits of the reference are the same object as long as their frame stays.
        """
        alike = self.in_fortran_order == other.in_fortran_order and self.expected == other.expected
        pairs = zip(self.predicted.values(), other.predicted.values(), strict=True)
        return alike and all(np.array_equal(mine.words, its.words) for mine, its in pairs)


class PreparedReference:
    """The reference standard of one case, made ready to be compared with many predictions.

    Parameters
    ----------
    label_map : unsigned integer array, shape (z, y, x)
        Must not change while this is in use.
    labels : int
        The labels to compare; other values only count as wrong voxels (PROTOCOL 1.5).

    Raises
    ------
    CaseError
        If it is not three-dimensional or not of integers.
    """

    def __init__(self, label_map: LabelMap, labels: Iterable[int]) -> None:
        refuse_no_label_map(label_map, "reference")
        self.labels = tuple(sorted(set(map(int, labels))))
        self._in_fortran_order = in_fortran_order(label_map)
        self._label_map = np.ascontiguousarray(label_map)
        self._frames: dict[int, Window] = {}
        self._expected: dict[int, PackedMask] = {}
        self._last: MaskPairs | None = None
        self._fit(label_rois(self._label_map))

    def compare(self, prediction: LabelMap) -> MaskPairs:
        """Put a label map beside the reference; neither may change afterwards (PROTOCOL 4.1, 5).

        Raises
        ------
        CaseError
            If it is not of integers or has another shape than the reference.
        """
        refuse_no_label_map(prediction, "prediction")
        refuse_other_shape(prediction, self._label_map)
        voxels = np.ascontiguousarray(prediction)
        unknown: tuple[int, ...] = ()
        predicted = {} if self._last is None else self._pack(voxels)
        n_seen = sum(bits.count for bits in predicted.values())
        if self._last is None or n_seen != np.count_nonzero(voxels):
            # the first, or something lies outside the frame of its label, or has another label
            windows = label_rois(voxels)
            self._fit(windows)
            predicted = self._pack(voxels)
            unknown = tuple(sorted(windows.keys() - set(self.labels)))
        for label in predicted.keys() - self._expected.keys():
            self._expected[label] = pack(self._label_map, label, self._frames[label])
        expected = {label: self._expected[label] for label in predicted}
        fortran = self._in_fortran_order and in_fortran_order(prediction)
        self._last = MaskPairs(prediction, predicted, expected, fortran, unknown)
        return self._last

    def compared(self, prediction: LabelMap) -> MaskPairs:
        """Return the last comparison if it was with this array, else make it (PROTOCOL 3.1)."""
        if self._last is not None and self._last.prediction is prediction:
            return self._last
        return self.compare(prediction)

    def _pack(self, voxels: LabelMap) -> dict[int, PackedMask]:
        """Return the bits of each label that has a frame (PROTOCOL 4.1, 5)."""
        framed = (label for label in self.labels if label in self._frames)
        return {label: pack(voxels, label, self._frames[label]) for label in framed}

    def _fit(self, windows: dict[int, Window]) -> None:
        """Enlarge frames so that they hold these windows and a margin (PROTOCOL 4.1, 5)."""
        for label in windows.keys() & set(self.labels):
            window = windows[label]
            sides = zip(window, self._frames.get(label, window), self._label_map.shape, strict=True)
            frame = tuple(
                slice(min(max(w.start - MARGIN, 0), f.start), max(min(w.stop + MARGIN, n), f.stop))
                for w, f, n in sides
            )
            if frame != self._frames.get(label):
                self._frames[label] = frame
                self._expected.pop(label, None)


def label_rois(labels: LabelMap) -> dict[int, Window]:
    """Return the box around each label that a label map has, ascending (PROTOCOL 1.1, 4.1)."""
    n_planes = max(SLAB // labels[0].size, 1)  # looked at together
    room = np.empty(n_planes * labels[0].size, bool)  # once: new memory costs more than looking
    windows: dict[int, Window] = {}
    for z in range(0, len(labels), n_planes):
        for label, low, high in _ends_of_runs(labels[z : z + n_planes], room):
            window = slice(z + low[0], z + high[0]), slice(low[1], high[1]), slice(low[2], high[2])
            sides = zip(window, windows.get(label, window), strict=True)
            windows[label] = tuple(
                slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in sides
            )
    return dict(sorted(windows.items()))


def _ends_of_runs(labels: LabelMap, room: Mask) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield each label, the first voxel of the box around it and the one behind (PROTOCOL 4.1).

    To look only at both ends of each run along x is many times as fast as at all voxels.
    """
    flat, begins = labels.ravel(), room[: labels.size]
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: labels.shape[2]] = True  # each row begins with a run
    first = np.flatnonzero(begins)
    last = np.append(first[1:], flat.size) - 1
    order = np.argsort(flat[first], kind="stable")
    order = order[np.count_nonzero(flat[first] == 0) :]
    if len(order):
        found, starts = np.unique(flat[first[order]], return_index=True)
        low, high = (np.stack(np.unravel_index(at[order], labels.shape)) for at in (first, last))
        low = np.minimum.reduceat(low, starts, axis=1)
        high = np.maximum.reduceat(high, starts, axis=1) + 1
        yield from zip(found.tolist(), low.T.tolist(), high.T.tolist(), strict=True)


def in_fortran_order(array: LabelMap) -> bool:
    """Whether an array lies in memory in Fortran order only, which decides ties (PROTOCOL 4.2)."""
    return array.flags.f_contiguous and not array.flags.c_contiguous
