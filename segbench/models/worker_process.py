"""The near end of the pipe to a worker: one process, its limits, its scratch folder.

Questions are lines of JSON with a number, the answer's line carries the same number and its array
lies in a file of that number: an answer is never taken for that of another question. Everything
that goes wrong on the other side is a `WorkerFault`; what goes wrong here stays an OSError.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from segbench import threads
from segbench.core import Image, Interactions
from segbench.processes import process_runs

WORKER = Path(__file__).with_name("worker.py")
SHARED_MEMORY = Path("/dev/shm")
ROOM_FOR_ARRAYS = 2 * 2**30
STDERR_LINES, STDERR_BYTES = 12, 8192
LONGEST_REASON, LONGEST_REPLY = 2000, 1 << 22  # characters, bytes
SECONDS_TO_CLOSE = 10
SECONDS_TO_END = 5  # after SIGTERM, which most models die of at once


@dataclass(frozen=True)
class WorkerConfig:
    """Where and within which limits a worker runs."""

    python: Path = field(default_factory=lambda: Path(sys.executable))
    step_timeout: float = 900.0  # seconds, for loading, for starting an image and for each step
    threads: int | None = None  # of the numerical libraries; None leaves them alone


class WorkerError(Exception):
    """The worker did not do what it was asked; becomes a failed answer."""


class WorkerProcess:
    """One process that serves one adapter, and the scratch folder shared with it."""

    def __init__(self, file: Path, options: Mapping[str, str], environment: WorkerConfig) -> None:
        self.knows_image = False
        self.scratch = _new_scratch()
        self._timeout, self._number, self._waiting = environment.step_timeout, 0, True
        self._answer: NDArray[Any] | None = None  # what the last answer's file holds
        self._previous: NDArray[Any] | None = None  # what previous.npy holds
        try:
            self._process = _spawn(file, self.scratch, options, environment)
        except OSError as error:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise WorkerError(f"{environment.python} cannot be run: {error.strerror}") from None
        self._replies: queue.Queue[bytes] = queue.Queue()
        self._stderr = Tail()
        self._readers = (
            _drain(self._process.stdout, self._replies.put),
            _drain(self._process.stderr, self._stderr.add),
        )
        self._unread = b""
        try:
            self.hello = self._await("loading the adapter")
        except WorkerError:
            self.close()
            raise

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> float:
        """Show a new image; return the seconds the adapter took."""
        (self.scratch / "image.npy").unlink(missing_ok=True)  # the worker may still have it mapped
        np.save(self.scratch / "image.npy", image.voxels)
        reply = self._request(
            "starting the image", do="start", spacing=image.spacing, labels=labels
        )
        self.knows_image = True
        return float(reply["seconds"])

    def predict(self, interactions: Interactions) -> tuple[NDArray[Any], dict[str, Any]]:
        """Ask one step; return the answer as it is, and what the worker says of it."""
        self._hand_over(interactions.previous_segmentation)
        rounds = [[asdict(prompt) for prompt in prompts] for prompts in interactions.rounds]
        doing = f"step {interactions.step}"
        reply = self._request(doing, do="step", rounds=rounds)
        try:
            # mapped, not read: the worker never writes to an answer again
            answer = np.load(self._answer_file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise WorkerError(f"{doing} left no answer that can be read: {error}") from None
        self._answer = np.asarray(answer)
        return self._answer, reply

    @property
    def _answer_file(self) -> Path:
        return self.scratch / f"labels-{self._number}.npy"

    def _hand_over(self, previous: NDArray[Any]) -> None:
        """See that previous.npy holds the label map.

        Mostly it is the worker's own last answer, whose file only needs another name.
        """
        previous_file = self.scratch / "previous.npy"
        if previous is self._answer and self._answer_file.exists():
            self._answer_file.replace(previous_file)
        elif previous is not self._previous:
            previous_file.unlink(missing_ok=True)  # the worker may still have it mapped
            np.save(previous_file, previous)
        self._answer_file.unlink(missing_ok=True)
        self._answer, self._previous = None, previous

    def _request(self, doing: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._number += 1
        line = json.dumps({"number": self._number, **request}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._post_mortem(doing)) from None
        return self._await(doing)

    def _await(self, doing: str) -> dict[str, Any]:
        self._waiting = True
        line = self._next_line(doing)
        self._waiting = False
        reply = _parsed(line)
        if reply.get("number") != self._number:
            self._kill()
            raise WorkerError(f"{doing} wrote into the private pipe{self._last_words()}")
        if "failure" in reply:
            time.sleep(0.05)  # the traceback is on its way through the other pipe
            raise WorkerError(f"{doing} {clean(reply['failure'])}{self._last_words()}")
        return reply

    def _next_line(self, doing: str) -> bytes:
        """Return the next line of the private pipe; end a worker that gives none in time."""
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._unread and len(self._unread) < LONGEST_REPLY:
            try:
                chunk = self._replies.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                self._kill()
                raise WorkerError(
                    f"timed out: {doing} took more than {self._timeout:g} s{self._last_words()}"
                ) from None
            if not chunk:
                raise WorkerError(self._post_mortem(doing))
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _post_mortem(self, doing: str) -> str:
        """Say how the process ended; end one that has only closed its pipe."""
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._kill()
            return f"crashed: {doing} closed the private pipe{self._last_words()}"
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self._readers[1].join(timeout=1)
        return f"crashed: {doing} ended with {how}{self._last_words()}"

    def _last_words(self) -> str:
        lines = self._stderr.text()
        return f"\nlast lines of stderr:\n{lines}" if lines else ""

    def _kill(self) -> None:
        """End the process and its children; an adapter with more than that is told first."""
        if self.is_alive():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.terminate()
                self._process.wait(SECONDS_TO_END)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process, gently unless it is in the middle of something; delete its files."""
        assert self._process.stdin is not None
        if not self._waiting:
            with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
                self._process.stdin.write(b'{"do": "close"}\n')
                self._process.stdin.flush()
                self._process.wait(SECONDS_TO_CLOSE)
        self._kill()
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()
        for reader in self._readers:
            reader.join(timeout=1)
        shutil.rmtree(self.scratch, ignore_errors=True)


