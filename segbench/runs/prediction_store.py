"""The label maps of one case: their sha256, and a thread that stores them.

Compression releases the interpreter, so the model's next step runs at the same time; a full queue
makes the interaction wait, so that memory does not fill up. The file appears when it is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

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

    As long as all are uint8 they go into the file at once, and only the last stays in memory.

    Parameters
    ----------
    file : Path or None
        Where they are written; None keeps none.
    n_maps : int
        How many label maps there will be.
    last_only : bool
        Keep only the last of them.
    may_finish : function
        Asked when all label maps are there, just before the file gets its name; if it returns
        False there is no file.
    """

    def __init__(
        self,
        file: Path | None,
        n_maps: int,
        *,
        last_only: bool = False,
        may_finish: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may_finish = may_finish
        self._file, self._n_maps, self._last_only = file, n_maps, last_only
        self._n_seen = 0
        self._store: Uint8Stream | LabelMapList | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="predictions")
        self._pending: deque[Future[None]] = deque()

    def add(self, label_map: LabelMap) -> None:
        """Take the next label map; it must not change afterwards. Wait while the queue is full."""
        if len(self._pending) == QUEUE_SIZE:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._keep, label_map))

    def __enter__(self) -> PredictionWriter:
        """Return the writer."""
        return self

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        """Wait until everything is on disk; after an exception, remove the incomplete file."""
        try:
            while self._pending and fault is None:
                self._pending.popleft().result()
            if fault is None and self._store is not None and self._may_finish():
                self._store.finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
            if self._store is not None:
                self._store.discard()

    def _keep(self, label_map: LabelMap) -> None:
        self._n_seen += 1
        if self._file is None or (self._last_only and self._n_seen < self._n_maps):
            return
        if self._store is None:
            self._file.parent.mkdir(exist_ok=True)
            n_maps = 1 if self._last_only else self._n_maps
            self._store = Uint8Stream(self._file, (n_maps, *label_map.shape))
        if label_map.dtype != np.uint8 and isinstance(self._store, Uint8Stream):
            self._store = LabelMapList(self._file, self._store.read_back())
        self._store.add(label_map)


class Uint8Stream:
    """Label maps of uint8, compressed into a file one by one; it appears when it is finished.

    Parameters
    ----------
    file : Path
        Where it will be.
    shape : tuple of int
        Number of label maps, and the shape of each.
    """

    def __init__(self, file: Path, shape: tuple[int, ...]) -> None:
        self._file, self._shape = file, shape
        self._last: LabelMap
        self._partial = partial_file(file)
        self._opened = contextlib.ExitStack()
        try:
            self._archive = self._opened.enter_context(
                zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
            )
            self._stream = self._opened.enter_context(
                self._archive.open("all_segs.npy", "w", force_zip64=True)
            )
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(self._stream, header)
        except OSError:
            self.discard()
            raise

    def add(self, label_map: LabelMap) -> None:
        """Write the next label map."""
        self._last = label_map
        self._stream.write(_bytes(label_map))

    def finish(self) -> None:
        """Write the last label map once more, as ``segs``, and give the file its name."""
        self._stream.close()
        with self._archive.open("segs.npy", "w", force_zip64=True) as stream:
            npy.write_array(stream, np.ascontiguousarray(self._last), allow_pickle=False)
        self._opened.close()
        publish(self._partial, self._file)

    def read_back(self) -> list[LabelMap]:
        """Return the label maps that were written, and remove them from the disk."""
        self._opened.close()
        with zipfile.ZipFile(self._partial) as archive, archive.open("all_segs.npy") as stream:
            npy.read_magic(stream)
            npy.read_array_header_1_0(stream)
            label_maps = np.frombuffer(stream.read(), np.uint8).reshape(-1, *self._shape[1:])
        self._partial.unlink()
        return list(label_maps)

    def discard(self) -> None:
        """Remove the file, unless it is finished."""
        with contextlib.suppress(OSError):  # a full disk: what is removed need not be complete
            self._opened.close()
        self._partial.unlink(missing_ok=True)


class LabelMapList:
    """Label maps of any dtype, in memory until the last: one above 255 widens all of them."""

    def __init__(self, file: Path, label_maps: list[LabelMap]) -> None:
        self._file, self._label_maps = file, label_maps

    def add(self, label_map: LabelMap) -> None:
        """Keep the next label map."""
        self._label_maps.append(label_map)

    def finish(self) -> None:
        """Write the file."""
        write_prediction(self._file, self._label_maps)

    def discard(self) -> None:
        """Remove nothing: an unfinished list has no file."""
