"""A program that is run for an answer: its last lines, its time limit, and its end for certain."""

from __future__ import annotations

import contextlib
import os
import queue
import shlex
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, Any

from segbench.errors import AdapterError

PERSISTENT = "SEGBENCH_PERSISTENT"  # set to 1 for a program that is to live through many steps
DONE = "segbench: done"  # the line with which such a program says that its answer lies there
LINES, LONGEST_LINE = 12, 4096
SECONDS_TO_LEAVE = 2  # a worker that is ended itself has five for all
SECONDS_TO_END = 30  # that an engine may take to end a container


class Program:
    """One run of a program, in a process group of its own, so that all of it can be ended.

    Parameters
    ----------
    words : sequence of str
        The program and its arguments.
    ending : sequence of str
        What ends it if ending its processes is not enough: a container outlives its client.
    told : bool
        Whether it is told of steps by lines on its stdin; else that is empty.
    """

    def __init__(self, words: Sequence[str], ending: Sequence[str] = (), *, told: bool) -> None:
        self._words, self._ending = words, ending
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE if told else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,  # apart: half a line of it must not hide the line of stdout
                text=True,
                errors="replace",
                env=variables(told=told),
                start_new_session=True,
            )
        except OSError as error:
            raise AdapterError(f"{words[0]} cannot be run: {error.strerror}") from None
        self._last: deque[str] = deque(maxlen=LINES)
        self._said: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            in_background(self._read, stream)
            for stream in (self._process.stdout, self._process.stderr)
        ]
        self._watcher = in_background(self._watch)

    def _read(self, stream: IO[str]) -> None:
        """Take what it prints, so that no pipe fills up; a line of any length comes in pieces."""
        with stream:
            for line in iter(lambda: stream.readline(LONGEST_LINE), ""):
                self._last.append(line.rstrip("\n"))
                if stream is self._process.stdout and line.strip() == DONE:
                    self._said.put(DONE)

    def _watch(self) -> None:
        """Notice its end, also if a child that it has left holds its pipes; None is that."""
        self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for reader in self._readers:
            reader.join(timeout=1)
        self._said.put(None)

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def finish(self, seconds: float | None) -> None:
        """Wait for its end.

        Raises
        ------
        AdapterError
            If it takes longer than it may, and is ended, or if its exit status is not 0.
        """
        while self._next(seconds) is not None:  # what it says does not matter
            pass
        if self._process.returncode != 0:
            raise AdapterError(f"exit status {self._process.returncode}: {self._last_words()}")

    def answer(self, line: str, seconds: float | None) -> None:
        """Tell it of a step and wait until it says that it is done.

        Raises
        ------
        AdapterError
            If it takes longer than it may, and is ended, or if it ends.
        """
        assert self._process.stdin is not None
        self._forget()
        with contextlib.suppress(OSError):  # of one that has ended: its end is read below
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        if self._next(seconds) is None:
            raise AdapterError(
                f"persistent=yes: expected the line {DONE!r}, the program ended with exit status "
                f"{self._process.returncode}: {self._last_words()}"
            )

    def _forget(self) -> None:
        """Drop what it said twice or too late: that is no answer to the next step."""
        waiting = [self._said.get() for _ in range(self._said.qsize())]
        if None in waiting:
            self._said.put(None)

    def _next(self, seconds: float | None) -> str | None:
        try:
            return self._said.get(timeout=seconds)
        except queue.Empty:
            raise self._too_late(seconds) from None

    def leave(self) -> None:
        """Let one that waits for the next step end by itself, then end what is left of it."""
        self._close_stdin()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_LEAVE)
        self.end()

    def end(self) -> None:
        """End it and all that it has started."""
        unfinished = self._process.poll() != 0  # a client that died says nothing of its container
        found = not unfinished or self._container_ended()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if not found:
            self._container_ended()  # its client may have been about to start it
        self._ending = ()
        self._watcher.join(timeout=3)
        self._close_stdin()

    def _container_ended(self) -> bool:
        """End its container, if it is one; return whether that was found."""
        if not self._ending:
            return True
        try:
            done = subprocess.run(
                self._ending, capture_output=True, timeout=SECONDS_TO_END, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def _close_stdin(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # of one that has ended
                self._process.stdin.close()

    def _too_late(self, seconds: float | None) -> AdapterError:
        self.end()
        return AdapterError(f"no answer within {seconds:g} s, ended: {self._last_words()}")

    def _last_words(self) -> str:
        return "\n".join([shlex.join(self._words), *self._last])


def variables(*, told: bool) -> dict[str, str]:
    """Return its environment; segbench itself may run in a program that is told of steps."""
    inherited = {key: value for key, value in os.environ.items() if key != PERSISTENT}
    return inherited | ({PERSISTENT: "1"} if told else {})


def in_background(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    """Run a function in a thread that holds nothing up."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
