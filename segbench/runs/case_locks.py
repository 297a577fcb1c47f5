"""Locks on cases, so that several runners can share one run folder.

A lock is a small file that only one process can create. Its owner touches it while it works. A lock
that was not touched for a while, or whose owner on this machine no longer runs, is stale and is
taken over. An owner that was suspended for so long that it lost its lock notices this, and leaves
the new lock alone. Locks are plain files because plain files work on the network disks of clusters,
where the locks of the file system often do not (decision 0005).
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

from segbench.processes import is_running

HEARTBEAT_SECONDS = 20.0
STALE_SECONDS = 180.0  # without a heartbeat

StillMine = Callable[[], bool]


@contextlib.contextmanager
def case_lock(
    folder: Path, case: str, *, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> Iterator[StillMine | None]:
    """Hold the lock of a case; yield None if another process holds it.

    Otherwise yield a function that returns whether the lock is still held: call it before anything
    is written.
    """
    file = lock_file(folder, case)
    token = uuid.uuid4().hex
    _break_stale_lock(file)
    if not _create(file, token):
        yield None
        return
    released = threading.Event()
    beats = (file, token, released, heartbeat_seconds)
    heartbeat = threading.Thread(target=_send_heartbeats, args=beats, daemon=True)
    heartbeat.start()
    try:
        yield lambda: _is_held(file, token)
    finally:
        released.set()
        heartbeat.join()
        if _is_held(file, token):
            file.unlink(missing_ok=True)


def locked_cases(folder: Path) -> list[str]:
    """Return the cases that some runner works on now."""
    locks = (file for file in folder.glob(".*.lock") if not _is_stale(file))
    return sorted(file.name[1:-5] for file in locks)


def lock_file(folder: Path, case: str) -> Path:
    """Return the file that is there while a case is locked."""
    return folder / f".{case}.lock"


def _create(file: Path, token: str) -> bool:
    owner = {"token": token, "host": socket.gethostname(), "boot": _boot(), "pid": os.getpid()}
    try:
        with file.open("x", encoding="utf-8") as stream:
            json.dump(owner, stream)
    except FileExistsError:
        return False
    except OSError:  # a full disk: an empty lock would block everybody
        file.unlink(missing_ok=True)
        raise
    return True


def _is_held(file: Path, token: str) -> bool:
    return _owner(file).get("token") == token


def _owner(file: Path) -> dict[str, object]:
    """Return who holds a lock; nothing if the file cannot be read."""
    try:
        owner = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _send_heartbeats(file: Path, token: str, released: threading.Event, seconds: float) -> None:
    while not released.wait(seconds):
        with contextlib.suppress(OSError):
            if _is_held(file, token):
                os.utime(file)  # unlike touch, never creates a file


def _break_stale_lock(file: Path) -> None:
    """Remove a lock whose owner no longer runs."""
    with contextlib.suppress(OSError):
        if not file.exists() or not _is_stale(file):
            return
        # of two processes that find it stale one moves it away; the other may then move a new lock
        moved = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
        file.rename(moved)
        try:
            if not _is_stale(moved):
                os.link(moved, file)
        finally:
            moved.unlink()


def _is_stale(file: Path) -> bool:
    if _age(file) > STALE_SECONDS:
        return True
    owner = _owner(file)
    here = owner.get("host") == socket.gethostname() and owner.get("boot") == _boot()
    pid = owner.get("pid")
    return here and isinstance(pid, int) and not is_running(pid)


def _boot() -> str:
    """Return an id of this machine since its last start; hosts may have equal names.

    Each container has its own process ids, so its process namespace is part of the id.
    """
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _age(file: Path) -> float:
    """Return the seconds since the last heartbeat, by the clock of the disk with the lock."""
    probe = file.with_name(f".clock.{uuid.uuid4().hex}")
    probe.touch()
    try:
        return probe.stat().st_mtime - file.stat().st_mtime
    finally:
        probe.unlink()
