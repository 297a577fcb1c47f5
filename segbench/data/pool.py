"""Work done one item after another, or several at a time in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], items: Sequence[T], jobs: int) -> Iterator[tuple[T, R | None]]:
    """Yield every item with its result, as they are finished.

    The result is None if the process of an item died, for lack of memory for example: with several
    jobs, those that were running are then tried again, each in a process of its own.
    """
    if jobs == 1:
        yield from ((item, function(item)) for item in items)
        return
    left = dict(enumerate(items))
    while left:
        try:
            for number, result in _in_pool(function, left, jobs):
                yield left.pop(number), result
        except BrokenProcessPool:
            # a pool hands out one more than it runs; later ones were not begun
            for number in list(left)[: jobs + 1]:
                item = left.pop(number)
                yield item, _alone(function, item)


def _in_pool(function: Callable[[T], R], items: dict[int, T], jobs: int) -> Iterator[tuple[int, R]]:
    with _processes(jobs) as pool:
        futures = {pool.submit(function, item): number for number, item in items.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:  # when interrupted, only what is running is waited for
            pool.shutdown(cancel_futures=True)


def _alone(function: Callable[[T], R], item: T) -> R | None:
    with _processes(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _processes(jobs: int) -> ProcessPoolExecutor:
    # a fork of a process with threads, such as that of a progress bar, may hang
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
