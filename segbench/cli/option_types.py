"""The types of options and arguments: what they accept, and what they say of anything else."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from segbench.cli.misuse import Misuse
from segbench.messages import did_you_mean


class WholeNumber(click.ParamType[int]):
    """A whole number, from ``low`` to ``high`` where these are given."""

    name = "number"

    def __init__(self, low: int | None = None, high: int | None = None) -> None:
        self.low, self.high = low, high

    @property
    def range(self) -> str:
        """The range in words, empty if there is none."""
        if self.low is None:
            return ""
        return f"{self.low} or more" if self.high is None else f"{self.low} to {self.high}"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the word for the number in a usage line."""
        return "N"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the number."""
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not self._contains(number):
            preposition = "of" if self.high is None else "from"
            expected = f"a whole number {preposition} {self.range}" if self.range else "a number"
            raise Misuse(expected, repr(value))
        return number

    def _contains(self, number: int) -> bool:
        return (self.low is None or self.low <= number) and (
            self.high is None or number <= self.high
        )


class Seconds(click.ParamType[float]):
    """A positive number of seconds, at most a million."""

    name = "seconds"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds <= 1e6:
            raise Misuse("a number of seconds above 0, at most 1000000", repr(value))
        return seconds


class StepType(click.ParamType["int | str"]):
    """The last step, all steps, or the number of one."""

    name = "step"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the words for the step in a usage line."""
        return "final|all|N"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        """Return the word or the number."""
        if value in ("final", "all"):
            return str(value)
        try:
            return WholeNumber(0).convert(value, param, ctx)
        except Misuse:
            raise Misuse("final, all, or a step's number of 0 or more", repr(value)) from None


class OneOf(click.Choice[str]):
    """One of some words."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the word."""
        if value not in self.choices:
            cure = did_you_mean(str(value), self.choices)
            raise Misuse(f"one of {', '.join(self.choices)}", repr(value), cure)
        return super().convert(value, param, ctx)


class SomeOf(click.ParamType["tuple[str, ...]"]):
    """Some of several words with commas between them, or ``none``."""

    name = "words"

    def __init__(self, choices: Sequence[str]) -> None:
        self.choices = tuple(choices)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the words for a usage line."""
        return f"{','.join(self.choices)}|none"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return the words, each once."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in value.split(",")]
        if words == ["none"]:
            return ()
        for word in words:
            if word not in self.choices:
                cure = did_you_mean(word, [*self.choices, "none"])
                some = f"some of {','.join(self.choices)}, or none"
                raise Misuse(some, repr(value), cure)
        return tuple(dict.fromkeys(words))


class PathType(click.Path[Path]):
    """A path of a file or folder; one that must exist is sought under similar names, too."""

    def __init__(self, *, exists: bool = False, files: bool = True, folders: bool = True) -> None:
        super().__init__(exists=exists, file_okay=files, dir_okay=folders, path_type=Path)
        kinds = [*(["file"] if files else []), *(["folder"] if folders else [])]
        self.kind = " or ".join(kinds)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the word for the path in a usage line."""
        return "PATH" if self.file_okay and self.dir_okay else self.kind.upper()

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path."""
        text = os.fspath(value)
        if not text:
            raise Misuse(
                f"the name of a {self.kind}", "an empty text", "is a shell variable empty?"
            )
        if self.exists and not os.path.exists(text):
            raise Misuse(f"an existing {self.kind}", f"no {text!r}", _where_else(text, self))
        if os.path.isfile(text) and not self.file_okay:
            cure = f"give the folder that contains it: {os.path.dirname(text) or '.'}"
            raise Misuse("a folder", f"the file {text!r}", cure if self.exists else "")
        if os.path.isdir(text) and not self.dir_okay:
            raise Misuse("a file", f"the folder {text!r}", "name a file in it")
        if os.path.exists(text) and not os.access(text, os.R_OK):
            cure = "change its permissions or choose another"
            raise Misuse(f"a readable {self.kind}", f"no right to read {text!r}", cure)
        return super().convert(value, param, ctx)


class RunFolderType(PathType):
    """A run folder, and nothing else: no folder that contains some."""

    def __init__(self) -> None:
        super().__init__(exists=True, files=False)

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the run folder."""
        folder = super().convert(value, param, ctx)
        if not (folder / "run.json").is_file():
            from segbench.report.run_folders import describe_folder

            what, cure = describe_folder(folder)
            raise Misuse("a run folder", f"{str(value)!r}, {what}", cure)
        return folder


def _where_else(text: str, wanted: PathType) -> str:
    """Return what to do about a path that does not exist."""
    if any(character in text for character in "*?["):
        return "no name matches this pattern"
    nearest = nearest_path(Path(text), wanted)
    return f"did you mean {str(nearest)!r}?" if nearest else "check the path"


def nearest_path(path: Path, wanted: PathType) -> Path | None:
    """Return an existing path of the wanted kind with similar names, if there is one."""
    found = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        exact = found / part
        if exact.exists():
            found = exact
            continue
        names = sorted(entry.name for entry in found.iterdir()) if found.is_dir() else []
        nearest = difflib.get_close_matches(part, names, n=1)
        if not nearest:
            return None
        found = found / nearest[0]
    right_kind = (found.is_dir() and wanted.dir_okay) or (found.is_file() and wanted.file_okay)
    return found if right_kind else None


FOLDER = PathType(files=False)
FILE = PathType(exists=True, folders=False)
NEW_FILE = PathType(folders=False)
EXISTING_PATH = PathType(exists=True)
EXISTING_FOLDER = PathType(exists=True, files=False)
RUN_FOLDER = RunFolderType()
SECONDS = Seconds()
STEP = StepType()
