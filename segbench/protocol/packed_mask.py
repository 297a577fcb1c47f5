"""A mask with one bit per voxel, so that 64 voxels are processed at once.

A row of voxels along x is a row of 64-bit words, lowest bit first. One empty voxel is kept around
the region of interest (ROI), so that neither the neighbours of a voxel nor the surface of the mask
leave the array. Corners between voxels are bits, too: bit (z, y, x) of a surface is the lower
corner of voxel (z + 1, y + 1, x + 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import bounding_box
from segbench.core import LabelMap, Mask, Roi, Voxel

Words = NDArray[np.uint64]
Positions = NDArray[np.intp]

WORD = 64  # voxels


@dataclass(frozen=True, eq=False)
class PackedMask:
    """One bit per voxel of a region of the volume; bit (0, 0, 0) is the voxel ``low``."""

    words: Words  # (z, y, x // 64), little-endian
    low: Voxel

    @property
    def shape(self) -> Voxel:
        """The number of bits along each axis; flat positions refer to it."""
        depth, height, width = self.words.shape
        return depth, height, width * WORD

    @cached_property
    def count(self) -> int:
        """The number of voxels in the mask."""
        return int(np.bitwise_count(self.words).sum())

    @cached_property
    def positions(self) -> Positions:
        """The flat positions of the set bits, ascending."""
        octets = self.words.ravel().view(np.uint8)
        used = np.flatnonzero(octets != 0)
        inside = np.flatnonzero(np.unpackbits(octets[used], bitorder="little").view(bool))
        positions: Positions = 8 * used[inside >> 3] + (inside & 7)
        return positions

    @cached_property
    def kept_surface(self) -> Surface:
        """The surface, kept in memory: that of the reference is needed in every step."""
        return self.surface()

    def surface(self) -> Surface:
        """Return the surface of the mask (PROTOCOL 6.3)."""
        corners = self._surface_corners()
        return Surface(corners, self.neighbour_codes(corners.positions))

    def __and__(self, other: PackedMask) -> PackedMask:
        """Return the voxels in both masks of one region."""
        return PackedMask(self.words & other.words, self.low)

    def __xor__(self, other: PackedMask) -> PackedMask:
        """Return the voxels in exactly one of two masks of one region."""
        return PackedMask(self.words ^ other.words, self.low)

    def contains(self, positions: Positions) -> Mask:
        """Return for each flat position whether its bit is set."""
        octets = self.words.ravel().view(np.uint8)[positions >> 3]
        found: Mask = (octets >> (positions & 7).astype(np.uint8) & 1).view(bool)
        return found

    def contains_voxel(self, voxel: Voxel) -> bool:
        """Return whether a voxel of the volume, inside the region, is in the mask."""
        z, y, x = (at - low for at, low in zip(voxel, self.low, strict=True))
        return bool(self.words[z, y, x // WORD] >> np.uint64(x % WORD) & np.uint64(1))

    def eroded(self) -> PackedMask:
        """Return the voxels whose six neighbours are in the mask, too.

        The faces of the region must be empty, as they are of every mask that was packed.
        """
        inner = self.words & _shifted(self.words, 1) & _shifted(self.words, -1)
        for axis in (0, 1):
            for by in (1, -1):
                inner &= np.roll(self.words, by, axis)
        return PackedMask(inner, self.low)

    def trimmed(self) -> PackedMask:
        """Cut away empty sides, along x in whole words; the mask must not be empty.

        No empty voxel is left around it.
        """
        z, y, x = bounding_box(self.words)
        low = self.low[0] + z.start, self.low[1] + y.start, self.low[2] + x.start * WORD
        return PackedMask(np.ascontiguousarray(self.words[z, y, x]), low)

    def bounding_box_bits(self) -> tuple[Voxel, Voxel, NDArray[np.uint8]]:
        """Return first voxel, shape and bits of the bounding box of a mask that is not empty.

        Each row of the box starts with a new byte. The sha256 of a label map is made of these
        (docs/results.md).
        """
        part = self.trimmed()
        columns = np.bitwise_or.reduce(part.words, axis=(0, 1)).view(np.uint8)
        used = np.flatnonzero(np.unpackbits(columns, bitorder="little"))
        first, width = int(used[0]), int(used[-1] - used[0]) + 1
        rows = _shifted(part.words, -first).view(np.uint8)[..., : -(-width // 8)]
        return (*part.low[:2], part.low[2] + first), (*part.shape[:2], width), rows

    def unpacked(self) -> Mask:
        """Return one bool per bit, in an array of `shape`."""
        return np.unpackbits(self.words.view(np.uint8), axis=-1, bitorder="little").view(bool)

    def neighbour_codes(self, corners: Positions) -> NDArray[np.uint8]:
        """Return which of the eight voxels around each corner are in the mask (PROTOCOL 6.3).

        Bit ``4 dz + 2 dy + dx`` of a code is the voxel at that offset from the corner's position:
        1 + 4 = 5 means (0, 0, 0) and (0, 1, 0). No corner may be on the last side of an axis; those
        of a surface never are.
        """
        _, height, width = self.shape
        codes = np.zeros(len(corners), np.uint8)
        for bit, (dz, dy, dx) in enumerate(np.ndindex(2, 2, 2)):
            voxels = corners + ((dz * height + dy) * width + dx)
            codes |= self.contains(voxels).view(np.uint8) << bit
        return codes

    def dilate(self, offsets: NDArray[np.intp]) -> PackedMask:
        """Return the union of the mask shifted by all offsets of a structuring element.

        ``offsets[dz, dy]`` is the largest offset along x that is combined with the offsets ``dz``
        and ``dy``, in both directions of each axis; -1 means none. What leaves the region is lost.
        """
        united = np.zeros_like(self.words)
        row = left = right = self.words
        for dx in range(int(offsets.max()) + 1):
            if dx:
                left, right = _shifted(left, -1), _shifted(right, 1)
                row = row | left | right
            for dz, dy in np.argwhere(offsets == dx).tolist():
                _unite_shifted(united, row, dz, dy)
        return PackedMask(united, self.low)

    def _surface_corners(self) -> PackedMask:
        """Return the corners whose eight voxels are neither all inside nor all outside."""
        some, every = self.words[:-1] | self.words[1:], self.words[:-1] & self.words[1:]
        some, every = some[:, :-1] | some[:, 1:], every[:, :-1] & every[:, 1:]
        some |= _shifted(some, -1)
        every &= _shifted(every, -1)
        corners = np.zeros_like(self.words)
        np.bitwise_and(some, ~every, out=corners[:-1, :-1])
        return PackedMask(corners, self.low)


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface of a mask: its corners, and the voxels around each (PROTOCOL 6.3)."""

    corners: PackedMask
    codes: NDArray[np.uint8]  # per corner, see `PackedMask.neighbour_codes`
    _dilated: dict[bytes, PackedMask] = field(default_factory=dict)

    def dilated(self, offsets: NDArray[np.intp]) -> PackedMask:
        """Return the dilated corners; kept, because the reference needs them in every step."""
        key = offsets.tobytes()
        if key not in self._dilated:
            self._dilated[key] = self.corners.dilate(offsets)
        return self._dilated[key]


