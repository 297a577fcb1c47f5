"""New dialogues in the order of their numbers, made by processes beside the training.

A dialogue depends on the seed, its number and the patch alone: not on how many processes there
are, nor on what was asked before. So a training that starts again at number ``n`` sees what it
would have seen.
"""

from __future__ import annotations

import itertools
import multiprocessing
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess

import numpy as np
import torch
from numpy.typing import NDArray

from .interactive_sample import InteractiveSample, start_sample
from .objects import ScanObject, crop_scene
from .scenes import Scene, generated_scene
from .schedule import Schedule

MIN_VISIBLE_VOXELS = 20  # patch voxels of an object, or nothing can be learnt from it


@dataclass(frozen=True)
class SampleGenerator:
    """Makes dialogues from groups of annotated objects, and from generated ones."""

    groups: list[list[ScanObject]]
    schedule: Schedule

    @cached_property
    def group_probabilities(self) -> NDArray[np.float64]:
        """How often each group is drawn: as the square root of its number of scans.

        Between equal shares, which repeat a group of one scan until it is learnt by heart, and
        shares by size, which forget it.
        """
        scans = [len({scan_object.scan.name for scan_object in group}) for group in self.groups]
        roots = np.sqrt(scans)
        return np.asarray(roots / roots.sum())

    def sample(self, index: int, patch: int) -> InteractiveSample:
        """Open the dialogue of a number."""
        rng = np.random.default_rng([self.schedule.seed, index])
        with_box = bool(rng.random() >= self.schedule.share_without_box)
        while True:
            scene = self.scene(rng, patch, with_box=with_box)
            if scene.reference.sum() >= MIN_VISIBLE_VOXELS:
                return start_sample(scene, rng, with_box=with_box)

    def scene(self, rng: np.random.Generator, patch: int, *, with_box: bool) -> Scene:
        """Return a scene: groups of scans by their shares, the objects of a group alike."""
        if rng.random() < self.schedule.share_generated or not self.groups:
            return generated_scene(rng, patch)
        group = self.groups[int(rng.choice(len(self.groups), p=self.group_probabilities))]
        scan_object = group[int(rng.integers(len(group)))]
        return crop_scene(scan_object, rng, patch, with_box=with_box)


@dataclass
class SampleLoader:
    """Gives dialogues one by one; the next one's number is ``next_index``."""

    generator: SampleGenerator
    n_workers: int
    next_index: int = 0
    _patch: int | None = field(default=None, repr=False)
    _workers: list[tuple[ForkProcess, Connection]] = field(default_factory=list, repr=False)

    def next(self, patch: int) -> InteractiveSample:
        """Return the next dialogue."""
        if not self.n_workers:
            with single_thread():
                sample = self.generator.sample(self.next_index, patch)
        else:
            sample = self._receive(patch)
        self.next_index += 1
        return sample

    def close(self) -> None:
        """End the processes."""
        for process, connection in self._workers:
            process.terminate()
            process.join()
            connection.close()
        self._workers.clear()
        self._patch = None

    def _receive(self, patch: int) -> InteractiveSample:
        if patch != self._patch:
            self._start_workers(patch)
        _, connection = self._workers[self.next_index % self.n_workers]
        received = connection.recv()
        if isinstance(received, InteractiveSample):
            return received
        raise RuntimeError(f"generating sample {self.next_index} failed:\n{received}")

    def _start_workers(self, patch: int) -> None:
        self.close()
        # fork, not spawn: a child could not import the adapter, which was found by its path
        context = multiprocessing.get_context("fork")
        for worker in range(self.n_workers):
            first = self.next_index + (worker - self.next_index) % self.n_workers
            reader, writer = context.Pipe(duplex=False)
            indices = itertools.count(first, self.n_workers)
            process = context.Process(
                target=_send_samples,
                args=(self.generator, (reader, writer), indices, patch),
                daemon=True,
            )
            process.start()
            writer.close()  # or a dead child would never be noticed
            self._workers.append((process, reader))
        self._patch = patch


@contextmanager
def single_thread() -> Iterator[None]:
    """Compute on one thread for a while: sums come out otherwise on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _send_samples(
    generator: SampleGenerator,
    ends: tuple[Connection, Connection],
    indices: itertools.count[int],
    patch: int,
) -> None:
    """Make dialogues until nobody reads them; sending waits, so one lies ready a process."""
    reader, connection = ends
    reader.close()  # its copy in here would keep this process alive when the training is killed
    torch.set_num_threads(1)  # the training has the cores; more would also hang after a fork
    for index in indices:
        try:
            connection.send(generator.sample(index, patch))
        except (BrokenPipeError, KeyboardInterrupt):
            return
        except Exception:  # goes on in the process that waits
            connection.send(traceback.format_exc())
            return
