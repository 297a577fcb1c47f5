"""A seat whose adapter runs in a supervised worker process, in its own environment if it has one.

Whatever happens to the worker (an exception, an exit, a hang, a kill) becomes a failed answer with
its reason and the last lines of its stderr; the next question finds a fresh worker.
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
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from segbench.adapter import name_of
from segbench.core import AdapterInfo, Answer, Image, Interactions
from segbench.errors import AdapterError
from segbench.leases import process_runs

WORKER = Path(__file__).with_name("worker.py")
SHARED_MEMORY = Path("/dev/shm")
ROOM_FOR_ARRAYS = 2 * 2**30
STARTS_PER_CASE = 2  # a model that cannot take an image is not asked to for every click
STDERR_LINES = 12
SECONDS_TO_CLOSE = 10


@dataclass(frozen=True)
class Environment:
    """Where and within which limits a worker runs."""

    python: Path = field(default_factory=lambda: Path(sys.executable))
    step_timeout: float = 900.0  # seconds, for loading, for starting an image and for each step
    threads: int | None = None  # of the numerical libraries; None leaves them alone


class WorkerFault(Exception):
    """The worker did not do what it was asked; never leaves this module."""


class Supervisor:
    """Fulfils :class:`segbench.adapter.Seat` by asking a worker process."""

    def __init__(self, file: Path, options: Mapping[str, str], environment: Environment) -> None:
        self._file, self._options, self._environment = file, dict(options), environment
        self._worker: Worker | None = None
        self._shown: tuple[Image, tuple[int, ...]] | None = None
        self._starts_left = 0
        self.info, self.surroundings = self._introduce()

    def _introduce(self) -> tuple[AdapterInfo, dict[str, Any]]:
        try:
            hello = self._alive().hello
        except WorkerFault as fault:
            raise AdapterError(f"{name_of(self._file)}: cannot be loaded: {fault}") from None
        info = hello["info"]
        surroundings = {key: hello[key] for key in ("versions", "device")}
        return AdapterInfo(**{**info, "prompts": tuple(info["prompts"])}), surroundings

    def start(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember what to show; the first question shows it, and so does one after a crash."""
        self._shown, self._starts_left = (image, labels), STARTS_PER_CASE
        if self._worker is not None:
            self._worker.knows_image = False

    def ask(self, said: Interactions) -> Answer:
        """Ask the worker; any fault of it becomes a failure."""
        began = time.perf_counter()
        try:
            starting = self._show()
            labels, reply = self._alive().ask(said)
        except (WorkerFault, ValueError, OSError) as fault:
            if self._worker is not None:
                self._worker.knows_image = False  # its state is anybody's guess
            return Answer(None, time.perf_counter() - began, str(fault))
        return Answer(labels, starting + reply["seconds"], None, reply.get("peak_mb"))

    def close(self) -> None:
        """End the worker and delete its files."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _alive(self) -> Worker:
        if self._worker is None or not self._worker.is_alive():
            self.close()
            self._worker = Worker(self._file, self._options, self._environment)
        return self._worker

    def _show(self) -> float:
        """Show the image to a worker that does not know it; return the seconds it took."""
        if self._worker is not None and self._worker.is_alive() and self._worker.knows_image:
            return 0.0
        if self._shown is None or self._starts_left == 0:
            raise WorkerFault(f"could not start this image in {STARTS_PER_CASE} attempts")
        self._starts_left -= 1
        seconds = self._alive().start(*self._shown)
        self._starts_left = STARTS_PER_CASE
        return seconds


class Worker:
    """One process that serves one adapter, and the scratch folder shared with it."""

    def __init__(self, file: Path, options: Mapping[str, str], environment: Environment) -> None:
        self.knows_image = False
        self.scratch = _new_scratch()
        self._answer: NDArray[Any] | None = None  # what labels.npy holds
        self._previous: NDArray[Any] | None = None  # what previous.npy holds
        self._timeout = environment.step_timeout
        self._process = subprocess.Popen(
            [environment.python, "-I", WORKER, file, self.scratch, json.dumps(dict(options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_variables(environment),
            text=True,
            errors="replace",
            start_new_session=True,  # so that its own children can be ended with it
        )
        self._replies: queue.Queue[str | None] = queue.Queue()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._readers = [self._read(self._process.stdout, self._replies.put, at_end=True)]
        self._readers += [self._read(self._process.stderr, self._stderr.append)]
        try:
            self.hello = self._await("loading the adapter")
        except WorkerFault:
            self.close()
            raise

    def _read(self, stream: IO[str] | None, take: Any, *, at_end: bool = False) -> threading.Thread:
        def drain() -> None:
            with contextlib.suppress(ValueError):  # closed under us
                for line in stream or ():
                    take(line)
            if at_end:
                take(None)

        reader = threading.Thread(target=drain, daemon=True)
        reader.start()
        return reader

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def start(self, image: Image, labels: tuple[int, ...]) -> float:
        """Show a new image; return the seconds the adapter took."""
        (self.scratch / "image.npy").unlink(missing_ok=True)  # the worker may still have it mapped
        np.save(self.scratch / "image.npy", image.voxels)
        reply = self._request(
            "starting the image", do="start", spacing=image.spacing, labels=labels
        )
        self.knows_image = True
        return float(reply["seconds"])

    def ask(self, said: Interactions) -> tuple[NDArray[Any], dict[str, Any]]:
        """Ask one step; return the answer as it is, and what the worker says of it."""
        self._hand_over(said.previous)
        rounds = [[asdict(prompt) for prompt in prompts] for prompts in said.rounds]
        reply = self._request(f"step {said.step}", do="step", rounds=rounds)
        self._answer = np.load(self.scratch / "labels.npy", allow_pickle=False)
        return self._answer, reply

    def _hand_over(self, previous: NDArray[Any]) -> None:
        """See that previous.npy holds the label map, and that no old answer can be taken for new.

        Mostly it is the worker's own last answer, whose file only needs another name.
        """
        answer_file, previous_file = self.scratch / "labels.npy", self.scratch / "previous.npy"
        if previous is self._answer and answer_file.exists():
            answer_file.replace(previous_file)
        elif previous is not self._previous:
            previous_file.unlink(missing_ok=True)  # the worker may still have it mapped
            np.save(previous_file, previous)
        answer_file.unlink(missing_ok=True)
        self._previous = previous

    def _request(self, doing: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerFault(self._post_mortem(doing)) from None
        return self._await(doing)

    def _await(self, doing: str) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=self._timeout)
        except queue.Empty:
            self._kill()
            raise WorkerFault(
                f"timed out: {doing} took more than {self._timeout:g} s{self._last_words()}"
            ) from None
        if line is None:
            raise WorkerFault(self._post_mortem(doing))
        reply: dict[str, Any] = json.loads(line)
        if "failure" in reply:
            time.sleep(0.05)  # the traceback is on its way through the other pipe
            raise WorkerFault(f"{doing} raised {reply['failure']}{self._last_words()}")
        return reply

    def _post_mortem(self, doing: str) -> str:
        status = self._process.wait()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        self._readers[1].join(timeout=1)
        return f"crashed: {doing} ended with {how}{self._last_words()}"

    def _last_words(self) -> str:
        lines = "".join(self._stderr).rstrip()
        return f"\nlast lines of stderr:\n{lines}" if lines else ""

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process, gently first, and delete its files."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write('{"do": "close"}\n')
            self._process.stdin.flush()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_CLOSE)
        self._kill()
        for reader in self._readers:
            reader.join(timeout=1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.close()  # type: ignore[union-attr]
        shutil.rmtree(self.scratch, ignore_errors=True)


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


def _variables(environment: Environment) -> dict[str, str]:
    variables = dict(os.environ)
    if environment.threads is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            variables[name] = str(environment.threads)
    return variables
