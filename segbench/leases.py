"""Two runners on one run folder: who works on which case.

A lease is a small file that only one process can create. Its owner touches it while it works; one
that has not been touched for a while, or whose owner on this machine is dead, is taken over.
Plain files, because they work on the network disks of clusters, where locks often do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

TOUCHED_EVERY = 20.0  # seconds
DEAD_AFTER = 180.0  # seconds without a touch


@contextlib.contextmanager
def lease(folder: Path, case: str) -> Iterator[bool]:
    """Hold the lease of a case; yields False if somebody else does."""
    file = folder / f".{case}.lease"
    _bury(file)
    if not _create(file):
        yield False
        return
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(file, done), daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        file.unlink(missing_ok=True)


def _create(file: Path) -> bool:
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"host": socket.gethostname(), "pid": os.getpid()}, stream)
    return True


def _keep(file: Path, done: threading.Event) -> None:
    while not done.wait(TOUCHED_EVERY):
        with contextlib.suppress(OSError):
            file.touch()


def _bury(file: Path) -> None:
    """Remove a lease whose owner is gone."""
    with contextlib.suppress(OSError):
        if not file.exists() or not _is_dead(file):
            return
        # of two who find it dead, one moves it away; a live one has since been made anew
        grave = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
        file.rename(grave)
        if _is_dead(grave):
            grave.unlink()
        else:
            os.link(grave, file)
            grave.unlink()


def _is_dead(file: Path) -> bool:
    if _age(file) > DEAD_AFTER:
        return True
    try:
        owner = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False  # being written
    return owner["host"] == socket.gethostname() and not process_runs(owner["pid"])


def _age(file: Path) -> float:
    """Return the seconds since the last touch, by the clock of the disk the lease is on."""
    probe = file.with_name(f".clock.{uuid.uuid4().hex}")
    probe.touch()
    try:
        return probe.stat().st_mtime - file.stat().st_mtime
    finally:
        probe.unlink()


def process_runs(pid: int) -> bool:
    """Whether a process of this machine is alive."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
