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
ALL = np.uint64(2**64 - 1)


@dataclass(frozen=True, eq=False)
class Bits:
    """One bit a voxel of a frame of the volume; ``low`` is the voxel that bit (0, 0, 0) means."""

    words: Words  # (z, y, x // 64), little-endian
    low: Voxel

    @property
    def shape(self) -> Voxel:
        """The number of bits along each axis."""
        depth, height, width = self.words.shape
        return depth, height, width * WORD

    @cached_property
    def count(self) -> int:
        """The number of voxels in the mask."""
        return int(np.bitwise_count(self.words).sum())

    @cached_property
    def at(self) -> Positions:
        """The flat positions of the set bits in an array of `shape`, ascending."""
        octets = self.words.ravel().view(np.uint8)
        used = np.flatnonzero(octets != 0)
        inside = np.flatnonzero(np.unpackbits(octets[used], bitorder="little").view(bool))
        skipped = (used - np.arange(len(used))) * 8
        at: Positions = skipped[inside >> 3] + inside
        return at

    def __and__(self, other: Bits) -> Bits:
        """Return the voxels in both masks of one frame."""
        return Bits(self.words & other.words, self.low)

    def __xor__(self, other: Bits) -> Bits:
        """Return the voxels in exactly one of two masks of one frame."""
        return Bits(self.words ^ other.words, self.low)

    def or_equal(self, other: Bits | None) -> Bits:
        """Return the other if it is the same mask in the same frame, else this one."""
        if other is None or other.low != self.low or not np.array_equal(other.words, self.words):
            return self
        return other

    def look_up(self, positions: Positions) -> Mask:
        """Return for each flat position whether its bit is set."""
        octets = self.words.ravel().view(np.uint8)[positions >> 3]
        found: Mask = (octets >> (positions & 7).astype(np.uint8) & 1).view(bool)
        return found

    def has(self, voxel: Voxel) -> bool:
        """Return whether a voxel of the volume that lies in the frame is in the mask."""
        z, y, x = (at - low for at, low in zip(voxel, self.low, strict=True))
        return bool(self.words[z, y, x // WORD] >> np.uint64(x % WORD) & np.uint64(1))

    def trimmed(self) -> Bits:
        """Cut away what is empty on all sides, along x in whole words; the mask must not be empty.

        No empty voxel is left around.
        """
        rows = np.bitwise_or.reduce(self.words, axis=2)
        columns = np.bitwise_or.reduce(np.bitwise_or.reduce(self.words, axis=0), axis=0)
        z, y, x = extent(rows.any(axis=1)), extent(rows.any(axis=0)), extent(columns)
        low = self.low[0] + z.start, self.low[1] + y.start, self.low[2] + x.start * WORD
        return Bits(np.ascontiguousarray(self.words[z, y, x]), low)

    def tight(self) -> tuple[Voxel, Voxel, NDArray[np.uint8]]:
        """Return the first voxel, the sides and the bits of the box around a mask not empty.

        Each row of the box begins with a new byte.
        """
        part = self.trimmed()
        columns = np.bitwise_or.reduce(np.bitwise_or.reduce(part.words, axis=0), axis=0)
        x = extent(np.unpackbits(columns.view(np.uint8), bitorder="little"))
        depth, height, width = *part.words.shape[:2], x.stop - x.start
        rows = _moved(part.words, -x.start).view(np.uint8)[..., : -(-width // 8)]
        low = *part.low[:2], part.low[2] + x.start
        return low, (depth, height, width), rows

    def mask(self) -> Mask:
        """Return one bool a bit, in an array of `shape`."""
        octets = self.words.view(np.uint8)
        return np.unpackbits(octets, axis=-1, bitorder="little").view(bool)

    def surface(self) -> Bits:
        """Return the corners whose eight voxels are neither all inside nor all outside.

        These are the surface of PROTOCOL 6.3.
        """
        some, every = self.words[:-1] | self.words[1:], self.words[:-1] & self.words[1:]
        some, every = some[:, :-1] | some[:, 1:], every[:, :-1] & every[:, 1:]
        some |= _moved(some, -1)
        every &= _moved(every, -1)
        corners = np.zeros_like(self.words)
        np.bitwise_and(some, ~every, out=corners[:-1, :-1])
        return Bits(corners, self.low)

    def codes(self, corners: Positions) -> NDArray[np.uint8]:
        """Return which of the eight voxels around each corner are in the mask.

        Bit ``4 dz + 2 dy + dx`` of a code is the voxel at that offset.
        """
        octets, (_, height, width) = self.words.ravel().view(np.uint8), self.words.shape
        byte, bit = corners >> 3, (corners & 7).astype(np.uint8)
        codes = np.zeros(len(corners), np.uint8)
        for number, (dz, dy) in enumerate(np.ndindex(2, 2)):
            start = byte + (dz * height + dy) * width * (WORD // 8)
            pair = octets.take(start).astype(np.uint16)
            # the last bits of all have no neighbour, and no corner of a surface
            pair |= octets.take(start + 1, mode="clip").astype(np.uint16) << 8
            codes |= ((pair >> bit) & 3).astype(np.uint8) << (2 * number)
        return codes

    def spread(self, reach: NDArray[np.intp]) -> Bits:
        """Return the mask moved by, and united over, all offsets that a reach allows.

        ``reach[dz, dy]`` is the largest offset along x that goes with offsets ``dz`` and ``dy``,
        to both sides of each axis, or -1 for none. What leaves the frame is lost.
        """
        united, row = np.zeros_like(self.words), self.words.copy()
        for dx in range(int(reach.max()) + 1):
            if dx:
                row |= _moved(self.words, dx)
                row |= _moved(self.words, -dx)
            for dz, dy in np.argwhere(reach == dx).tolist():
                _unite(united, row, dz, dy)
        return Bits(united, self.low)


def pack(labels: LabelMap, label: int, frame: Window) -> Bits:
    """Return the voxels of one label in a frame of a label map."""
    inside = labels[frame]
    depth, height, width = inside.shape
    mask = np.zeros((depth + 2, height + 2, -(-(width + 2) // WORD) * WORD), bool)
    np.equal(inside, label, out=mask[1:-1, 1:-1, 1 : width + 1])
    words = np.packbits(mask, axis=-1, bitorder="little").view("<u8")
    low_z, low_y, low_x = (side.start - 1 for side in frame)
    return Bits(words, (low_z, low_y, low_x))


def pack_mask(mask: Mask) -> Bits:
    """Return a whole mask as bits."""
    return pack(mask.view(np.uint8), 1, tuple(slice(0, size) for size in mask.shape))


def extent(line: NDArray[np.generic]) -> slice:
    """Return from the first to the last value that is not 0; one value if there is none."""
    used = np.flatnonzero(line)
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)


def _moved(words: Words, by: int) -> Words:
    """Return each row moved by some voxels along x; what leaves the row is lost.

    All rows are moved as if they were one, and what went on in the next row is cleared.
    """
    moved = np.zeros(words.shape, words.dtype)  # in C order: it is filled as one row
    whole, rest = divmod(abs(by), WORD)
    if whole >= words.shape[2]:
        return moved
    # a negative move is a positive one with words and bits in the other order
    order = slice(None, None, 1 if by > 0 else -1)
    shift, carry = (np.left_shift, np.right_shift) if by > 0 else (np.right_shift, np.left_shift)
    source, target, rows = words.ravel()[order], moved.ravel()[order], moved[..., order]
    shift(source[: len(source) - whole], np.uint64(rest), out=target[whole:])
    if rest:
        target[whole + 1 :] |= carry(source[: len(source) - whole - 1], np.uint64(WORD - rest))
    rows[..., :whole] = 0
    rows[..., whole] &= shift(ALL, np.uint64(rest))
    return moved


def _unite(united: Words, row: Words, dz: int, dy: int) -> None:
    """Add the rows moved by ``dz`` and ``dy`` to both sides."""
    depth, height, _ = united.shape
    for z in {dz, -dz}:
        for y in {dy, -dy}:
            to = slice(max(z, 0), depth + min(z, 0)), slice(max(y, 0), height + min(y, 0))
            source = slice(max(-z, 0), depth - max(z, 0)), slice(max(-y, 0), height - max(y, 0))
            united[to] |= row[source]
