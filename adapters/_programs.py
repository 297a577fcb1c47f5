"""Run a submission's program: its last lines of output, its time limit, its termination."""

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

PERSISTENT = "SEGBENCH_PERSISTENT"  # 1 for a program that serves many steps
DONE = "segbench: done"  # the line such a program prints when a step's output is written
KEPT_LINES, MAX_LINE_LENGTH = 12, 4096
SECONDS_TO_REPEAT = 2  # the line DONE, if a step has no output yet
SECONDS_TO_EXIT = 2  # a terminated worker has five seconds in all
SECONDS_TO_KILL = 30  # for an engine's kill command


class Program:
    """One run of a program, in its own process group so that its children can be killed, too.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    kill_command : sequence of str
        For containers: a container survives the death of its client.
    persistent : bool
        Whether steps are announced by lines on stdin; otherwise stdin is empty.
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
                stderr=subprocess.PIPE,  # separate: a partial line must not hide one of stdout
                text=True,
                errors="replace",
                env=environment(persistent=persistent),
                start_new_session=True,
            )
        except OSError as error:
            raise AdapterError(
                f"{command[0]}: expected a program that can be run, found {error.strerror!r}"
            ) from None
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._events: queue.Queue[str | None] = queue.Queue()
        self._readers = [
            start_thread(self._read_stream, stream)
            for stream in (self._process.stdout, self._process.stderr)
        ]
        self._exit_thread = start_thread(self._report_exit)

    def _read_stream(self, stream: IO[str]) -> None:
        """Drain a stream, so that no pipe fills up; long lines are read in pieces."""
        with stream:
            for line in iter(lambda: stream.readline(MAX_LINE_LENGTH), ""):
                self._last_lines.append(line.rstrip("\n"))
                if stream is self._process.stdout and line.strip() == DONE:
                    self._events.put(DONE)

    def _report_exit(self) -> None:
        """Queue None when the program exits, even if a child still holds its pipes."""
        self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for reader in self._readers:
            reader.join(timeout=1)
        self._events.put(None)

    def is_alive(self) -> bool:
        """Whether the program runs."""
        return self._process.poll() is None

    def wait(self, seconds: float | None) -> None:
        """Wait for the program's exit.

        Raises
        ------
        AdapterError
            It exceeds the time limit (and is killed), or its exit status is not 0.
        """
        while self._next_event(seconds) is not None:  # DONE lines are irrelevant here
            pass
        if self._process.returncode != 0:
            raise AdapterError(f"exit status {self._process.returncode}: {self._output_tail()}")

    def run_step(self, line: str, seconds: float | None, has_output: Callable[[], bool]) -> None:
        """Announce a step to the program and wait for the line `DONE`.

        A program may print the line of the last step twice, and the second one late. So a line
        without an output does not end the step yet: the right one may follow.

        Raises
        ------
        AdapterError
            It exceeds the time limit (and is killed), or it exits.
        """
        assert self._process.stdin is not None
        self._discard_old_events()
        with contextlib.suppress(OSError):  # the program has exited: its exit is read below
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        event = self._next_event(seconds)
        if event == DONE and not has_output():
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=SECONDS_TO_REPEAT)
        if event is None:
            raise AdapterError(
                f"persistent=yes: expected the line {DONE!r}, the program ended with exit status "
                f"{self._process.returncode}: {self._output_tail()}"
            )

    def _discard_old_events(self) -> None:
        """Drop repeated and late `DONE` lines: they do not belong to the next step."""
        events = [self._events.get() for _ in range(self._events.qsize())]
        if None in events:
            self._events.put(None)

    def _next_event(self, seconds: float | None) -> str | None:
        try:
            return self._events.get(timeout=seconds)
        except queue.Empty:
            raise self._timed_out(seconds) from None

    def stop(self) -> None:
        """Let a waiting program exit by itself, then kill what is left of it."""
        self._close_stdin()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_EXIT)
        self.kill()

    def kill(self) -> None:
        """Kill the program, its container and its children."""
        may_still_run = (
            self._process.poll() != 0
        )  # the container of a client that has ended may still run
        container_ended = not may_still_run or self._kill_container()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if not container_ended:
            self._kill_container()  # the client may have been about to start it
        self._kill_command = ()
        self._exit_thread.join(timeout=3)
        self._close_stdin()

    def _kill_container(self) -> bool:
        """Kill the container, if there is one; return whether it was found."""
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
            with contextlib.suppress(OSError):  # the program has exited
                self._process.stdin.close()

    def _timed_out(self, seconds: float | None) -> AdapterError:
        self.kill()
        return AdapterError(f"no output within {seconds:g} s, killed: {self._output_tail()}")

    def _output_tail(self) -> str:
        return "\n".join([shlex.join(self._command), *self._last_lines])


def environment(*, persistent: bool) -> dict[str, str]:
    """Return the program's environment; segbench itself may run in a persistent program."""
    inherited = {key: value for key, value in os.environ.items() if key != PERSISTENT}
    return inherited | ({PERSISTENT: "1"} if persistent else {})


def start_thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    """Run a function in a daemon thread."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
