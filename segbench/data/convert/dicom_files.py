"""DICOM files: which of a folder they are, and values of their headers without a traceback.

Messages name the file and say what was found, but never contain text of a header, because that
may identify a patient. For the same reason texts of pydicom's own errors are left out.
"""

from __future__ import annotations

import hashlib
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import Dataset, config, dcmread
from pydicom.uid import UID

from segbench.errors import CaseError
from segbench.messages import counted

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
DOSE = "1.2.840.10008.5.1.4.1.1.481.2"


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Keep pydicom quiet, and turn whatever it raises into one line that names the file.

    Raises
    ------
    CaseError
        If anything in the block fails.
    """
    logger = logging.getLogger("pydicom")
    disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings(), config.disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    except CaseError:
        raise
    except Exception as error:  # pydicom names no set of errors for damaged files
        # not chained: the first error's text may hold a value of the header
        raise CaseError(
            f"{file}: expected a file as DICOM wants it, found a damaged or another one "
            f"({type(error).__name__})"
        ) from None
    finally:
        logger.disabled = disabled


def dicom_files(place: Path) -> list[Path]:
    """Return the DICOM files of a folder and the folders in it, or the one file that is given.

    Other files are left out, except where their names end as those of DICOM files do: such a file
    may be a damaged slice.

    Raises
    ------
    CaseError
        If there is none, or one may be damaged.
    """
    if not place.exists():
        raise CaseError(f"{place}: expected a folder of DICOM files, found nothing")
    files = [place] if place.is_file() else sorted(filter(_is_visible, place.rglob("*")))
    found = [file for file in files if _has_mark(file)]
    if not found:
        raise CaseError(
            f"{place}: expected DICOM files, found none among {counted(len(files), 'file')}"
        )
    endings = {file.suffix.lower() for file in found}
    for file in sorted(set(files) - set(found)):
        if file.suffix.lower() in endings:
            raise CaseError(
                f"{file}: expected the mark DICM at byte 128, found none: the file is damaged or "
                "not DICOM; if it is not, move it elsewhere"
            )
    return found


def read_header(file: Path, tags: Sequence[str]) -> Dataset:
    """Return these elements of a file, without its pixels; values are converted when asked for."""
    with reading(file), _mapped(file) as stream:
        return dcmread(stream, stop_before_pixels=True, specific_tags=list(tags))


def read_all(file: Path) -> Dataset:
    """Return all elements of a file."""
    with reading(file), _mapped(file) as stream:
        return dcmread(stream)


def kind_of(sop_class: object) -> str:
    """Return what a file holds in DICOM's words, such as CT Image Storage."""
    uid = UID(str(sop_class))
    # pydicom's name of an unknown UID is its text
    return uid.name if uid.type == "SOP Class" else "an unknown kind of object"


def short_code(uid: str) -> str:
    """Return eight characters that stand for a UID, which may contain dates and places."""
    return hashed(uid)[:8]


def hashed(uid: object) -> str:
    """Return what stands for a UID where two are compared; nothing for one that is not there."""
    return hashlib.sha256(str(uid).encode()).hexdigest() if uid else ""


def numbers(item: Dataset, keyword: str, count: int, file: Path) -> tuple[float, ...]:
    """Return the finite numbers of an element.

    Raises
    ------
    CaseError
        If they are not there, not as many, or not finite.
    """
    raw = item.get(keyword)
    values = () if raw is None else (raw,) if isinstance(raw, int | float | str) else tuple(raw)
    if len(values) != count:
        raise CaseError(f"{file}: expected {count} numbers as {keyword}, found {len(values)}")
    found = tuple(float(value) for value in values)
    if not all(math.isfinite(value) for value in found):
        raise CaseError(f"{file}: expected finite numbers as {keyword}, found {found}")
    return found


def whole(item: Dataset, keyword: str, file: Path) -> int:
    """Return the whole number of an element that must be there."""
    (found,) = numbers(item, keyword, 1, file)
    if not found.is_integer():
        raise CaseError(f"{file}: expected a whole number as {keyword}, found {found}")
    return int(found)


def listed(names: Sequence[object], limit: int = 5) -> str:
    """Return the first few of a list, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(str, names[:limit])) + more


@contextmanager
def _mapped(file: Path) -> Iterator[BinaryIO]:
    """Open a file so that no read asks for more memory than the file has bytes.

    A damaged length may be 4 GB, which an ordinary file reserves before it reads.
    """
    with file.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as mapped:
        yield cast(BinaryIO, mapped)


def _is_visible(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".")


def _has_mark(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError as error:
        raise CaseError(
            f"{file}: expected a file that can be read, found {error.strerror}"
        ) from error
