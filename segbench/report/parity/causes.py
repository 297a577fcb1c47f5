"""Why an official number may differ from the score of the stored prediction.

A cause is given only where a test established it: it reproduces the official number, or the files
state it. All else is unexplained.
"""

from __future__ import annotations

from dataclasses import dataclass

STALE = "stale-file"
DROPPED = "dropped-case"
CAST = "8-bit-cast"
TIME = "time"
NO_FILE = "row-without-file"
NO_ROW = "file-without-row"
NOT_IN_DATA = "case-not-in-data"
SWAPPED = "swapped-cases"
REFERENCE = "other-reference"
SPACING = "other-spacing"
BOX = "box-or-not"
ROUNDING = "rounding"
FORMULA = "other-formula"
UNREADABLE = "unreadable-file"
UNEXPLAINED = "unexplained"

CAUSES = {
    STALE: "a prediction or a score was left from an earlier step or run",
    DROPPED: "the case has neither a row nor a file: the script drops it",
    CAST: "labels above 255, below 0 or not whole were cast to 8 bits",
    TIME: "running times contradict each other, or a time limit was applied",
    NO_FILE: "a row has no stored prediction",
    NO_ROW: "a stored prediction has no row",
    NOT_IN_DATA: "the data folder does not have the case",
    SWAPPED: "the row or the file is of another case",
    REFERENCE: "the official score was computed with another reference",
    SPACING: "the official NSD was computed with another spacing",
    BOX: "one of the official run and the data has a box, the other has none",
    ROUNDING: "the official number was rounded, or its last bits differ",
    FORMULA: "the official number summarises the steps by another formula",
    UNREADABLE: "the prediction, or the case, cannot be read, or their shapes differ",
    UNEXPLAINED: "no cause reproduces the official number",
}


@dataclass(frozen=True)
class Difference:
    """One official number, row or file that is not as it is found now, and why."""

    case: str
    column: str  # of the CSV; "row" or "file" where all of it is meant
    official: float | None  # None where no number is compared
    found: float | None
    cause: str = UNEXPLAINED
    detail: str = ""  # what the test of the cause has shown


@dataclass(frozen=True)
class Explanation:
    """A cause, and what the test of it has shown."""

    cause: str
    detail: str
