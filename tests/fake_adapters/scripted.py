"""An adapter that paints its prompts, or fails at one step as its options request."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np

from segbench.core import AdapterInfo, Image, Interactions
from segbench.models.prompt_painting import paint_prompts


class Scripted:
    """Fails at step ``at`` as requested; otherwise fills boxes and paints clicks."""

    def __init__(self, fail: str, at: int) -> None:
        self.info = AdapterInfo("scripted", version="1", licence="Apache-2.0")
        self._fail, self._at = fail, at

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Store the shape; print, as models do."""
        sys.stdout.write("a model prints what it likes\n")
        if self._fail == "start":
            raise RuntimeError("no memory for this image")
        self._shape = image.voxels.shape

    def predict(self, interactions: Interactions) -> np.ndarray:
        """Segment, or fail."""
        segmentation = paint_prompts(interactions, lambda size: np.ones(size, bool))
        if interactions.step != self._at or self._fail not in FAILURES:
            return segmentation
        return FAILURES[self._fail](segmentation)


def raise_error(segmentation: np.ndarray) -> np.ndarray:
    raise ValueError("the model is confused")


def hang(segmentation: np.ndarray) -> np.ndarray:
    time.sleep(60)
    return segmentation


def crash(segmentation: np.ndarray) -> np.ndarray:
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    os._exit(3)


def with_foreign_label(segmentation: np.ndarray) -> np.ndarray:
    segmentation[0, 0, 0] = 9
    return segmentation


def fork(segmentation: np.ndarray) -> np.ndarray:
    """Return twice, like a model that forks and does not end its child."""
    if os.fork() == 0:
        time.sleep(0.3)
        return segmentation * 0
    return segmentation


def write_everywhere(segmentation: np.ndarray) -> np.ndarray:
    """Write into every open file, including the private pipe."""
    for handle in range(3, 30):
        try:
            os.write(handle, b"hello\n")
        except OSError:
            continue
    return segmentation


def kill_itself(segmentation: np.ndarray) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)
    return segmentation


def close_the_requests(segmentation: np.ndarray) -> np.ndarray:
    """Close the private pipe of the requests; the next one still arrives: it is being read."""
    time.sleep(0.3)  # until it is
    for handle in range(3, 30):
        with contextlib.suppress(OSError):
            reads = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            if reads and stat.S_ISFIFO(os.fstat(handle).st_mode):
                os.close(handle)
    return segmentation


def leave_a_child(segmentation: np.ndarray) -> np.ndarray:
    """Crash, and leave a child in a session of its own that keeps stderr open."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(40)"], start_new_session=True)
    os._exit(5)


def read_stdin(segmentation: np.ndarray) -> np.ndarray:
    """Read stdin, which is empty for a model."""
    return segmentation if sys.stdin.read() == "" and os.read(0, 10) == b"" else segmentation * 0


def flood(segmentation: np.ndarray) -> np.ndarray:
    """Write very much to stderr, and raise a message that is not valid text."""
    os.write(2, b"x" * 3_000_000)
    raise ValueError("\ud800" + "y" * 100_000)


FAILURES = {
    "fork": fork,
    "kill": kill_itself,
    "deaf": close_the_requests,
    "babble": write_everywhere,
    "child": leave_a_child,
    "stdin": read_stdin,
    "flood": flood,
    "raise": raise_error,
    "hang": hang,
    "exit": crash,
    "sys.exit": lambda segmentation: sys.exit(4),
    "shape": lambda segmentation: segmentation[:-1],
    "float": lambda segmentation: segmentation.astype(np.float32),
    "bool": lambda segmentation: segmentation > 0,
    "negative": lambda segmentation: segmentation.astype(np.int16) - 1,
    "large": lambda segmentation: segmentation.astype(np.int64) + 70_000,
    "none": lambda segmentation: None,
    "int64": lambda segmentation: segmentation.astype(np.int64),
    "foreign": with_foreign_label,
}


def make_adapter(fail: str = "", at: str = "2") -> Scripted:
    """Make the adapter."""
    return Scripted(fail, int(at))
