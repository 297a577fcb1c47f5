"""One worker process: its start, its limits and its end, seen from segbench.

A request is a line of JSON with a number. The reply has the same number, and the file of its array
has it in its name, so that the output of another request is never taken for this one. An error of
the worker is a `WorkerError`; an error of segbench stays an OSError.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from segbench import threads
from segbench.core import Image, Interactions, prompt_to_json
from segbench.models.scratch import ScratchFolder
from segbench.models.stderr_tail import Tail

WORKER = Path(__file__).with_name("worker.py")
MAX_REASON_CHARACTERS, MAX_REPLY_BYTES = 10_000, 1 << 22
CLOSE_TIMEOUT = 10  # seconds
TERMINATE_TIMEOUT = 5  # seconds after SIGTERM, which ends most models at once


@dataclass(frozen=True)
class WorkerConfig:
    """The interpreter of a worker and its limits."""

    python: Path = field(default_factory=lambda: Path(sys.executable))
    step_timeout: float = 900.0  # seconds, separately for loading, set_image and each step
    threads: int | None = None  # of the numerical libraries; None sets no limit


class WorkerError(Exception):
    """The worker did not complete a request; the step fails for this reason.

    ``stderr`` is what the worker wrote last, if that says more.
    """

    def __init__(self, reason: str, stderr: Tail | None = None) -> None:
        lines, line = (stderr.text(), stderr.last_line()) if stderr else ("", "")
        super().__init__(f"{reason}\nlast lines of stderr:\n{lines}" if lines else reason)
        self.in_one_line = f"{reason}; last line of stderr: {line}" if line else reason


class RefusalError(WorkerError):
    """The adapter cannot be loaded; the message is complete."""


class WorkerProcess:
    """One process that serves one adapter, and the scratch folder that both sides use."""

    def __init__(self, file: Path, options: Mapping[str, str], config: WorkerConfig) -> None:
        self.has_image = False
        self._timeout, self._number, self._busy = config.step_timeout, 0, True
        self._folder = ScratchFolder()
        self.scratch = self._folder.path
        try:
            self._process = _start_process(file, self.scratch, options, config)
        except OSError as error:
            self._folder.remove()
            raise WorkerError(
                f"{config.python}: expected an interpreter that can be run, found "
                f"{error.strerror!r}"
            ) from None
        self._chunks: queue.Queue[bytes] = queue.Queue()
        self._stderr = Tail()
        self._readers = (
            _read_in_background(self._process.stdout, self._chunks.put),
            _read_in_background(self._process.stderr, self._stderr.add),
        )
        self._buffer = b""
        try:
            self.load_reply = self._receive()
        except WorkerError:
            self.close()
            raise

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def is_ready(self) -> bool:
        """Whether the process runs and owes no reply, as after an interrupted request."""
        return self.is_alive() and not self._busy

    def set_image(self, image: Image, labels: tuple[int, ...]) -> float:
        """Set a new image; return the seconds that the adapter took."""
        self._folder.write_image(image.voxels)
        request = {"method": "set_image", "spacing": image.spacing, "labels": labels}
        try:
            reply = self._request(request)
        except WorkerError as error:
            raise WorkerError(f"setting the image: {error}") from None
        self.has_image = True
        return float(reply["seconds"])

    def predict(self, interactions: Interactions) -> tuple[NDArray[Any], dict[str, Any]]:
        """Run one step; return the adapter's array, unchecked, and the worker's reply."""
        self._folder.write_previous(interactions.previous_segmentation)
        rounds = [list(map(prompt_to_json, prompts)) for prompts in interactions.rounds]
        reply = self._request({"method": "predict", "rounds": rounds})
        try:
            return self._folder.read_output(self._number), reply
        except (OSError, ValueError, EOFError) as error:
            raise WorkerError(f"returned no array that can be read: {error}") from None

    def _request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        self._busy = True
        try:
            self._send({"number": self._number, **request})
        except OSError:
            raise WorkerError(self._describe_exit(), self._stderr) from None
        return self._receive()

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps(request) + "\n").encode())
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        """Return the reply to the last request."""
        line = self._read_line()
        self._busy = False
        reply = _parse_reply(line)
        if reply.get("number") != self._number:
            self._stop()
            raise WorkerError("wrote into the private pipe", self._stderr)
        if "refusal" in reply:
            raise RefusalError(bounded_text(reply["refusal"]))
        if "failure" in reply:
            raise WorkerError(bounded_text(reply["failure"]))
        return reply

    def _read_line(self) -> bytes:
        """Return the next line of the private pipe; stop a worker that writes none in time."""
        deadline = time.monotonic() + self._timeout
        while b"\n" not in self._buffer and len(self._buffer) < MAX_REPLY_BYTES:
            try:
                chunk = self._chunks.get(timeout=max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                self._stop()
                reason = f"timed out: took more than {self._timeout:g} s"
                raise WorkerError(reason, self._stderr) from None
            if not chunk:
                raise WorkerError(self._describe_exit(), self._stderr)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _describe_exit(self) -> str:
        """Return how the process ended; stop a process that has only closed its pipe."""
        try:
            status = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._stop()
            return "crashed: closed the private pipe"
        ending = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self._readers[1].join(timeout=1)
        return f"crashed: ended with {ending}"

    def _stop(self) -> None:
        """Terminate the process, then kill it and its children.

        An adapter that holds more than that, such as a container, can close it on SIGTERM.
        """
        if self.is_alive():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.terminate()
                self._process.wait(TERMINATE_TIMEOUT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process, after closing the adapter unless a request is running; delete files."""
        assert self._process.stdin is not None
        if not self._busy:
            with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
                self._send({"method": "close"})
                self._process.wait(CLOSE_TIMEOUT)
        self._stop()
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()
        for reader in self._readers:
            reader.join(timeout=1)
        self._folder.remove()


def bounded_text(text: str) -> str:
    """Return a model's message as text of bounded length that UTF-8 can encode."""
    if len(text) > MAX_REASON_CHARACTERS:
        text = text[:MAX_REASON_CHARACTERS] + " ..."
    return text.encode("utf-8", "backslashreplace").decode()


def _parse_reply(line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _read_in_background(
    stream: IO[bytes] | None, consume: Callable[[bytes], None]
) -> threading.Thread:
    """Read a pipe in a thread, so that it never fills up; an empty chunk is its end."""
    assert stream is not None
    handle = stream.fileno()

    def read() -> None:
        while True:
            chunk = os.read(handle, 1 << 16)
            consume(chunk)
            if not chunk:
                stream.close()  # in this thread: a child of the model may keep the pipe open
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return reader


def _start_process(
    file: Path, scratch: Path, options: Mapping[str, str], config: WorkerConfig
) -> subprocess.Popen[bytes]:
    # the job that starts the worker may have other values: these are for the model
    limits = {} if config.threads is None else threads.environment_variables(config.threads)
    return subprocess.Popen(
        [config.python, "-I", WORKER, file, scratch, json.dumps(dict(options))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | limits,
        start_new_session=True,  # so that its children can be killed with it
    )
