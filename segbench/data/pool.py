"""Work done one item after another, or several at a time in processes of their own.

A process of the pool never outlives what started it: it watches one end of a pipe, which closes
when the other process gives up or dies, however it dies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import NoReturn, TypeVar

T = TypeVar("T")
R = TypeVar("R")

SECONDS_TO_CLEAN_UP = 2.0  # of a process that is to end: it removes files that are half written


def each(
    function: Callable[[T], R], items: Sequence[T], jobs: int
) -> Generator[tuple[T, R | None], None, None]:
    """Yield every item with its result, as they are finished.

    The result is None if the process of an item died, for lack of memory for example: with several
    jobs, those that were running are then tried again, each in a process of its own. If the caller
    is interrupted or stops, the processes end within seconds, whatever they are doing.
    """
    if jobs == 1:
        yield from ((item, function(item)) for item in items)
        return
    left = dict(enumerate(items))
    while left:
        try:
            with closing(_in_pool(function, left, jobs)) as results:
                for number, result in results:
                    yield left.pop(number), result
        except BrokenProcessPool:
            # a pool hands out one more than it runs; later ones were not begun
            for number in list(left)[: jobs + 1]:
                item = left.pop(number)
                yield item, _alone(function, item)


def _in_pool(
    function: Callable[[T], R], items: dict[int, T], jobs: int
) -> Generator[tuple[int, R], None, None]:
    with _processes(min(jobs, len(items))) as pool:
        futures = {pool.submit(_run, function, item): number for number, item in items.items()}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _alone(function: Callable[[T], R], item: T) -> R | None:
    with _processes(1) as pool:
        try:
            return pool.submit(_run, function, item).result()
        except BrokenProcessPool:
            return None


@contextmanager
def _processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    # a fork of a process with threads, such as that of a progress bar, may hang
    context = multiprocessing.get_context("spawn")
    watched, kept_open = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, context, _begin, (watched,))
    try:
        yield pool
    except BaseException:  # of whatever kind: what is running is not waited for
        kept_open.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        kept_open.close()
        watched.close()


class _Stop(SystemExit):
    """What a process of the pool is to end with; nothing but the clean-up of files catches it."""


_is_busy = False


def _begin(watched: Connection) -> None:
    """Prepare a process of the pool: it ends with what started it, and not by Ctrl-C itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()


def _run(function: Callable[[T], R], item: T) -> R:
    global _is_busy
    _is_busy = True
    try:
        return function(item)
    except _Stop:
        os._exit(128 + signal.SIGTERM)  # else the pool would send it back and begin the next item
    finally:
        _is_busy = False


def _stop(_: int, __: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the clean-up
    raise _Stop(128 + signal.SIGTERM)


def _end_with(watched: Connection) -> None:
    """End this process when the other end of the pipe is closed."""
    main = threading.main_thread().ident
    wait([watched])
    if _is_busy and main is not None:
        signal.pthread_kill(main, signal.SIGTERM)
        time.sleep(SECONDS_TO_CLEAN_UP)
    os._exit(128 + signal.SIGTERM)
