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

from .dialogue import Dialogue, open_dialogue
from .objects import Target, scene_of
from .scenes import Scene, generated_scene
from .schedule import Schedule

FEWEST_SHOWN = 20  # patch voxels of an object, or nothing can be learnt from it


@dataclass(frozen=True)
class Maker:
    """Makes dialogues from groups of annotated objects, and from generated ones."""

    groups: list[list[Target]]
    schedule: Schedule

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """How often each group is drawn: as the square root of its number of scans.

        Between equal shares, which repeat a group of one scan until it is learnt by heart, and
        shares by size, which forget it.
        """
        scans = [len({target.scan.name for target in group}) for group in self.groups]
        roots = np.sqrt(scans)
        return np.asarray(roots / roots.sum())

    def dialogue(self, number: int, patch: int) -> Dialogue:
        """Open the dialogue of a number."""
        rng = np.random.default_rng([self.schedule.seed, number])
        boxed = bool(rng.random() >= self.schedule.share_unboxed)
        while True:
            scene = self.scene(rng, patch, boxed=boxed)
            if scene.reference.sum() >= FEWEST_SHOWN:
                return open_dialogue(scene, rng, boxed=boxed)

    def scene(self, rng: np.random.Generator, patch: int, *, boxed: bool) -> Scene:
        """Return a scene: groups of scans by their shares, the objects of a group alike."""
        if rng.random() < self.schedule.share_generated or not self.groups:
            return generated_scene(rng, patch)
        group = self.groups[int(rng.choice(len(self.groups), p=self.shares))]
        target = group[int(rng.integers(len(group)))]
        return scene_of(target, rng, patch, boxed=boxed)


@dataclass
class Feed:
    """Gives dialogues one by one; the next one's number is ``number``."""

    maker: Maker
    workers: int
    number: int = 0
    _patch: int | None = field(default=None, repr=False)
    _lines: list[tuple[ForkProcess, Connection]] = field(default_factory=list, repr=False)

    def next(self, patch: int) -> Dialogue:
        """Return the next dialogue."""
        if not self.workers:
            with one_thread():
                dialogue = self.maker.dialogue(self.number, patch)
        else:
            dialogue = self._received(patch)
        self.number += 1
        return dialogue

    def close(self) -> None:
        """End the processes."""
        for process, line in self._lines:
            process.terminate()
            process.join()
            line.close()
        self._lines.clear()
        self._patch = None

    def _received(self, patch: int) -> Dialogue:
        if patch != self._patch:
            self._start(patch)
        _, line = self._lines[self.number % self.workers]
        made = line.recv()
        if isinstance(made, Dialogue):
            return made
        raise RuntimeError(f"making dialogue {self.number} failed:\n{made}")

    def _start(self, patch: int) -> None:
        self.close()
        # fork, not spawn: a child could not import the adapter, which was found by its path
        context = multiprocessing.get_context("fork")
        for place in range(self.workers):
            first = self.number + (place - self.number) % self.workers
            ours, theirs = context.Pipe(duplex=False)
            numbers = itertools.count(first, self.workers)
            process = context.Process(
                target=_serve, args=(self.maker, (ours, theirs), numbers, patch), daemon=True
            )
            process.start()
            theirs.close()  # or a dead child would never be noticed
            self._lines.append((process, ours))
        self._patch = patch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread for a while: sums come out otherwise on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _serve(
    maker: Maker, ends: tuple[Connection, Connection], numbers: itertools.count[int], patch: int
) -> None:
    """Make dialogues until nobody reads them; sending waits, so one lies ready a process."""
    reader, line = ends
    reader.close()  # its copy in here would keep this process alive when the training is killed
    torch.set_num_threads(1)  # the training has the cores; more would also hang after a fork
    for number in numbers:
        try:
            line.send(maker.dialogue(number, patch))
        except (BrokenPipeError, KeyboardInterrupt):
            return
        except Exception:  # goes on in the process that waits
            line.send(traceback.format_exc())
            return
