"""The label maps of one case: a name for each, and a thread that stores them meanwhile.

Compressing releases the interpreter, so a model's next step runs meanwhile; a backlog makes the
session wait rather than fill the memory. The file appears when it is complete.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from segbench.core import LabelMap
from segbench.data.challenge_npz import write_prediction
from segbench.protocol.mask_pairs import MaskPairs

BACKLOG = 2  # label maps that may wait
LEVEL = 1  # label maps are nearly as small with the fastest compression


def segmentation_sha256(comparison: MaskPairs) -> str:
    """Return a sha256 that names the prediction of a comparison (docs/results.md says of what).

    It is made of bits: bytes would cost more than a tenth of all that a step costs segbench.
    """
    digest = hashlib.sha256()
    for label, bits in comparison.predicted.items():
        if bits.count:
            (z, y, x), (depth, height, width), rows = bits.tight()
            digest.update(f"{label} {z} {y} {x} {depth} {height} {width}\n".encode())
            digest.update(np.ascontiguousarray(rows).data)
    if comparison.unknown:
        labels = comparison.prediction
        kind = np.min_scalar_type(labels.max())  # the same name whatever dtype holds it
        digest.update(_bytes(labels.astype(kind, copy=False)))
    return digest.hexdigest()


def _bytes(labels: LabelMap) -> memoryview:
    return np.ascontiguousarray(labels, labels.dtype.newbyteorder("<")).data


class PredictionWriter:
    """Takes the label maps of a case one by one; writes ``segs`` and ``all_segs`` if asked to.

    What is stored is not kept in memory, but for the last map.

    Parameters
    ----------
    file : Path or None
        Where they go; None to keep none.
    n_maps : int
        How many will come.
    last_only : bool
        Keep only the last of them.
    """

    def __init__(self, file: Path | None, n_maps: int, *, last_only: bool = False) -> None:
        self._file, self._n_maps, self._last_only = file, n_maps, last_only
        self._n_seen = 0
        self._last: LabelMap | None = None
        self._maps: list[LabelMap] = []  # only of those that go into no stream
        self._archive: zipfile.ZipFile | None = None
        self._stream: IO[bytes] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predictions")
        self._pending: deque[Future[None]] = deque()

    def add(self, labels: LabelMap) -> None:
        """Take the next label map; it must not change afterwards. Waits while two are waiting."""
        if len(self._pending) == BACKLOG:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._store, labels))

    def __enter__(self) -> PredictionWriter:
        """Return the writer."""
        return self

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        """Wait until all is on disk; after a fault, remove what is not complete."""
        try:
            while self._pending and fault is None:
                self._pending.popleft().result()
            if fault is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._give_up_stream()

    @property
    def _partial(self) -> Path:
        assert self._file is not None
        return self._file.with_name(f".{self._file.name}.{os.getpid()}.partial")

    def _store(self, labels: LabelMap) -> None:
        self._n_seen += 1
        if self._file is None or (self._last_only and self._n_seen < self._n_maps):
            return
        if labels.dtype == np.uint8 and self._last is None:
            self._open_stream(labels)
        elif labels.dtype != np.uint8 and self._stream is not None:
            self._maps = self._taken_back()
        self._last = labels
        if self._stream is None:
            self._maps.append(labels)
        else:
            self._stream.write(_bytes(labels))

    def _taken_back(self) -> list[LabelMap]:
        """Return what is in the stream, and end it: a wide map does not fit in."""
        assert self._stream is not None
        assert self._archive is not None
        self._stream.close()
        self._archive.close()
        with zipfile.ZipFile(self._partial) as archive, archive.open("all_segs.npy") as stream:
            npy.read_magic(stream)
            (_, *shape), _, _ = npy.read_array_header_1_0(stream)
            stored = np.frombuffer(stream.read(), np.uint8).reshape(-1, *shape)
        self._archive = self._stream = None
        self._partial.unlink()
        return list(stored)

    def _open_stream(self, labels: NDArray[np.uint8]) -> None:
        assert self._file is not None
        self._file.parent.mkdir(exist_ok=True)
        self._archive = zipfile.ZipFile(
            self._partial, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL
        )
        self._stream = self._archive.open("all_segs.npy", "w", force_zip64=True)
        shape = (1 if self._last_only else self._n_maps, *labels.shape)
        header = {"descr": labels.dtype.str, "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._stream, header)

    def _finish(self) -> None:
        if self._file is None or self._last is None:
            return
        if self._stream is None or self._archive is None:
            self._file.parent.mkdir(exist_ok=True)
            write_prediction(self._file, self._maps)
            return
        self._stream.close()
        with self._archive.open("segs.npy", "w", force_zip64=True) as stream:
            npy.write_array(stream, np.ascontiguousarray(self._last), allow_pickle=False)
        self._archive.close()
        self._archive = self._stream = None
        self._partial.replace(self._file)

    def _give_up_stream(self) -> None:
        if self._stream is None or self._archive is None:
            return
        stream, archive = self._stream, self._archive
        self._archive = self._stream = None
        try:
            stream.close()
            archive.close()
        finally:  # also on a full disk
            self._partial.unlink(missing_ok=True)
