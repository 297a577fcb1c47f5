"""Which run folders a path stands for: itself, or those in it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from segbench.errors import RunError
from segbench.messages import counted
from segbench.report.written_files import is_report

SHOWN = 5  # names of a long list
PUT_ASIDE = re.compile(r"\.old-\d+$")  # a run that another one has replaced


def expand_folders(folders: Sequence[Path]) -> list[Path]:
    """Return run folders; a folder that contains some stands for them, in name order.

    Runs that were put aside (``NAME.old-1``) count only if they are given themselves.

    Raises
    ------
    RunError
        If a folder is neither.
    """
    found = []
    for folder in folders:
        runs = [folder] if is_run(folder) else runs_inside(folder)
        if not runs:
            what, cure = describe_folder(folder)
            raise RunError(
                f"{folder}: expected a run folder or a folder of run folders, found {what}; {cure}"
            )
        found += runs
    return found


def without_replaced(folders: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the folders without those that another one has replaced, and those left out.

    ``NAME.old-1`` is left out if ``NAME`` is given, too: a shell's ``runs/*`` has both.
    """
    given = {Path(os.path.abspath(folder)) for folder in folders}
    replaced = [
        folder for folder in folders if PUT_ASIDE.search(folder.name) and _new(folder) in given
    ]
    return [folder for folder in folders if folder not in replaced], replaced


def _new(folder: Path) -> Path:
    """Return the run folder that has replaced one that was put aside."""
    path = Path(os.path.abspath(folder))
    return path.with_name(PUT_ASIDE.sub("", path.name))


def left_out_text(replaced: Sequence[Path]) -> str:
    """Return a line on the folders that `without_replaced` leaves out."""
    old = replaced[0]
    new = old.with_name(PUT_ASIDE.sub("", old.name))
    return (
        f"left out {', '.join(map(str, replaced))}, which --fresh moved away; "
        f"`{shlex.join(['segbench', 'compare', str(old), str(new)])}` compares the two"
    )


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder."""
    return (folder / "run.json").is_file()


def runs_inside(folder: Path) -> list[Path]:
    """Return the run folders in a folder in name order, without those that were put aside."""
    return [run for run in _all_runs_inside(folder) if not PUT_ASIDE.search(run.name)]


def describe_folder(folder: Path) -> tuple[str, str]:
    """Return what something is that was expected to be a run folder, and what to do about it."""
    for describe in (_no_folder, _with_runs, _with_runs_below, _part_of_run, _report):
        found = describe(folder)
        if found:
            return found
    return _contents(folder), "give a folder that segbench run has written (its --out)"


def _no_folder(folder: Path) -> tuple[str, str] | None:
    if folder.is_dir():
        return None
    return ("a file" if folder.exists() else "no such folder"), "check the path"


def _with_runs(folder: Path) -> tuple[str, str] | None:
    runs = [run.name for run in runs_inside(folder) or _all_runs_inside(folder)]
    return (f"a folder with the run folders {_listed(runs)}", "give one of them") if runs else None


def _with_runs_below(folder: Path) -> tuple[str, str] | None:
    for child in _folders_in(folder):
        if _all_runs_inside(child):
            return f"run folders only below it, in {child.name}", f"give {child}"
    return None


def _part_of_run(folder: Path) -> tuple[str, str] | None:
    parent = folder.absolute().parent
    return ("a part of a run folder", f"give {folder.parent}") if is_run(parent) else None


def _report(folder: Path) -> tuple[str, str] | None:
    if not is_report(folder / "index.html"):
        return None
    return "a report", "give the run folders that it was made from"


def _contents(folder: Path) -> str:
    names = sorted(child.name for child in folder.iterdir())
    cases = [name for name in names if name.endswith(".npz")]
    if cases:
        return f"a folder with {counted(len(cases), '.npz file')}"
    return f"a folder with {_listed(names)} and no run.json" if names else "an empty folder"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _all_runs_inside(folder: Path) -> list[Path]:
    return [child for child in _folders_in(folder) if is_run(child)]


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")
    )
