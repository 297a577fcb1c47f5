"""The label maps of one case: their sha256, and a thread that stores them.

Compression releases the interpreter, so the model's next step runs at the same time; a full queue
makes the interaction wait, so that memory does not fill up. The file appears when it is complete.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import LabelMap
from segbench.data.challenge_npz import write_prediction
from segbench.files import partial_file, publish
from segbench.protocol.mask_pairs import MaskPairs

QUEUE_SIZE = 2  # label maps that may wait
LEVEL = 1  # label maps are nearly as small with the fastest compression


def segmentation_sha256(pairs: MaskPairs) -> str:
    """Return the sha256 of the segmentation of mask pairs (docs/results.md defines it).

    It is computed from packed masks: bytes would add more than a tenth to the time of a step.
    """
    digest = hashlib.sha256()
    for label, mask in pairs.predicted.items():
        if mask.count:
            (z, y, x), (depth, height, width), rows = mask.bounding_box_bits()
            digest.update(f"{label} {z} {y} {x} {depth} {height} {width}\n".encode())
            digest.update(np.ascontiguousarray(rows).data)
    if pairs.unknown_labels:
        label_map = pairs.segmentation
        dtype = label_map_dtype([label_map.max()])  # the same sha256 for every dtype
        digest.update(_bytes(label_map.astype(dtype, copy=False)))
    return digest.hexdigest()


def _bytes(label_map: LabelMap) -> memoryview:
    return np.ascontiguousarray(label_map, label_map.dtype.newbyteorder("<")).data


class PredictionWriter:
    """Takes the label maps of a case one by one; writes ``segs`` and ``all_segs``.

    Of the maps that are stored only the last stays in memory.

    Parameters
    ----------
    file : Path or None
        Where they are written; None keeps none.
    n_maps : int
        How many label maps there will be.
    last_only : bool
        Keep only the last of them.
    """

    def __init__(self, file: Path | None, n_maps: int, *, last_only: bool = False) -> None:
        self._file, self._n_maps, self._last_only = file, n_maps, last_only
        self._partial = partial_file(file) if file is not None else Path()
        self._n_seen = 0
        self._last: LabelMap | None = None
        self._maps: list[LabelMap] = []  # of those that are not in the stream
        self._archive: zipfile.ZipFile | None = None
        self._stream: IO[bytes] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predictions")
        self._pending: deque[Future[None]] = deque()

    def add(self, label_map: LabelMap) -> None:
        """Take the next label map; it must not change afterwards. Wait while the queue is full."""
        if len(self._pending) == QUEUE_SIZE:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._store, label_map))

    def __enter__(self) -> PredictionWriter:
        """Return the writer."""
        return self

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        """Wait until everything is on disk; after an exception, remove the incomplete file."""
        try:
            while self._pending and fault is None:
                self._pending.popleft().result()
            if fault is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._discard_stream()

    def _store(self, label_map: LabelMap) -> None:
        self._n_seen += 1
        if self._file is None or (self._last_only and self._n_seen < self._n_maps):
            return
        if label_map.dtype == np.uint8 and self._last is None:
            self._open_stream(label_map)
        elif label_map.dtype != np.uint8 and self._stream is not None:
            self._maps = self._read_back()
        self._last = label_map
        if self._stream is None:
            self._maps.append(label_map)
        else:
            self._stream.write(_bytes(label_map))

    def _read_back(self) -> list[LabelMap]:
        """Return the maps of the stream, and end it: a uint16 map does not fit into it."""
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

    def _open_stream(self, label_map: NDArray[np.uint8]) -> None:
        assert self._file is not None
        self._file.parent.mkdir(exist_ok=True)
        self._archive = zipfile.ZipFile(
            self._partial, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL
        )
        self._stream = self._archive.open("all_segs.npy", "w", force_zip64=True)
        shape = (1 if self._last_only else self._n_maps, *label_map.shape)
        header = {"descr": label_map.dtype.str, "fortran_order": False, "shape": shape}
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
        publish(self._partial, self._file)

    def _discard_stream(self) -> None:
        if self._stream is None or self._archive is None:
            return
        stream, archive = self._stream, self._archive
        self._archive = self._stream = None
        try:
            stream.close()
            archive.close()
        finally:  # also on a full disk
            self._partial.unlink(missing_ok=True)
