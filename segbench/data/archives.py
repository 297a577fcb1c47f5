"""Cases out of downloaded archives: nothing is written outside of the given places.

Only ``.npz`` files are unpacked; links are refused, so are names that lead out of the archive, and
archives that unpack to far more than their own size.
"""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from segbench.errors import CaseError
from segbench.files import atomic_write
from segbench.messages import named

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_RATIO = 20  # of the unpacked size to that of the archive; cases are compressed already
MAX_MEMBERS = 1_000_000
CHUNK = 1 << 20
READ_ERRORS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError)


@dataclass(frozen=True)
class Member:
    """A case in an archive."""

    name: str
    size: int
    entry: Any  # as the archive's reader knows it


def is_archive(path: str) -> bool:
    """Whether a file is an archive that can be unpacked, by its name."""
    return path.lower().endswith(SUFFIXES)


def without_suffix(path: str) -> str:
    """Return the path of an archive without the suffix that makes it one."""
    suffix = next(suffix for suffix in SUFFIXES if path.lower().endswith(suffix))
    return path[: -len(suffix)]


def unpack_cases(archive: Path, place_of: Callable[[str], Path]) -> list[Path]:
    """Unpack the cases of an archive, each whole or not at all.

    Parameters
    ----------
    archive : Path
        A ``.zip``, ``.tar``, ``.tar.gz`` or ``.tgz``.
    place_of : function
        Returns the file for the name of a case in the archive.

    Raises
    ------
    CaseError
        If it cannot be read, has a link or a name that leads out of it, or unpacks to more than 20
        times its size or than the disk has. Then no case of it is written, except if the archive
        is damaged in the middle.
    """
    limit = MAX_RATIO * archive.stat().st_size
    written = []
    try:
        with _opened(archive) as (members, read):
            cases = _checked(archive.name, members, limit)
            _require_space(archive, sum(member.size for member in cases))
            for member in cases:
                file = place_of(member.name)
                file.parent.mkdir(parents=True, exist_ok=True)
                _copy(read(member.entry), file, member, archive.name)
                written.append(file)
    except READ_ERRORS as error:
        raise CaseError(
            f"{archive.name}: expected an archive that can be unpacked, found {named(error)}"
        ) from None
    return written


def _checked(archive: str, members: Iterator[tuple[Member, bool]], limit: int) -> list[Member]:
    """Return the cases; refuse an archive that could do harm."""
    cases, total = [], 0
    for number, (member, is_regular) in enumerate(members):
        path = PurePosixPath(member.name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.name or "\0" in member.name:
            raise CaseError(f"{archive}: expected names inside of it, found {member.name!r}")
        if number >= MAX_MEMBERS:
            raise CaseError(f"{archive}: expected at most {MAX_MEMBERS} files, found more")
        if path.suffix != ".npz" or path.name.startswith("."):
            continue
        if not is_regular:
            raise CaseError(f"{archive}: {member.name}: expected a file, found a link or a device")
        total += member.size
        if total > limit:
            raise CaseError(
                f"{archive}: expected cases of at most {limit} bytes, {MAX_RATIO} times its own "
                "size, found more"
            )
        cases.append(member)
    return cases


def _require_space(archive: Path, needed: int) -> None:
    free = shutil.disk_usage(archive.parent).free
    if needed > free:
        raise CaseError(
            f"{archive.name}: expected {needed / 1e9:.1f} GB of free disk for its cases, found "
            f"{free / 1e9:.1f} GB"
        )


def _copy(source: IO[bytes], file: Path, member: Member, archive: str) -> None:
    with source, atomic_write(file) as to:
        size = 0
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > member.size:
                break
            to.write(chunk)
        if size != member.size:
            raise CaseError(f"{archive}: {member.name}: expected {member.size} bytes, found {size}")


Opened = tuple[Iterator[tuple[Member, bool]], Callable[[Any], IO[bytes]]]


@contextmanager
def _opened(archive: Path) -> Iterator[Opened]:
    """Yield the members of an archive, each with whether it is a regular file, and a reader."""
    if archive.name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            yield _zip_members(zipped), zipped.open
        return
    with tarfile.open(archive) as tar:
        yield _tar_members(tar), lambda entry: _tar_stream(tar, entry)


def _zip_members(archive: zipfile.ZipFile) -> Iterator[tuple[Member, bool]]:
    for info in archive.infolist():
        kind = info.external_attr >> 28  # of a Unix file: 8 regular, 10 a link, 0 not stated
        yield Member(info.filename, info.file_size, info), not info.is_dir() and kind in (0, 8)


def _tar_members(archive: tarfile.TarFile) -> Iterator[tuple[Member, bool]]:
    for info in archive:
        yield Member(info.name, info.size, info), info.isreg()


def _tar_stream(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(entry)
    assert stream is not None  # of a regular file
    return stream
