"""The plain way for each optimisation, to measure what each one gains."""

from functools import cached_property

import cc3d
import numpy as np
from scipy.ndimage import find_objects

from segbench.core import Roi
from segbench.protocol import depth, mask_pairs, simulator
from segbench.protocol.packed_mask import PackedMask, Surface


def regions_of_the_last_step():
    whole = mask_pairs.PreparedReference.compare

    def compare(self, segmentation):
        self._grow_rois(mask_pairs.label_rois(segmentation))
        return whole(self, segmentation)

    mask_pairs.PreparedReference.compare = compare


def ends_of_runs():
    def label_rois(label_map) -> dict[int, Roi]:
        boxes = enumerate(find_objects(label_map), start=1)
        return {label: box for label, box in boxes if box is not None}

    mask_pairs.label_rois = label_rois


def erosion():
    depth.THIN = 0


def measuring_cores():
    depth._deepest_by_distance = lambda padded: depth._argmax_all(depth._squared_depth(padded))


def surfaces_of_the_reference():
    PackedMask.kept_surface = property(PackedMask.surface)
    Surface.dilated = lambda self, offsets: self.corners.dilate(offsets)


def positions_from_bytes():
    PackedMask.positions = cached_property(lambda self: np.flatnonzero(self.unpacked()))
    PackedMask.positions.__set_name__(PackedMask, "positions")


def counting_errors_only():
    connected = cc3d.connected_components

    def largest(error, *, in_fortran_order):
        error = error.trimmed()
        components = connected(error.unpacked().view(np.uint8), connectivity=26)
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        mask = components == np.argmax(sizes)
        box = simulator.bounding_box(mask)
        return mask[box], np.add(error.low, [side.start for side in box])

    simulator._largest_component = largest


def boxes_from_lines():
    simulator.bounding_box = lambda mask: find_objects(mask.view(np.uint8))[0]


TRICKS = {
    trick.__name__: trick
    for trick in (
        regions_of_the_last_step,
        ends_of_runs,
        erosion,
        measuring_cores,
        surfaces_of_the_reference,
        positions_from_bytes,
        counting_errors_only,
        boxes_from_lines,
    )
}