class Tail:
    """The last of what a process wrote to stderr, in lines and in bytes."""

    def __init__(self) -> None:
        self._bytes = b""

    def add(self, chunk: bytes) -> None:
        """Take what was written."""
        self._bytes = (self._bytes + chunk)[-STDERR_BYTES:]

    def text(self) -> str:
        """Return the last lines, as text that can be written anywhere."""
        text = self._bytes.decode(errors="backslashreplace")
        return "\n".join(text.rstrip().splitlines()[-STDERR_LINES:])


def clean(text: str) -> str:
    """Return a model's words as text of bounded length that can be written anywhere."""
    short = text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + " ..."
    return short.encode("utf-8", "backslashreplace").decode()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _drain(stream: IO[bytes] | None, take: Callable[[bytes], None]) -> threading.Thread:
    """Read a pipe in the background, so that it never fills up; an empty chunk is its end."""
    assert stream is not None
    handle = stream.fileno()

    def drain() -> None:
        while True:
            chunk = os.read(handle, 1 << 16)
            take(chunk)
            if not chunk:
                stream.close()  # here: a child of the model may keep it open for long
                return

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    return reader


def _spawn(
    file: Path, scratch: Path, options: Mapping[str, str], environment: WorkerConfig
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [environment.python, "-I", WORKER, file, scratch, json.dumps(dict(options))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_variables(environment),
        start_new_session=True,  # so that its own children can be ended with it
    )


def _new_scratch() -> Path:
    """Make a folder for arrays; remove those whose owner died too suddenly to do it."""
    place = _scratch_place()
    for old in place.glob("segbench-*-*"):
        owner = old.name.split("-")[1]
        if owner.isdigit() and not process_runs(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"segbench-{os.getpid()}-", dir=place))


def _scratch_place() -> Path:
    """Memory, where there is room for arrays in it (containers often have 64 MB); else the disk."""
    with contextlib.suppress(OSError):
        roomy = shutil.disk_usage(SHARED_MEMORY).free > ROOM_FOR_ARRAYS
        if roomy and os.access(SHARED_MEMORY, os.W_OK):
            return SHARED_MEMORY
    return Path(tempfile.gettempdir())


def _variables(environment: WorkerConfig) -> dict[str, str]:
    variables = dict(os.environ)
    if environment.threads is not None:
        # the job that asks may have variables of its own: these are for the model
        variables |= threads.variables(environment.threads)
    return variables
