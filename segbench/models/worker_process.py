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
MIN_FREE_BYTES = 2 * 2**30
STDERR_LINES, STDERR_BYTES = 12, 8192
MAX_REASON_CHARACTERS, MAX_REPLY_BYTES = 2000, 1 << 22  # characters, bytes
CLOSE_TIMEOUT = 10
TERMINATE_TIMEOUT = 5  # after SIGTERM, which most models die of at once


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

    def __init__(self, file: Path, options: Mapping[str, str], config: WorkerConfig) -> None:
        self.has_image = False
        self.scratch = create_scratch_folder()
        self._timeout, self._number, self._busy = config.step_timeout, 0, True
        self._output: NDArray[Any] | None = None  # what the last answer's file holds
        self._previous: NDArray[Any] | None = None  # what previous.npy holds
        try:
            self._process = _start_process(file, self.scratch, options, config)
        except OSError as error:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise WorkerError(f"{config.python} cannot be run: {error.strerror}") from None
        self._replies: queue.Queue[bytes] = queue.Queue()
        self._stderr = Tail()
        self._reader_threads = (
            _read_in_background(self._process.stdout, self._replies.put),
            _read_in_background(self._process.stderr, self._stderr.add),
        )
        self._buffer = b""
        try:
            self.load_reply = self._receive_reply("loading the adapter")
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
            "starting the image", method="set_image", spacing=image.spacing, labels=labels
        )
        self.has_image = True
        return float(reply["seconds"])

    def predict(self, interactions: Interactions) -> tuple[NDArray[Any], dict[str, Any]]:
        """Ask one step; return the answer as it is, and what the worker says of it."""
        self._write_previous(interactions.previous_segmentation)
        rounds = [[asdict(prompt) for prompt in prompts] for prompts in interactions.rounds]
        action = f"step {interactions.step}"
        reply = self._request(action, method="predict", rounds=rounds)
        try:
            # mapped, not read: the worker never writes to an answer again
            output = np.load(self._output_file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise WorkerError(f"{action} left no answer that can be read: {error}") from None
        self._output = np.asarray(output)
        return self._output, reply

    @property
    def _output_file(self) -> Path:
        return self.scratch / f"segmentation-{self._number}.npy"

    def _write_previous(self, previous: NDArray[Any]) -> None:
        """See that previous.npy holds the label map.

        Mostly it is the worker's own last answer, whose file only needs another name.
        """
        previous_file = self.scratch / "previous.npy"
        if previous is self._output and self._output_file.exists():
            self._output_file.replace(previous_file)
        elif previous is not self._previous:
            previous_file.unlink(missing_ok=True)  # the worker may still have it mapped
            np.save(previous_file, previous)
        self._output_file.unlink(missing_ok=True)
        self._output, self._previous = None, previous

    def _request(self, action: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._number += 1
        line = json.dumps({"number": self._number, **request}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except OSError:
            raise WorkerError(self._describe_exit(action)) from None
        return self._receive_reply(action)

    def _receive_reply(self, action: str) -> dict[str, Any]:
        self._busy = True
        line = self._read_line(action)
        self._busy = False
        reply = _parse_reply(line)
        if reply.get("number") != self._number:
            self._stop()
            raise WorkerError(f"{action} wrote into the private pipe{self._stderr_tail()}")
        if "failure" in reply:
            time.sleep(0.05)  # the traceback is on its way through the other pipe
            raise WorkerError(f"{action} {bounded_text(reply['failure'])}{self._stderr_tail()}")
        return reply

    def _read_line(self, action: str) -> bytes:
        """Return the next line of the private pipe; end a worker that gives none in time."""
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._buffer and len(self._buffer) < MAX_REPLY_BYTES:
            try:
                chunk = self._replies.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                self._stop()
                raise WorkerError(
                    f"timed out: {action} took more than {self._timeout:g} s{self._stderr_tail()}"
                ) from None
            if not chunk:
                raise WorkerError(self._describe_exit(action))
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _describe_exit(self, action: str) -> str:
        """Say how the process ended; end one that has only closed its pipe."""
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._stop()
            return f"crashed: {action} closed the private pipe{self._stderr_tail()}"
        ending = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self._reader_threads[1].join(timeout=1)
        return f"crashed: {action} ended with {ending}{self._stderr_tail()}"

    def _stderr_tail(self) -> str:
        lines = self._stderr.text()
        return f"\nlast lines of stderr:\n{lines}" if lines else ""

    def _stop(self) -> None:
        """End the process and its children; an adapter with more than that is told first."""
        if self.is_alive():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.terminate()
                self._process.wait(TERMINATE_TIMEOUT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process, gently unless it is in the middle of something; delete its files."""
        assert self._process.stdin is not None
        if not self._busy:
            with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
                self._process.stdin.write(b'{"method": "close"}\n')
                self._process.stdin.flush()
                self._process.wait(CLOSE_TIMEOUT)
        self._stop()
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()
        for reader in self._reader_threads:
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


def bounded_text(text: str) -> str:
    """Return a model's words as text of bounded length that can be written anywhere."""
    short = text if len(text) <= MAX_REASON_CHARACTERS else text[:MAX_REASON_CHARACTERS] + " ..."
    return short.encode("utf-8", "backslashreplace").decode()


def _parse_reply(line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _read_in_background(
    stream: IO[bytes] | None, consume: Callable[[bytes], None]
) -> threading.Thread:
    """Read a pipe in the background, so that it never fills up; an empty chunk is its end."""
    assert stream is not None
    handle = stream.fileno()

    def drain() -> None:
        while True:
            chunk = os.read(handle, 1 << 16)
            consume(chunk)
            if not chunk:
                stream.close()  # here: a child of the model may keep it open for long
                return

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    return reader


def _start_process(
    file: Path, scratch: Path, options: Mapping[str, str], config: WorkerConfig
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [config.python, "-I", WORKER, file, scratch, json.dumps(dict(options))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment_variables(config),
        start_new_session=True,  # so that its own children can be ended with it
    )


def create_scratch_folder() -> Path:
    """Make a folder for arrays; remove those whose owner died too suddenly to do it."""
    root = _scratch_root()
    for old in root.glob("segbench-*-*"):
        owner = old.name.split("-")[1]
        if owner.isdigit() and not process_runs(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"segbench-{os.getpid()}-", dir=root))


def _scratch_root() -> Path:
    """Memory, where there is room for arrays in it (containers often have 64 MB); else the disk."""
    with contextlib.suppress(OSError):
        has_space = shutil.disk_usage(SHARED_MEMORY).free > MIN_FREE_BYTES
        if has_space and os.access(SHARED_MEMORY, os.W_OK):
            return SHARED_MEMORY
    return Path(tempfile.gettempdir())


def _environment_variables(config: WorkerConfig) -> dict[str, str]:
    variables = dict(os.environ)
    if config.threads is not None:
        # the job that asks may have variables of its own: these are for the model
        variables |= threads.variables(config.threads)
    return variables
