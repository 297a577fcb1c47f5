"""Predictions compared with the reference: per label, both masks packed in one region.

Clicks and scores of a step use the same voxels. They are extracted here once per step, and what
does not depend on the prediction once per case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.core import LabelMap, Roi
from segbench.protocol.packed_mask import PackedMask, pack_label
from segbench.protocol.validation import require_label_map, require_same_shape

CHUNK_VOXELS = 2**20  # examined together: very fragmented label maps need no more memory
MARGIN = 3  # voxels around a label, so that the next prediction mostly fits its region, too

Corners = NDArray[np.intp]  # of boxes, (n, 3): the first voxels, or those after the last
LabelledBoxes = tuple[LabelMap, Corners, Corners]


@dataclass(frozen=True, eq=False)
class MaskPairs:
    """One label map and the reference: for each label, ascending, both masks in one region.

    A label that neither of the two contains is missing (PROTOCOL 4.1, 5).
    """

    segmentation: LabelMap
    predicted: dict[int, PackedMask]
    expected: dict[int, PackedMask]
    in_fortran_order: bool  # both label maps; decides between errors of equal size (PROTOCOL 4.2)
    unknown_labels: tuple[int, ...]  # of the segmentation, not compared, ascending


class PreparedReference:
    """The reference of one case, prepared to be compared with many predictions.

    Regions of interest grow with the predictions. They decide how fast a comparison is, never what
    it finds.

    Parameters
    ----------
    label_map : unsigned integer array, shape (z, y, x)
        Must not change afterwards.
    labels : int
        The labels to compare; other values only count as wrong voxels (PROTOCOL 1.5).

    Raises
    ------
    CaseError
        If the label map is not three-dimensional or not of integers.
    """

    def __init__(self, label_map: LabelMap, labels: Iterable[int]) -> None:
        require_label_map(label_map, "reference")
        self.labels = tuple(sorted(set(map(int, labels))))
        self._in_fortran_order = in_fortran_order(label_map)
        self._label_map = np.ascontiguousarray(label_map)
        self._rois: dict[int, Roi] = {}
        self._expected: dict[int, PackedMask] = {}
        self._grow_rois(label_rois(self._label_map))

    def compare(self, segmentation: LabelMap) -> MaskPairs:
        """Return both masks of each label; the segmentation must not change afterwards.

        Raises
        ------
        CaseError
            If the segmentation is not of integers or has another shape than the reference.
        """
        require_label_map(segmentation, "prediction")
        require_same_shape(segmentation, self._label_map)
        voxels = np.ascontiguousarray(segmentation)
        predicted = self._pack(voxels)
        unknown: tuple[int, ...] = ()
        if sum(mask.count for mask in predicted.values()) != np.count_nonzero(voxels):
            # something is outside the region of its label, or has another label
            predicted, unknown = self._pack_in_new_rois(voxels)
        expected = {label: self._expected[label] for label in predicted}
        fortran = self._in_fortran_order and in_fortran_order(segmentation)
        return MaskPairs(segmentation, predicted, expected, fortran, unknown)

    def _pack(self, voxels: LabelMap) -> dict[int, PackedMask]:
        """Return what the regions contain of their labels."""
        rois = sorted(self._rois.items())
        return {label: pack_label(voxels, label, roi) for label, roi in rois}

    def _pack_in_new_rois(self, voxels: LabelMap) -> tuple[dict[int, PackedMask], tuple[int, ...]]:
        """Return all of each label, in regions that contain it, and the labels not compared."""
        bounding_boxes = label_rois(voxels)
        self._grow_rois(bounding_boxes)
        return self._pack(voxels), tuple(sorted(bounding_boxes.keys() - set(self.labels)))

    def _grow_rois(self, bounding_boxes: Mapping[int, Roi]) -> None:
        """Make the regions contain these bounding boxes and a margin; pack the reference again."""
        for label in bounding_boxes.keys() & set(self.labels):
            needed = _with_margin(bounding_boxes[label], self._label_map.shape)
            roi = _union(needed, self._rois.get(label, needed))
            if roi != self._rois.get(label):
                self._rois[label] = roi
                self._expected[label] = pack_label(self._label_map, label, roi)


def _with_margin(box: Roi, shape: tuple[int, ...]) -> Roi:
    return tuple(
        slice(max(side.start - MARGIN, 0), min(side.stop + MARGIN, size))
        for side, size in zip(box, shape, strict=True)
    )


def _union(one: Roi, other: Roi) -> Roi:
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )


def label_rois(label_map: LabelMap) -> dict[int, Roi]:
    """Return the bounding box of each label of a label map, ascending by label.

    Only runs of equal voxels along x are examined, which is many times faster than all voxels. A
    run is a box itself: in this row label 7 has the boxes x = 2 to 4 and 6 to 7, united 2 to 7::

        x      0  1  2  3  4  5  6  7
        label  0  0  7  7  7  2  7  7
    """
    n_planes = max(CHUNK_VOXELS // label_map[0].size, 1)  # examined together
    boxes = [
        _unite_boxes(*_boxes_of_runs(label_map, slice(z, z + n_planes)))
        for z in range(0, len(label_map), n_planes)
    ]
    labels, low, high = _unite_boxes(*map(np.concatenate, zip(*boxes, strict=True)))
    corners = zip(low.tolist(), high.tolist(), strict=True)
    rois = (tuple(map(slice, first, stop)) for first, stop in corners)
    return dict(zip(labels.tolist(), rois, strict=True))


def _boxes_of_runs(label_map: LabelMap, planes: slice) -> LabelledBoxes:
    """Return the runs in some planes that are not background."""
    voxels = label_map[planes].ravel()
    starts_run = np.ones(voxels.size, bool)
    np.not_equal(voxels[1:], voxels[:-1], out=starts_run[1:])
    starts_run[:: label_map.shape[2]] = True  # each row starts with a run
    first = np.flatnonzero(starts_run)
    last = np.append(first[1:], voxels.size) - 1
    labels = voxels[first]
    inside, origin = labels != 0, planes.start * label_map[0].size
    low, high = (
        np.stack(np.unravel_index(origin + ends[inside], label_map.shape), axis=1)
        for ends in (first, last)
    )
    return labels[inside], low, high + 1


def _unite_boxes(labels: LabelMap, low: Corners, high: Corners) -> LabelledBoxes:
    """Return one box per label, ascending: the smallest that contains all boxes of the label."""
    by_label = np.argsort(labels, kind="stable")
    found, starts = np.unique(labels[by_label], return_index=True)
    return (
        found,
        np.minimum.reduceat(low[by_label], starts),
        np.maximum.reduceat(high[by_label], starts),
    )


def in_fortran_order(array: LabelMap) -> bool:
    """Whether an array is in Fortran order in memory, and not also in C order (PROTOCOL 4.2)."""
    return array.flags.f_contiguous and not array.flags.c_contiguous
