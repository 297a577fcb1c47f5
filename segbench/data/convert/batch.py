"""Convert many scans, several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from segbench.data.convert.conversion import Conversion, convert_scan
from segbench.data.convert.rules import Rules
from segbench.data.convert.scan import Scan


@dataclass(frozen=True)
class Batch:
    """What is the same for all scans of a call."""

    rules: Rules
    out: Path
    replace_changed: bool = False

    def convert(self, scan: Scan) -> Conversion:
        """Convert one scan."""
        return convert_scan(scan, self.rules, self.out, replace_changed=self.replace_changed)


def convert_scans(scans: Sequence[Scan], batch: Batch, *, jobs: int = 1) -> Iterator[Conversion]:
    """Yield what becomes of each scan, as they are finished.

    With several jobs, a scan whose process dies, such as for lack of memory, is refused; the
    others go on.
    """
    batch.out.mkdir(parents=True, exist_ok=True)
    if jobs == 1:
        yield from map(batch.convert, scans)
        return
    left = {scan.name: scan for scan in scans}
    while left:
        try:
            for done in _in_processes(list(left.values()), batch, jobs):
                del left[done.name]
                yield done
        except BrokenProcessPool:
            for scan in list(left.values())[:jobs]:  # scans start in their order
                del left[scan.name]
                yield _alone(scan, batch)


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))


def _in_processes(scans: Sequence[Scan], batch: Batch, jobs: int) -> Iterator[Conversion]:
    with _pool(min(jobs, len(scans))) as pool:
        futures = [pool.submit(batch.convert, scan) for scan in scans]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _alone(scan: Scan, batch: Batch) -> Conversion:
    """Convert a scan in a process that does nothing else."""
    with _pool(1) as pool:
        try:
            return pool.submit(batch.convert, scan).result()
        except BrokenProcessPool:
            reason = "the process that converted it died; is there enough memory?"
            return Conversion(scan.name, scan.image.name, "refused", reason)
