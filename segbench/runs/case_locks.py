"""Two runners on one run folder: who works on which case.

A lease is a small file that only one process can create. Its owner touches it while it works; one
that has not been touched for a while, or whose owner on this machine is dead, is taken over. An
owner that was suspended so long that it lost its lease notices, and leaves the new one alone.
Plain files, because they work on the network disks of clusters, where locks often do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from segbench.processes import process_runs

TOUCHED_EVERY = 20.0  # seconds
DEAD_AFTER = 180.0  # seconds without a touch

IsMine = Callable[[], bool]


@contextlib.contextmanager
def case_lock(folder: Path, case: str) -> Iterator[IsMine | None]:
    """Hold the lease of a case; yields None if somebody else does.

    Else it yields a function that says whether the lease is still held: to be asked before
    anything is written.
    """
    file = folder / f".{case}.lease"
    token = uuid.uuid4().hex
    _bury(file)
    if not _create(file, token):
        yield None
        return
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(file, token, done), daemon=True)
    keeper.start()
    try:
        yield lambda: _is_held(file, token)
    finally:
        done.set()
        keeper.join()
        if _is_held(file, token):
            file.unlink(missing_ok=True)


def _create(file: Path, token: str) -> bool:
    owner = {"token": token, "host": socket.gethostname(), "boot": _boot(), "pid": os.getpid()}
    try:
        with file.open("x", encoding="utf-8") as stream:
            json.dump(owner, stream)
    except FileExistsError:
        return False
    except OSError:  # a full disk: an empty lease would keep everybody out
        file.unlink(missing_ok=True)
        raise
    return True


def _is_held(file: Path, token: str) -> bool:
    return _owner(file).get("token") == token


def _owner(file: Path) -> dict[str, object]:
    """Return who holds a lease; nothing if that cannot be told."""
    try:
        owner = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _keep(file: Path, token: str, done: threading.Event) -> None:
    while not done.wait(TOUCHED_EVERY):
        with contextlib.suppress(OSError):
            if _is_held(file, token):
                os.utime(file)  # unlike touch, never makes a file


def _bury(file: Path) -> None:
    """Remove a lease whose owner is gone."""
    with contextlib.suppress(OSError):
        if not file.exists() or not _is_dead(file):
            return
        # of two who find it dead, one moves it away; a live one has since been made anew
        grave = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
        file.rename(grave)
        try:
            if not _is_dead(grave):
                os.link(grave, file)
        finally:
            grave.unlink()


def _is_dead(file: Path) -> bool:
    if _age(file) > DEAD_AFTER:
        return True
    owner = _owner(file)
    here = owner.get("host") == socket.gethostname() and owner.get("boot") == _boot()
    pid = owner.get("pid")
    return here and isinstance(pid, int) and not process_runs(pid)


def _boot() -> str:
    """Return what tells this machine, since it booted, from another of the same name.

    Containers count processes on their own, so their namespace is part of it.
    """
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _age(file: Path) -> float:
    """Return the seconds since the last touch, by the clock of the disk the lease is on."""
    probe = file.with_name(f".clock.{uuid.uuid4().hex}")
    probe.touch()
    try:
        return probe.stat().st_mtime - file.stat().st_mtime
    finally:
        probe.unlink()
