"""What an official folder lacks, or has too much of, and label maps that are there twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from segbench.data.challenge_npz import ChallengeFile
from segbench.errors import CaseError
from segbench.report.parity.causes import (
    DROPPED,
    NO_FILE,
    NO_ROW,
    NOT_IN_DATA,
    Difference,
)
from segbench.report.parity.compare_case import compare_row
from segbench.report.parity.expected import Curve, own_summaries
from segbench.report.parity.metrics_table import STEPS, OfficialRow
from segbench.report.parity.official_folder import OfficialFolder
from segbench.report.parity.rescored import Rescored
from segbench.report.parity.row_facts import RowFacts


def folder_differences(folder: OfficialFolder, cases: Sequence[str]) -> Iterator[Difference]:
    """Yield what has no counterpart: rows, files and cases."""
    last = max((f"{name}.npz" for name in folder.rows), default="")
    for name in sorted({*cases, *folder.rows, *folder.files}):
        in_rows, in_files = name in folder.rows, name in folder.files
        if name not in cases:
            has = " and ".join(["a row"] * in_rows + ["a file"] * in_files)
            column = "row" if in_rows else "file"
            yield Difference(
                name, column, None, None, NOT_IN_DATA, f"the official folder has {has}"
            )
        elif not in_rows and not in_files:
            yield Difference(name, "row", None, None, DROPPED, _dropped(name, last))
        elif not in_rows:
            yield Difference(name, "row", None, None, NO_ROW, _unfinished(folder.files[name]))
        elif not in_files:
            what = "the script writes a row only with a file: the file was removed or renamed"
            yield Difference(name, "file", None, None, NO_FILE, what)
            yield from _own_differences(folder.rows[name])


def _dropped(name: str, last: str) -> str:
    what = "no row and no file: no prediction was ever written, and the script drops such a case"
    if f"{name}.npz" > last:  # the script's order
        return f"{what}; or the script ended before it, as no later case has a row"
    return what


def _unfinished(file: Path) -> str:
    """Return what the number of stored label maps tells of a file without a row."""
    try:
        with ChallengeFile(file) as stored:
            n_maps = stored.header("all_segs").shape[0] if "all_segs" in stored.keys else 0
    except (CaseError, IndexError):
        return "a file without a row, and it cannot be read"
    if 0 < n_maps < len(STEPS) - 1:
        return f"all_segs has {n_maps} steps: the script ended in this case"
    return "the file has all its steps; the script writes a row at the end of a case"


def _own_differences(row: OfficialRow) -> Iterator[Difference]:
    """Yield what a row without a file contradicts in itself."""
    own = {name: value for name, value in own_summaries(row).items() if name in row.numbers}
    yield from compare_row(RowFacts(row, Rescored(), Curve({}, {}), own)).differences


def repeated_maps(facts: RowFacts) -> Iterator[str]:
    """Yield the steps with the label map of the step before, although it was not perfect.

    The script scores a file again that is left from the step before (PROTOCOL 3.2). The same
    answer twice looks alike, so this is no difference and no cause.
    """
    scores, places = facts.rescored.scores, facts.curve.places
    if scores is None:
        return
    for step in STEPS[1:]:
        before, now = places.get(step - 1), places.get(step)
        if before is None or now is None or scores.digests[before] != scores.digests[now]:
            continue
        if scores.maps[now].dsc < 1:
            yield f"{facts.row.case}: step {step + 1} has the label map of step {step}"
