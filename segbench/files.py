"""Files that appear whole or not at all, and their checksums.

Standard library only, syntax of Python 3.9: foreign environments import this.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def atomic_write(file: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """Open a file for writing; it appears whole or not at all.

    With ``sync`` this holds even if the machine crashes; without it nobody waits for the disk.
    """
    partial = partial_file(file)
    try:
        with partial.open("wb") as stream:
            yield stream
        publish(partial, file, sync=sync)
    finally:
        partial.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Write a text file atomically; what UTF-8 cannot encode is escaped."""
    with atomic_write(file) as stream:
        stream.write(encoded(text))


def encoded(text: str) -> bytes:
    """Return a text as a file has it: UTF-8, what that cannot encode is escaped."""
    return text.encode("utf-8", "backslashreplace")


def partial_file(file: Path) -> Path:
    """Return a new hidden name next to a file, for its content while it is written."""
    return file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")


def publish(partial: Path, file: Path, *, sync: bool = True) -> None:
    """Move a complete partial file to its place; with ``sync`` after its content is on the disk."""
    if sync:
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
    partial.replace(file)


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file, in hexadecimal, without reading it all into memory."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
