"""The folder through which images and label maps reach a worker and come back, as ``.npy`` files.

``image.npy`` and ``previous.npy`` are the input, ``segmentation-NUMBER.npy`` is the output of the
request with that number. A file is replaced and never overwritten: the other process may still
have it mapped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.processes import is_running

SHARED_MEMORY = Path("/dev/shm")
MIN_FREE_BYTES = 2 * 2**30


class ScratchFolder:
    """The scratch folder of one worker.

    Parameters
    ----------
    root : Path, optional
        Where it is created; by default in shared memory if there is enough.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.path = _create_folder(root or default_root())
        self._output: NDArray[Any] | None = None  # the array in the output file
        self._output_file: Path | None = None
        self._previous: NDArray[Any] | None = None  # the array in previous.npy

    def write_image(self, voxels: NDArray[Any]) -> None:
        """Write the image of a case."""
        _write(self.path / "image.npy", voxels)

    def write_previous(self, segmentation: NDArray[Any]) -> None:
        """Make previous.npy hold the previous segmentation.

        This is usually the last output of the worker, whose file only needs another name.
        """
        previous_file = self.path / "previous.npy"
        output_file = self._output_file
        if output_file is not None and segmentation is self._output and output_file.exists():
            output_file.replace(previous_file)
        elif segmentation is not self._previous:
            _write(previous_file, segmentation)
        if output_file is not None:
            output_file.unlink(missing_ok=True)
        self._output, self._output_file, self._previous = None, None, segmentation

    def read_output(self, number: int) -> NDArray[Any]:
        """Return the output of a request, mapped: the worker never writes to its file again.

        Raises
        ------
        OSError, ValueError, EOFError
            If the file is missing or damaged.
        """
        file = self.path / f"segmentation-{number}.npy"
        output = np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
        self._output, self._output_file = output, file
        return output

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _write(file: Path, array: NDArray[Any]) -> None:
    file.unlink(missing_ok=True)
    np.save(file, array)


def _create_folder(root: Path) -> Path:
    """Create a folder; remove the folders of processes that were killed before they could do it."""
    for folder in root.glob("segbench-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not is_running(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"segbench-{os.getpid()}-", dir=root))


def default_root() -> Path:
    """Return the shared memory if it has enough space (containers often have 64 MB), else /tmp."""
    with contextlib.suppress(OSError):
        has_space = shutil.disk_usage(SHARED_MEMORY).free > MIN_FREE_BYTES
        if has_space and os.access(SHARED_MEMORY, os.W_OK):
            return SHARED_MEMORY
    return Path(tempfile.gettempdir())
