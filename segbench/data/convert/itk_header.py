"""What the text header of a MetaImage or NRRD file says, before any voxel is read.

SimpleITK reads these files. This module finds what it would pass over in silence: a file that is
cut off, and one that does not state its orientation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.stored_bytes import Unpacked, read_parts, require_bytes, unpacked_size
from segbench.errors import CaseError

LARGEST_HEADER = 1 << 22
NRRD_SPACES = {
    *("right-anterior-superior", "ras", "left-anterior-superior", "las"),
    *("left-posterior-superior", "lps"),
}
# what ITK writes of four axes, because NRRD has no name for the space of a volume and channels
SPACE_OF_ITK = "the file has four axes and names no space; LPS was taken, in which ITK writes these"
BIG_ENDIAN = ("elementbyteordermsb", "binarydatabyteordermsb")
SKIPS = ("line skip", "lineskip", "byte skip", "byteskip")
TRUE = "true"


@dataclass(frozen=True)
class VoxelData:
    """Where the voxels of a file are stored."""

    file: Path
    start: int  # of the voxels in the file; they end where it ends
    compressed: bool
    has_orientation: bool  # whether the header says where left and right are
    big_endian: bool = False
    skips: bool = False  # whether the header says to begin elsewhere in the file
    notes: tuple[str, ...] = ()

    def require(self, size: int, name: str) -> int:
        """Refuse a file that holds fewer bytes of voxels than its header says.

        Returns how many bytes it holds beyond these; 0 if the header says to skip some.
        """
        found = stored = self.file.stat().st_size - self.start
        require_bytes(name, size, stored, compressed=self.compressed)
        if self.compressed:
            with self.file.open("rb") as stream:
                stream.seek(self.start)
                found = unpacked_size(stream, size)
            if found < size:
                raise CaseError(f"{name}: expected {size} bytes of voxels, found {found}")
        return 0 if self.skips else found - size

    def parts(self, n_voxels: int, dtype: np.dtype[Any], name: str) -> Iterator[NDArray[Any]]:
        """Yield the voxels in parts; the caller has made sure that they are there."""
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            source: Any = Unpacked(stream) if self.compressed else stream
            stored = dtype.newbyteorder(">" if self.big_endian else "<")
            yield from read_parts(source, n_voxels, stored, name)


def read_itk_header(file: Path) -> VoxelData:
    """Read the header of a ``.mha``, ``.mhd``, ``.nrrd`` or ``.nhdr`` file.

    Raises
    ------
    CaseError
        If it is not one, or stores its voxels as text or in several files.
    """
    with file.open("rb") as stream:
        start = stream.read(LARGEST_HEADER)
    if file.suffix.lower() in (".nrrd", ".nhdr"):
        return _nrrd(file, start)
    return _meta_image(file, start)


def _meta_image(file: Path, start: bytes) -> VoxelData:
    head, key, rest = start.partition(b"ElementDataFile")
    line, end, _ = rest.partition(b"\n")
    if not key or not end and file.suffix.lower() == ".mha" or b"=" not in line:
        raise CaseError(
            f"{file.name}: expected a MetaImage header, found none with ElementDataFile"
        )
    fields = _fields(head, "=")
    if fields.get("binarydata", TRUE).lower() != TRUE:
        raise CaseError(f"{file.name}: expected binary voxels, found text")
    place = line.partition(b"=")[2].decode("utf-8", "replace").strip()
    begin = len(head) + len(key) + len(line) + len(end)
    return VoxelData(
        *_place(file, place, {"local"}, begin),
        fields.get("compresseddata", "").lower() == TRUE,
        bool(fields.keys() & {"transformmatrix", "rotation", "orientation"}),
        TRUE in [fields.get(key, "").lower() for key in BIG_ENDIAN],
        fields.get("headersize", "0") != "0",
    )


def _nrrd(file: Path, start: bytes) -> VoxelData:
    if not start.startswith(b"NRRD000"):
        raise CaseError(f"{file.name}: expected an NRRD file, found other content")
    breaks = [(start.find(mark), len(mark)) for mark in (b"\n\n", b"\n\r\n")]
    begin = min((at + length for at, length in breaks if at >= 0), default=len(start))
    fields = _fields(start[:begin], ":")
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise CaseError(f"{file.name}: expected the encoding raw or gzip, found {encoding!r}")
    place = fields.get("data file", fields.get("datafile", ""))
    space = fields.get("space", "").lower()
    of_itk = (SPACE_OF_ITK,) if not space and fields.get("space dimension") == "4" else ()
    return VoxelData(
        *_place(file, place, {""}, begin),
        encoding != "raw",
        "space directions" in fields and (space in NRRD_SPACES or bool(of_itk)),
        fields.get("endian", "").lower() == "big",
        any(fields.get(key, "0") != "0" for key in SKIPS),
        of_itk,
    )


def _place(file: Path, place: str, in_itself: set[str], begin: int) -> tuple[Path, int]:
    """Return the file of the voxels and where they begin in it."""
    if place.lower() in in_itself:
        return file, begin
    words = place.split()
    if not words or words[0].upper() == "LIST" or "%" in place:
        raise CaseError(
            f"{file.name}: expected one file of voxels, found {place!r}; write it as one file first"
        )
    data = file.parent / place
    if not data.is_file():
        raise CaseError(f"{file.name}: expected its voxels in {data.name}, found no such file")
    return data, 0


def _fields(head: bytes, separator: str) -> Mapping[str, str]:
    lines = head.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(separator) for line in lines if not line.startswith("#"))
    return {key.strip().lower(): value.strip(" =\t") for key, mark, value in pairs if mark}
