"""Read the runs of a report: all under one protocol, each with a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from segbench.errors import RunError
from segbench.report.run_folders import expand_folders
from segbench.runs.run_folder import Run, read_run


def read_runs(folders: Sequence[Path]) -> dict[str, Run]:
    """Read run folders; the keys are the names of the methods, in the order given.

    A folder that contains run folders stands for all of them, in name order.

    Raises
    ------
    RunError
        If no folder is given, a folder is given twice, cannot be read, or is no run and
        contains none; or the protocols differ.
    """
    runs = read_any_runs(folders)
    first, *others = runs.values()
    for run in others:
        _require_same_protocol(first, run)
    return runs


def read_any_runs(folders: Sequence[Path]) -> dict[str, Run]:
    """Read run folders as `read_runs` does, also under different protocols."""
    if not folders:
        raise RunError("runs: expected at least one run folder, found none")
    folders = expand_folders(folders)
    for folder, times in Counter(folder.resolve() for folder in folders).items():
        if times > 1:
            raise RunError(
                f"{folder}: expected each run once, found it {times} times; give it once"
            )
    runs = [read_run(folder) for folder in folders]
    return dict(zip(_unique_names(runs), runs, strict=True))


def _require_same_protocol(first: Run, other: Run) -> None:
    if first.manifest.protocol.hash == other.manifest.protocol.hash:
        return
    old, new = asdict(first.settings), asdict(other.settings)
    changes = [f"{key} {old[key]} and {new[key]}" for key in old if old[key] != new[key]]
    changes.append(f"hash {first.manifest.protocol.hash} and {other.manifest.protocol.hash}")
    raise RunError(
        f"{first.folder} and {other.folder}: expected runs under one protocol, found "
        f"{', '.join(changes)}; report them apart"
    )


def _unique_names(runs: Sequence[Run]) -> list[str]:
    names = [run.method for run in runs]
    names = _rename_duplicates(names, lambda i: f"{names[i]} ({runs[i].folder.resolve().name})")
    # A number and no longer path: names are published, and paths are those of a machine.
    return _rename_duplicates(names, lambda i: f"{names[i]} (run {i + 1})")


def _rename_duplicates(names: Sequence[str], longer_name: Callable[[int], str]) -> list[str]:
    counts = Counter(names)
    return [longer_name(i) if counts[name] > 1 else name for i, name in enumerate(names)]
