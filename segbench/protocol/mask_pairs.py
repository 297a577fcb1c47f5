"""Predictions compared with the reference: per label, both masks packed in one region.

Clicks and scores of a step use the same voxels. They are extracted here once per step, and what
does not depend on the prediction once per case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from segbench.core import LabelMap, Mask
from segbench.protocol.packed_mask import PackedMask, Roi, pack_label
from segbench.protocol.validation import require_label_map, require_same_shape

CHUNK_VOXELS = 2**20  # examined together: very fragmented label maps need no more memory
MARGIN = 3  # voxels around a label, so that the next prediction mostly fits its region, too


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
        self._fits_a_prediction = False
        self._fit_rois(label_rois(self._label_map))

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
        unknown: tuple[int, ...] = ()
        n_foreground = np.count_nonzero(voxels)
        # the first prediction mostly leaves the regions around the reference: not tried
        predicted = self._pack(voxels) if self._fits_a_prediction or not n_foreground else {}
        if sum(mask.count for mask in predicted.values()) != n_foreground:
            # something is outside the region of its label, or has another label
            rois = label_rois(voxels)
            self._fit_rois(rois)
            self._fits_a_prediction = True
            predicted = self._pack(voxels)
            unknown = tuple(sorted(rois.keys() - set(self.labels)))
        for label in predicted.keys() - self._expected.keys():
            self._expected[label] = pack_label(self._label_map, label, self._rois[label])
        expected = {label: self._expected[label] for label in predicted}
        fortran = self._in_fortran_order and in_fortran_order(segmentation)
        return MaskPairs(segmentation, predicted, expected, fortran, unknown)

    def _pack(self, voxels: LabelMap) -> dict[int, PackedMask]:
        """Return the mask of each label that has a region."""
        with_roi = (label for label in self.labels if label in self._rois)
        return {label: pack_label(voxels, label, self._rois[label]) for label in with_roi}

    def _fit_rois(self, bounding_boxes: dict[int, Roi]) -> None:
        """Enlarge the regions of labels so that they contain these bounding boxes and a margin."""
        for label in bounding_boxes.keys() & set(self.labels):
            box = bounding_boxes[label]
            sides = zip(box, self._rois.get(label, box), self._label_map.shape, strict=True)
            roi = tuple(
                slice(min(max(b.start - MARGIN, 0), r.start), max(min(b.stop + MARGIN, n), r.stop))
                for b, r, n in sides
            )
            if roi != self._rois.get(label):
                self._rois[label] = roi
                self._expected.pop(label, None)


def label_rois(label_map: LabelMap) -> dict[int, Roi]:
    """Return the bounding box of each label of a label map, ascending by label."""
    n_planes = max(CHUNK_VOXELS // label_map[0].size, 1)  # examined together
    buffer = np.empty(n_planes * label_map[0].size, bool)  # reused: new memory is slow
    rois: dict[int, Roi] = {}
    for z in range(0, len(label_map), n_planes):
        for label, low, high in _bounds_from_runs(label_map[z : z + n_planes], buffer):
            roi = slice(z + low[0], z + high[0]), slice(low[1], high[1]), slice(low[2], high[2])
            sides = zip(roi, rois.get(label, roi), strict=True)
            rois[label] = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in sides)
    return dict(sorted(rois.items()))


def _bounds_from_runs(
    label_map: LabelMap, buffer: Mask
) -> Iterator[tuple[int, list[int], list[int]]]:
    """Yield each label, the first voxel of its bounding box and the one after the last.

    Only both ends of each run along x are examined, which is many times faster than all voxels.
    """
    flat, starts_run = label_map.ravel(), buffer[: label_map.size]
    np.not_equal(flat[1:], flat[:-1], out=starts_run[1:])
    starts_run[:: label_map.shape[2]] = True  # each row starts with a run
    first = np.flatnonzero(starts_run)
    last = np.append(first[1:], flat.size) - 1
    order = np.argsort(flat[first], kind="stable")
    order = order[np.count_nonzero(flat[first] == 0) :]
    if len(order):
        found, starts = np.unique(flat[first[order]], return_index=True)
        low, high = (np.stack(np.unravel_index(at[order], label_map.shape)) for at in (first, last))
        low = np.minimum.reduceat(low, starts, axis=1)
        high = np.maximum.reduceat(high, starts, axis=1) + 1
        yield from zip(found.tolist(), low.T.tolist(), high.T.tolist(), strict=True)


def in_fortran_order(array: LabelMap) -> bool:
    """Whether an array is in Fortran order in memory, and not also in C order (PROTOCOL 4.2)."""
    return array.flags.f_contiguous and not array.flags.c_contiguous
