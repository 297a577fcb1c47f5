"""How processes that run cases tell the runner how far they are: datagrams on this machine.

Nothing waits for them and nothing depends on them: one that is lost is one line less of progress.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from segbench.runs.pace import StepProgress

OnStep = Callable[[StepProgress], None]
LARGEST_BYTES = 65536
SECONDS_TO_NOTICE_THE_END = 0.2


def ignore_step(progress: StepProgress) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class StepSender:
    """Sends the progress of steps to the process that listens at an address."""

    address: tuple[str, int]

    def __call__(self, progress: StepProgress) -> None:
        """Send one; nothing happens if nobody listens."""
        with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(json.dumps(asdict(progress)).encode(), self.address)


@contextmanager
def step_receiver(on_step: OnStep, cases: Collection[str]) -> Iterator[OnStep]:
    """Yield a function for other processes of this machine, whose calls arrive here.

    ``on_step`` is called in a thread, with steps of ``cases`` only. If this machine has no local
    network, nothing arrives.
    """
    if on_step is ignore_step:
        yield ignore_step
        return
    with contextlib.ExitStack() as stack:
        try:
            receiver = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            receiver.bind(("127.0.0.1", 0))
        except OSError:
            yield ignore_step
            return
        receiver.settimeout(SECONDS_TO_NOTICE_THE_END)
        over = threading.Event()
        arguments = (receiver, on_step, frozenset(cases), over)
        thread = threading.Thread(target=_receive, args=arguments, daemon=True)
        thread.start()
        try:
            yield StepSender(receiver.getsockname())
        finally:
            over.set()
            thread.join()


def _receive(
    receiver: socket.socket, on_step: OnStep, cases: frozenset[str], over: threading.Event
) -> None:
    while not over.is_set():
        with contextlib.suppress(OSError, ValueError, TypeError):
            on_step(_parse(receiver.recv(LARGEST_BYTES), cases))


def _parse(datagram: bytes, cases: frozenset[str]) -> StepProgress:
    """Return what a datagram says; anybody on this machine can send one.

    Raises
    ------
    ValueError, TypeError
        It is not the progress of a step of one of the cases.
    """
    found = StepProgress(**json.loads(datagram))
    counts = (found.done, found.total, found.has_boxes)
    if not all(isinstance(count, int) for count in counts) or not 0 <= found.seconds < math.inf:
        raise ValueError("expected numbers")
    if found.case not in cases or not 0 <= found.done <= found.total or not found.total:
        raise ValueError("expected a step of a case")
    return found
