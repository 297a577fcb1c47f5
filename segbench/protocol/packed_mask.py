"""A mask as one bit a voxel, and what 64 voxels at once make cheap.

A row of voxels along x is a row of 64-bit words, lowest bit first. One empty voxel lies around the
frame, so that neither the neighbours of a voxel nor the corners of the mask ever run off the array.
Corners between voxels are bits too: corner (z, y, x) is the low corner of the voxel one further.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segbench.core import LabelMap, Mask, Voxel

Window = tuple[slice, ...]  # one slice per axis, in voxels of the volume
Words = NDArray[np.uint64]
Positions = NDArray[np.intp]

WORD = 64  # voxels


@dataclass(frozen=True, eq=False)
class PackedMask:
    """One bit a voxel of a frame of the volume; ``low`` is the voxel that bit (0, 0, 0) means.

    Errors, overlaps and surfaces are made of them (PROTOCOL 4.1, 5, 6.3).
    """

    words: Words  # (z, y, x // 64), little-endian
    low: Voxel

    @property
    def shape(self) -> Voxel:
        """The number of bits along each axis, for flat positions (PROTOCOL 4.2, 6.3)."""
        depth, height, width = self.words.shape
        return depth, height, width * WORD

    @cached_property
    def count(self) -> int:
        """The number of voxels in the mask (PROTOCOL 5)."""
        return int(np.bitwise_count(self.words).sum())

    @cached_property
    def positions(self) -> Positions:
        """The flat positions of the set bits in `shape`, ascending (PROTOCOL 4.2, 6.3)."""
        octets = self.words.ravel().view(np.uint8)
        used = np.flatnonzero(octets != 0)
        inside = np.flatnonzero(np.unpackbits(octets[used], bitorder="little").view(bool))
        at: Positions = 8 * used[inside >> 3] + (inside & 7)
        return at

    def __and__(self, other: PackedMask) -> PackedMask:
        """Return the voxels in both masks of one frame (PROTOCOL 5)."""
        return PackedMask(self.words & other.words, self.low)

    def __xor__(self, other: PackedMask) -> PackedMask:
        """Return the voxels in exactly one of two masks of one frame (PROTOCOL 4.1)."""
        return PackedMask(self.words ^ other.words, self.low)

    def contains(self, positions: Positions) -> Mask:
        """Return for each flat position whether its bit is set (PROTOCOL 6.4)."""
        octets = self.words.ravel().view(np.uint8)[positions >> 3]
        found: Mask = (octets >> (positions & 7).astype(np.uint8) & 1).view(bool)
        return found

    def has(self, voxel: Voxel) -> bool:
        """Return whether a voxel of the volume, one of the frame, is in the mask (PROTOCOL 4.7)."""
        z, y, x = (at - low for at, low in zip(voxel, self.low, strict=True))
        return bool(self.words[z, y, x // WORD] >> np.uint64(x % WORD) & np.uint64(1))

    def trimmed(self) -> PackedMask:
        """Cut away what is empty on all sides, along x in whole words; the mask must not be empty.

        No empty voxel is left around. Components are looked for in what is left (PROTOCOL 4.2).
        """
        z, y, x = bounding_box(self.words)
        low = self.low[0] + z.start, self.low[1] + y.start, self.low[2] + x.start * WORD
        return PackedMask(np.ascontiguousarray(self.words[z, y, x]), low)

    def tight(self) -> tuple[Voxel, Voxel, NDArray[np.uint8]]:
        """Return the first voxel, the sides and the bits of the box around a mask not empty.

        Each row of the box begins with a new byte. No rule needs it, but the name of
        a label map (docs/results.md).
        """
        part = self.trimmed()
        columns = np.bitwise_or.reduce(part.words, axis=(0, 1)).view(np.uint8)
        used = np.flatnonzero(np.unpackbits(columns, bitorder="little"))
        first, width = int(used[0]), int(used[-1] - used[0]) + 1
        rows = _moved(part.words, -first).view(np.uint8)[..., : -(-width // 8)]
        return (*part.low[:2], part.low[2] + first), (*part.shape[:2], width), rows

    def mask(self) -> Mask:
        """Return one bool a bit, in an array of `shape` (PROTOCOL 4.2)."""
        return np.unpackbits(self.words.view(np.uint8), axis=-1, bitorder="little").view(bool)

    def surface(self) -> PackedMask:
        """Return the corners whose eight voxels are not all alike (PROTOCOL 6.3)."""
        some, every = self.words[:-1] | self.words[1:], self.words[:-1] & self.words[1:]
        some, every = some[:, :-1] | some[:, 1:], every[:, :-1] & every[:, 1:]
        some |= _moved(some, -1)
        every &= _moved(every, -1)
        corners = np.zeros_like(self.words)
        np.bitwise_and(some, ~every, out=corners[:-1, :-1])
        return PackedMask(corners, self.low)

    def neighbour_codes(self, corners: Positions) -> NDArray[np.uint8]:
        """Return which of the eight voxels around each corner are in the mask (PROTOCOL 6.3).

        Bit ``4 dz + 2 dy + dx`` of a code is the voxel at that offset.
        """
        octets, (_, height, width) = self.words.ravel().view(np.uint8), self.words.shape
        pairs = np.ndarray(len(octets) - 1, "<u2", octets, strides=(1,))  # each with the next
        byte, bit = corners >> 3, (corners & 7).astype(np.uint8)
        codes = np.zeros(len(corners), np.uint8)
        for number, (dz, dy) in enumerate(np.ndindex(2, 2)):
            start = byte + (dz * height + dy) * width * (WORD // 8)
            # the last bits of all have no neighbour, and no corner of a surface
            codes |= ((pairs.take(start, mode="clip") >> bit) & 3).astype(np.uint8) << 2 * number
        return codes

    def dilate(self, reach: NDArray[np.intp]) -> PackedMask:
        """Return the mask moved by, and united over, all offsets that a reach allows.

        ``reach[dz, dy]`` is the largest offset along x that goes with offsets ``dz`` and ``dy``,
        to both sides of each axis, or -1 for none. What leaves the frame is lost (PROTOCOL 6.4).
        """
        united = np.zeros_like(self.words)
        row = left = right = self.words
        for dx in range(int(reach.max()) + 1):
            if dx:
                left, right = _moved(left, -1), _moved(right, 1)
                row = row | left | right
            for dz, dy in np.argwhere(reach == dx).tolist():
                _unite(united, row, dz, dy)
        return PackedMask(united, self.low)


def pack(labels: LabelMap, label: int, frame: Window) -> PackedMask:
    """Return the voxels of one label in a frame of a label map (PROTOCOL 4.1, 5)."""
    inside = labels[frame]
    depth, height, width = inside.shape
    mask = np.zeros((depth + 2, height + 2, -(-(width + 2) // WORD) * WORD), bool)
    np.equal(inside, label, out=mask[1:-1, 1:-1, 1 : width + 1])
    words = np.packbits(mask, axis=-1, bitorder="little").view("<u8")
    low_z, low_y, low_x = (side.start - 1 for side in frame)
    return PackedMask(words, (low_z, low_y, low_x))


def pack_mask(mask: Mask) -> PackedMask:
    """Return a whole mask as bits (PROTOCOL 5, 6)."""
    return pack(mask.view(np.uint8), 1, tuple(slice(0, size) for size in mask.shape))


def bounding_box(array: NDArray[np.generic]) -> Window:
    """Return the box around what is not 0 in an array, which must have some (PROTOCOL 4.2)."""
    planes = np.bitwise_or.reduce(array.reshape(len(array), -1), axis=1)
    above = np.bitwise_or.reduce(array, axis=0)
    lines = planes, np.bitwise_or.reduce(above, axis=1), np.bitwise_or.reduce(above, axis=0)
    used = (np.flatnonzero(line).tolist() for line in lines)
    return tuple(slice(at[0], at[-1] + 1) for at in used)


def _moved(words: Words, by: int) -> Words:
    """Return each row moved along x by less than a word; what leaves it is lost (PROTOCOL 6.3)."""
    shift, carry = (np.left_shift, np.right_shift)[:: 1 if by > 0 else -1]
    # numpy shifts a word by all of its bits to 0, which is right if nothing is to be moved
    moved, over = shift(words, np.uint64(abs(by))), carry(words, np.uint64(WORD - abs(by)))
    if by > 0:
        moved[..., 1:] |= over[..., :-1]
    else:
        moved[..., :-1] |= over[..., 1:]
    return moved


def _unite(united: Words, row: Words, dz: int, dy: int) -> None:
    """Add the rows moved by ``dz`` and ``dy`` to both sides (PROTOCOL 6.4)."""
    depth, height, _ = united.shape
    for z in {dz, -dz}:
        for y in {dy, -dy}:
            to = slice(max(z, 0), depth + min(z, 0)), slice(max(y, 0), height + min(y, 0))
            source = slice(max(-z, 0), depth - max(z, 0)), slice(max(-y, 0), height - max(y, 0))
            united[to] |= row[source]
