"""Plain ways for what segbench does cleverly, to see what each trick is worth."""

from functools import cached_property

import cc3d
import numpy as np
from scipy.ndimage import find_objects

from segbench.protocol import depth, mask_pairs, scoring, simulator
from segbench.protocol.packed_mask import PackedMask, Window


def frames_of_the_last_step():
    fitted = mask_pairs.Reference.compare

    def compare(self, prediction):
        self._last = None
        return fitted(self, prediction)

    mask_pairs.Reference.compare = compare


def ends_of_runs():
    def label_rois(labels) -> dict[int, Window]:
        boxes = enumerate(find_objects(labels), start=1)
        return {label: box for label, box in boxes if box is not None}

    mask_pairs.label_windows = label_rois


def peeling():
    depth.THIN = 0


def measuring_cores():
    depth._measured = lambda room: depth._largest(depth._squares(room), np.zeros(3, int))


def surfaces_of_the_reference():
    scoring.lru_cache = lambda _: lambda made: made


def positions_from_bytes():
    PackedMask.positions = cached_property(lambda self: np.flatnonzero(self.mask()))
    PackedMask.positions.__set_name__(PackedMask, "positions")


def codes_from_pairs_of_bytes():
    def codes(self, corners):
        _, height, width = self.shape
        found = np.zeros(len(corners), np.uint8)
        octets = self.words.ravel().view(np.uint8)
        for number, (z, y, x) in enumerate(np.ndindex(2, 2, 2)):
            at = corners + (z * height + y) * width + x
            bit = octets.take(at >> 3, mode="clip") >> (at & 7).astype(np.uint8) & 1
            found |= bit << number
        return found

    PackedMask.codes = codes


def counting_errors_only():
    connected = cc3d.connected_components

    def largest(error, *, in_fortran):
        error = error.trimmed()
        named = connected(error.mask().view(np.uint8), connectivity=26)
        sizes = np.bincount(named.ravel())
        sizes[0] = 0
        mask = named == np.argmax(sizes)
        box = simulator.occupied(mask)
        return mask[box], np.add(error.low, [side.start for side in box])

    simulator._largest_component = largest


def boxes_from_lines():
    simulator.occupied = lambda mask: find_objects(mask.view(np.uint8))[0]


TRICKS = {
    trick.__name__: trick
    for trick in (
        frames_of_the_last_step,
        ends_of_runs,
        peeling,
        measuring_cores,
        surfaces_of_the_reference,
        positions_from_bytes,
        codes_from_pairs_of_bytes,
        counting_errors_only,
        boxes_from_lines,
    )
}
