"""An interrupt ends a command in one line that says how to go on."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click

EXIT_STATUS = 130
BY_DEFAULT: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


@contextmanager
def one_line_if_interrupted(line: Callable[[], str]) -> Iterator[None]:
    """End the command with a line on stderr and exit status 130 on SIGINT and SIGTERM.

    Both raise a KeyboardInterrupt inside, so that all that is begun is cleaned up; what follows
    the first is ignored, because it would end the clean-up. A signal that somebody else handles or
    ignores, such as ``nohup``, is left alone.
    """
    changed = [number for number, usual in BY_DEFAULT.items() if _handler(number) == usual]

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        for number in changed:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in changed:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(line(), err=True)
        sys.exit(EXIT_STATUS)
    finally:
        for number in changed:
            signal.signal(number, BY_DEFAULT[number])


def _handler(number: int) -> Any:
    """Return the handler of a signal; None where none can be set."""
    is_main = threading.current_thread() is threading.main_thread()
    return signal.getsignal(number) if is_main else None
