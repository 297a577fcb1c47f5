"""New samples in the order of their indices, drawn by worker processes.

A sample depends only on the seed, its index and the patch: not on the number of processes, nor on
earlier samples. A training that is resumed at index ``n`` therefore gets the same samples. The
processes only draw small arrays; samples are painted by the training process, on its device.
"""

from __future__ import annotations

import itertools
import multiprocessing
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess

import torch

from .samples import SampleParameters, Sampler


@dataclass
class SampleLoader:
    """Returns samples one by one; the index of the next one is ``next_index``."""

    sampler: Sampler
    n_workers: int
    next_index: int = 0
    _patch: int | None = field(default=None, repr=False)
    _workers: list[tuple[ForkProcess, Connection]] = field(default_factory=list, repr=False)

    def next(self, patch: int) -> SampleParameters:
        """Return the next sample."""
        if not self.n_workers:
            sample = self.sampler.draw(self.next_index, patch)
        else:
            sample = self._receive(patch)
        self.next_index += 1
        return sample

    def close(self) -> None:
        """Terminate the worker processes."""
        for process, connection in self._workers:
            process.terminate()
            process.join()
            connection.close()
        self._workers.clear()
        self._patch = None

    def _receive(self, patch: int) -> SampleParameters:
        if patch != self._patch:
            self._start_workers(patch)
        _, connection = self._workers[self.next_index % self.n_workers]
        try:
            received = connection.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError(
                f"the process that draws sample {self.next_index} has ended (killed?)"
            ) from error
        if isinstance(received, SampleParameters):
            return received
        raise RuntimeError(f"drawing sample {self.next_index} failed:\n{received}")

    def _start_workers(self, patch: int) -> None:
        self.close()
        # fork, not spawn: a child cannot import the adapter, which is loaded by its path
        context = multiprocessing.get_context("fork")
        for worker in range(self.n_workers):
            first = self.next_index + (worker - self.next_index) % self.n_workers
            reader, writer = context.Pipe(duplex=False)
            indices = itertools.count(first, self.n_workers)
            process = context.Process(
                target=_send_samples,
                args=(self.sampler, (reader, writer), indices, patch),
                daemon=True,
            )
            process.start()
            writer.close()  # otherwise the end of a child is never noticed
            self._workers.append((process, reader))
        self._patch = patch


def _send_samples(
    sampler: Sampler,
    ends: tuple[Connection, Connection],
    indices: itertools.count[int],
    patch: int,
) -> None:
    """Send samples until the reader is closed; sending blocks, so each process has one ready."""
    reader, connection = ends
    reader.close()  # if open, this copy keeps the process alive after the training is killed
    torch.set_num_threads(1)  # the training uses the cores; more threads also hang after a fork
    for index in indices:
        try:
            connection.send(sampler.draw(index, patch))
        except (BrokenPipeError, KeyboardInterrupt):
            return
        except Exception:  # raised again in the training process
            connection.send(traceback.format_exc())
            return
