"""What has been downloaded of a data set: one line of JSON for each file, written as it is placed.

The first line names the data set, its revision and its licence. A line that was cut short by a
crash is ignored: its file is downloaded again and found to be there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segbench.files import sha256_of, write_text


@dataclass(frozen=True)
class Placed:
    """A file of the hub, and the cases that were made of it."""

    path: str  # in the repository
    role: str
    sha256: str
    cases: Mapping[str, int]  # bytes, by path below the folder

    def is_there(self, folder: Path) -> bool:
        """Whether all its cases are in their places, by their sizes."""
        files = {folder / path: size for path, size in self.cases.items()}
        return all(file.is_file() and file.stat().st_size == size for file, size in files.items())


@dataclass(frozen=True)
class FetchRecord:
    """The record of one split in a folder."""

    file: Path
    header: Mapping[str, Any]
    placed: dict[str, Placed] = field(default_factory=dict)

    def add(self, placed: Placed) -> None:
        """Add a line."""
        self.placed[placed.path] = placed
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(vars(placed), sort_keys=True) + "\n")

    def start(self) -> None:
        """Write the file, without lines that were cut short."""
        lines = [self.header, *map(vars, self.placed.values())]
        write_text(self.file, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


def read_record(file: Path) -> FetchRecord:
    """Return the record in a file; an empty one if there is none."""
    header, *lines = [*_objects(file)] or [{}]
    placed = (Placed(**line) for line in lines if line.keys() == Placed.__annotations__.keys())
    return FetchRecord(file, header, {each.path: each for each in placed})


def _objects(file: Path) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def same_content(first: Path, second: Path) -> bool:
    """Whether two files have the same bytes."""
    sizes = first.stat().st_size, second.stat().st_size
    return sizes[0] == sizes[1] and sha256_of(first) == sha256_of(second)
