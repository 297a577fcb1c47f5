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
KEPT_LINES, MAX_LINE_LENGTH = 12, 4096
SECONDS_TO_EXIT = 2  # a worker that is ended itself has five for all
SECONDS_TO_KILL = 30  # that an engine may take to end a container


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

    def __init__(
        self, command: Sequence[str], kill_command: Sequence[str] = (), *, persistent: bool
    ) -> None:
        self._command, self._kill_command = command, kill_command
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if persistent else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,  # apart: half a line of it must not hide the line of stdout
                text=True,
                errors="replace",
                env=environment(persistent=persistent),
                start_new_session=True,
            )
        except OSError as error:
            raise AdapterError(f"{command[0]} cannot be run: {error.strerror}") from None
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._events: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            start_thread(self._read_stream, stream)
            for stream in (self._process.stdout, self._process.stderr)
        ]
        self._exit_thread = start_thread(self._report_exit)

    def _read_stream(self, stream: IO[str]) -> None:
        """Take what it prints, so that no pipe fills up; a line of any length comes in pieces."""
        with stream:
            for line in iter(lambda: stream.readline(MAX_LINE_LENGTH), ""):
                self._last_lines.append(line.rstrip("\n"))
                if stream is self._process.stdout and line.strip() == DONE:
                    self._events.put(DONE)

    def _report_exit(self) -> None:
        """Notice its end, also if a child that it has left holds its pipes; None is that."""
        self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for reader in self._readers:
            reader.join(timeout=1)
        self._events.put(None)

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def wait(self, seconds: float | None) -> None:
        """Wait for its end.

        Raises
        ------
        AdapterError
            If it takes longer than it may, and is ended, or if its exit status is not 0.
        """
        while self._next_event(seconds) is not None:  # what it says does not matter
            pass
        if self._process.returncode != 0:
            raise AdapterError(f"exit status {self._process.returncode}: {self._output_tail()}")

    def run_step(self, line: str, seconds: float | None) -> None:
        """Tell it of a step and wait until it says that it is done.

        Raises
        ------
        AdapterError
            If it takes longer than it may, and is ended, or if it ends.
        """
        assert self._process.stdin is not None
        self._discard_old_events()
        with contextlib.suppress(OSError):  # of one that has ended: its end is read below
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        if self._next_event(seconds) is None:
            raise AdapterError(
                f"persistent=yes: expected the line {DONE!r}, the program ended with exit status "
                f"{self._process.returncode}: {self._output_tail()}"
            )

    def _discard_old_events(self) -> None:
        """Drop what it said twice or too late: that is no answer to the next step."""
        events = [self._events.get() for _ in range(self._events.qsize())]
        if None in events:
            self._events.put(None)

    def _next_event(self, seconds: float | None) -> str | None:
        try:
            return self._events.get(timeout=seconds)
        except queue.Empty:
            raise self._kill_late(seconds) from None

    def stop(self) -> None:
        """Let one that waits for the next step end by itself, then end what is left of it."""
        self._close_stdin()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_EXIT)
        self.kill()

    def kill(self) -> None:
        """End it and all that it has started."""
        may_still_run = (
            self._process.poll() != 0
        )  # a client that died says nothing of its container
        container_ended = not may_still_run or self._kill_container()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if not container_ended:
            self._kill_container()  # its client may have been about to start it
        self._kill_command = ()
        self._exit_thread.join(timeout=3)
        self._close_stdin()

    def _kill_container(self) -> bool:
        """End its container, if it is one; return whether that was found."""
        if not self._kill_command:
            return True
        try:
            result = subprocess.run(
                self._kill_command, capture_output=True, timeout=SECONDS_TO_KILL, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return result.returncode == 0

    def _close_stdin(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # of one that has ended
                self._process.stdin.close()

    def _kill_late(self, seconds: float | None) -> AdapterError:
        self.kill()
        return AdapterError(f"no answer within {seconds:g} s, ended: {self._output_tail()}")

    def _output_tail(self) -> str:
        return "\n".join([shlex.join(self._command), *self._last_lines])


def environment(*, persistent: bool) -> dict[str, str]:
    """Return its environment; segbench itself may run in a program that is told of steps."""
    inherited = {key: value for key, value in os.environ.items() if key != PERSISTENT}
    return inherited | ({PERSISTENT: "1"} if persistent else {})


def start_thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    """Run a function in a thread that holds nothing up."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