def pack_label(label_map: LabelMap, label: int, roi: Roi) -> PackedMask:
    """Return the voxels of one label in a region of a label map."""
    inside = label_map[roi]
    padded, interior = _padded(inside.shape)
    np.equal(inside, label, out=interior)
    low_z, low_y, low_x = (side.start - 1 for side in roi)
    return PackedMask(_packed(padded), (low_z, low_y, low_x))


def pack_mask(mask: Mask) -> PackedMask:
    """Return a whole mask, packed; what is not 0 is in it."""
    padded, interior = _padded(mask.shape)
    np.not_equal(mask, 0, out=interior)
    return PackedMask(_packed(padded), (-1, -1, -1))


def _padded(shape: tuple[int, ...]) -> tuple[Mask, Mask]:
    """Return an empty mask of whole words with a voxel around, and its interior."""
    depth, height, width = shape
    padded = np.zeros((depth + 2, height + 2, -(-(width + 2) // WORD) * WORD), bool)
    return padded, padded[1:-1, 1:-1, 1 : width + 1]


def _packed(padded: Mask) -> Words:
    return np.packbits(padded, axis=-1, bitorder="little").view("<u8")


def _shifted(words: Words, by: int) -> Words:
    """Return each row shifted along x by less than a word; what leaves the row is lost.

    With words of four bits, lowest first, a row shifted by 1 and by -1::

        0110 0001 1001      0011 0000 1100      1100 0011 0010
    """
    if by == 0:
        return words
    shift, carry = np.uint64(abs(by)), np.uint64(WORD - abs(by))
    if by > 0:
        shifted, carried = words << shift, words >> carry
        shifted[..., 1:] |= carried[..., :-1]
    else:
        shifted, carried = words >> shift, words << carry
        shifted[..., :-1] |= carried[..., 1:]
    return shifted


def _unite_shifted(united: Words, rows: Words, dz: int, dy: int) -> None:
    """Add the rows shifted by ``dz`` and ``dy`` in both directions of each axis."""
    depth, height, _ = united.shape
    for z in {dz, -dz}:
        for y in {dy, -dy}:
            to = slice(max(z, 0), depth + min(z, 0)), slice(max(y, 0), height + min(y, 0))
            source = slice(max(-z, 0), depth - max(z, 0)), slice(max(-y, 0), height - max(y, 0))
            united[to] |= rows[source]
