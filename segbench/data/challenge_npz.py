"""Read and write the challenge's ``.npz`` files, without executing a pickle.

In the official files ``boxes``, ``clicks`` and ``clicks_order`` are pickled object arrays.
:mod:`segbench.data.safe_pickle` reads them: it builds plain data and refuses all other names before
their code runs. Arrays are read one key at a time.

Keys: ``imgs``, ``gts``, ``spacing``, ``boxes``, ``prev_pred``, ``clicks``, ``clicks_order`` in a
case; ``segs``, ``all_segs`` in a prediction (PROTOCOL 2, 3.6);
:mod:`segbench.data.challenge_boxes` reads and writes the boxes.

Standard library and numpy only, syntax of Python 3.9: adapters use this in foreign environments.
"""

from __future__ import annotations

import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from segbench.core import Case, LabelMap
from segbench.data.case_grid import grid_arrays
from segbench.data.challenge_boxes import boxes_to_array
from segbench.data.pickled_numpy import UnsafePickle
from segbench.data.safe_pickle import MAX_BYTES, load_plain
from segbench.errors import CaseError
from segbench.files import atomic_write
from segbench.messages import named

READ_ERRORS = (
    *(OSError, EOFError, ValueError, RuntimeError, MemoryError, TypeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)


class ArrayHeader(NamedTuple):
    """Shape and dtype of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class ChallengeFile:
    """An open ``.npz`` file: its keys, and its arrays one at a time.

    Raises
    ------
    CaseError
        On opening, if the file is not a complete zip archive; on reading, if the key is missing,
        truncated, or has a pickle of other than plain data.
    """

    def __init__(self, file: Path) -> None:
        self.name = file.name
        try:
            self._zip = zipfile.ZipFile(file)
        except READ_ERRORS as error:
            raise CaseError(
                f"{self.name}: expected an .npz (zip) archive, found {named(error)}"
            ) from None
        stored = self._zip.namelist()
        self.keys = tuple(name[:-4] for name in stored if name.endswith(".npy"))

    def __enter__(self) -> ChallengeFile:
        """Return the open file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archive."""
        self._zip.close()

    def size(self, key: str) -> int:
        """Return the bytes of an array in memory, without loading it."""
        return self._zip.getinfo(f"{key}.npy").file_size if key in self.keys else 0

    def read(self, key: str) -> NDArray[Any]:
        """Return one array, in the memory order it was saved in."""
        with self._open(key) as stream:
            return _read_array(stream, self.size(key))

    def read_parts(self, key: str) -> Iterator[NDArray[Any]]:
        """Yield an array of numbers in parts along its first axis, one in memory at a time."""
        with self._open(key) as stream:
            shape, fortran_order, dtype = _read_header(stream)
            for _ in range(0 if fortran_order else shape[0]):
                part = _read_exactly(stream, math.prod(shape[1:]) * dtype.itemsize)
                yield np.frombuffer(part, dtype).reshape(shape[1:])
        if fortran_order:  # its parts are not one after another
            yield from self.read(key)

    def header(self, key: str) -> ArrayHeader:
        """Return shape and dtype of one array, without reading it."""
        with self._open(key) as stream:
            return ArrayHeader(*_read_header(stream)[::2])

    @contextmanager
    def _open(self, key: str) -> Iterator[IO[bytes]]:
        """Open one array; what goes wrong while it is read is a `CaseError` with its key."""
        if key not in self.keys:
            found = ", ".join(self.keys) or "no key"
            raise CaseError(f"{self.name}: expected a key '{key}', found {found}")
        try:
            with self._zip.open(f"{key}.npy") as stream:
                yield stream
        except UnsafePickle as error:
            raise CaseError(
                f"{self.name}: {key}: expected plain arrays and containers, found a pickle that "
                f"{error}"
            ) from None
        except CaseError as error:
            raise CaseError(f"{self.name}: {key}: {error}") from None
        except READ_ERRORS as error:
            raise CaseError(
                f"{self.name}: {key}: expected an array that can be read, found {named(error)}"
            ) from None


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, Fortran order and dtype."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise CaseError(f"expected npy format 1.0 or 2.0, found {version[0]}.{version[1]}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(stream)


def _read_array(stream: IO[bytes], size: int) -> NDArray[Any]:
    shape, fortran_order, dtype = _read_header(stream)
    if dtype.hasobject:
        return _read_objects(stream.read(MAX_BYTES + 1))
    count = math.prod(shape)
    # checked before memory is allocated: the file must hold the header and the array
    if not 0 <= count * dtype.itemsize <= size:
        raise CaseError(f"expected {count} x {dtype} as in the header, found {size} bytes")
    flat = np.frombuffer(_read_exactly(stream, count * dtype.itemsize), dtype, count)
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _read_exactly(stream: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view, end = memoryview(data), 0
    while end < size:
        n_read = stream.readinto(view[end : end + (1 << 24)])  # type: ignore[attr-defined]
        if not n_read:
            raise CaseError(f"expected {size} bytes, found {end}")
        end += n_read
    return data


def _read_objects(data: bytes) -> NDArray[Any]:
    value = load_plain(data)
    if not isinstance(value, np.ndarray):
        raise UnsafePickle(f"holds a {type(value).__name__} and no array")
    return value


def write_case(file: Path, case: Case) -> None:
    """Write a case in the challenge's format, completely or not at all."""
    arrays = {
        "imgs": case.image.voxels,
        "gts": case.reference,
        "spacing": np.array(case.image.spacing, np.float64),
    }
    if case.boxes:
        arrays["boxes"] = boxes_to_array(case.boxes)
    if case.grid is not None:
        arrays |= grid_arrays(case.grid)
    write_arrays(file, arrays)


def write_prediction(file: Path, segmentations: Sequence[LabelMap]) -> None:
    """Write one label map per step as ``all_segs``, and the last one as ``segs``."""
    stack = np.stack(segmentations)
    write_arrays(file, {"segs": stack[-1], "all_segs": stack}, level=1)


def write_arrays(
    file: Path, arrays: Mapping[str, NDArray[Any]], level: int = 6, *, sync: bool = True
) -> None:
    """Write an ``.npz`` completely or not at all; equal arrays give equal bytes.

    Parameters
    ----------
    arrays : mapping of str to array
        Object arrays are pickled by numpy, and must come from segbench itself.
    level : int
        Of the compression; 0 stores the arrays uncompressed.
    sync : bool
        Wait until the file is on the disk.
    """
    method = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    file_stream = atomic_write(file, sync=sync)
    # an entry opened by name has the date 1980, so that the bytes do not depend on the clock
    with file_stream as to, zipfile.ZipFile(to, "w", method, compresslevel=level) as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as entry:
                npy.write_array(entry, np.asanyarray(array), allow_pickle=True)
