"""Read what a file has, never more than it can have: a wrong header must not fill the memory."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.slabs import VOXELS
from segbench.errors import CaseError
from segbench.messages import counted, named

LARGEST_RATIO = 1032  # of bytes out to bytes in, which deflate can reach
CHUNK = 1 << 20
EITHER = 47  # of zlib: the header of a stream says whether it is zlib or gzip
# what broken bytes make gzip, zlib, numpy and the parsers of headers raise
BROKEN = (OSError, EOFError, zlib.error, ValueError, OverflowError, MemoryError, KeyError)


@contextmanager
def broken_files_named(file: Path) -> Iterator[None]:
    """Turn what broken bytes raise into a CaseError that names the file, not its folder."""
    try:
        yield
    except FileNotFoundError:
        raise CaseError(f"{file.name}: expected a file, found none") from None
    except BROKEN as error:
        reason = getattr(error, "strerror", None) or named(
            error
        )  # the text of an OSError has paths
        raise CaseError(f"{file.name}: expected a file that can be read, found {reason}") from None


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a file; one compressed by gzip, whatever its name, is read uncompressed."""
    with file.open("rb") as stream:
        if is_gzip(file):
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield stream


def is_gzip(file: Path) -> bool:
    """Whether a file is compressed by gzip."""
    with file.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def require_bytes(name: str, wanted: int, stored: int, *, compressed: bool) -> None:
    """Refuse a header that promises more bytes than a file of this size can hold."""
    if wanted > (stored * LARGEST_RATIO if compressed else stored):
        state = "compressed " if compressed else ""
        raise CaseError(
            f"{name}: expected {wanted} bytes, as its header says, found {stored} {state}bytes; "
            "it is cut off or damaged"
        )


def read_array(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> NDArray[Any]:
    """Read an array whose first axis is the fastest, in the byte order of this machine."""
    flat = np.empty(math.prod(shape), dtype)
    view, end = flat.view(np.uint8).data, 0
    while end < len(view):
        n_read = stream.readinto(view[end : end + CHUNK])  # type: ignore[attr-defined]
        if not n_read:
            raise CaseError(f"{name}: expected {len(view)} bytes of voxels, found {end}")
        end += n_read
    if not dtype.isnative:
        flat = flat.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F")


def read_parts(
    stream: IO[bytes], n_voxels: int, dtype: np.dtype[Any], name: str
) -> Iterator[NDArray[Any]]:
    """Yield an array in parts, so that it is never in memory as it is stored."""
    for start in range(0, n_voxels, VOXELS):
        yield read_array(stream, (min(VOXELS, n_voxels - start),), dtype, name)


def drain(stream: IO[bytes]) -> int:
    """Read the rest, and return its size: only at the end does gzip compare its checksum."""
    size = 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
    return size


def left_over(size: int) -> list[str]:
    """Return a note on bytes that no header accounts for; a wrong header shifts or cuts a scan."""
    if size <= 0:
        return []
    return [f"{counted(size, 'byte')} more than the header says: are its sizes and offset right?"]


class Unpacked:
    """A zlib or gzip stream as a file that can be read into an array."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._unpacker = zlib.decompressobj(EITHER)

    def readinto(self, target: memoryview) -> int:
        """Fill the beginning of an array; return how many bytes, 0 at the end."""
        part = b""
        while not part and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._stream.read(CHUNK)
            if not packed:
                break
            part = self._unpacker.decompress(packed, len(target))
        target[: len(part)] = part
        return len(part)


def unpacked_size(stream: IO[bytes], limit: int) -> int:
    """Return how many bytes a zlib or gzip stream holds, with those after it.

    Of one that holds far more than the limit, not all are counted.

    Raises
    ------
    zlib.error, EOFError
        If it is damaged or cut off.
    """
    unpacker, total = zlib.decompressobj(EITHER), 0
    while not unpacker.eof:
        packed = unpacker.unconsumed_tail or stream.read(CHUNK)
        if not packed:
            raise EOFError("the compressed voxels end too early")
        total += len(unpacker.decompress(packed, CHUNK))
        if total > 2 * limit + CHUNK:
            return total
    return total + len(unpacker.unused_data) + drain(stream)
