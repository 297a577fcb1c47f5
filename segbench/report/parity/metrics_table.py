"""The official script's CSV: one row per case, each number with its text."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import RunError
from segbench.messages import named
from segbench.runs.metrics_csv import columns

N_CLICKS = 5
STEPS = tuple(range(N_CLICKS + 1))
MEASURES = ("DSC", "NSD")
KNOWN = frozenset(columns(N_CLICKS))
CLOSE = 1e-12  # sums of floats in another order differ by less
FEWEST_DECIMALS = 3  # of a number that may be a rounded one; fewer agree by chance
FIXED = re.compile(r"-?\d+\.(\d+)")


@dataclass(frozen=True)
class Number:
    """An official number as it is written; blank is NaN."""

    text: str
    row_decimals: int = 0  # the most that a score of its row has

    @property
    def value(self) -> float:
        """The number as a float."""
        return float(self.text) if self.text else math.nan

    def equals(self, found: float) -> bool:
        """Whether a number is the same to the last bit; NaN is NaN."""
        return self.value == found or (math.isnan(self.value) and math.isnan(found))

    @property
    def decimals(self) -> int | None:
        """How many decimals are written; None if it is written in another way."""
        fixed = FIXED.fullmatch(self.text)
        return len(fixed[1]) if fixed else None

    def is_close(self, found: float) -> bool:
        """Whether a number differs in the last bits at most: sums have another order."""
        return abs(self.value - found) <= CLOSE

    def is_rounded(self, found: float) -> bool:
        """Whether the text is a rounded form of a number, or differs in its last bits only."""
        if not math.isfinite(found) or not math.isfinite(self.value):
            return False
        if self.is_close(found):
            return True
        # the row's, because zeros at the end are not written: 0.53 may be 0.5300
        digits = {self.decimals or 0, self.row_decimals}
        return any(n >= FEWEST_DECIMALS and self.value == round(found, n) for n in digits)

    def matches(self, found: float) -> bool:
        """Whether a number reproduces this one, rounded or not."""
        return self.equals(found) or self.is_rounded(found)


@dataclass(frozen=True)
class OfficialRow:
    """The numbers of one case."""

    case: str  # CaseName without .npz
    numbers: Mapping[str, Number]  # by column; only columns of the script that the CSV has

    def value(self, column: str) -> float:
        """Return a number; NaN if it is blank or its column is missing."""
        number = self.numbers.get(column)
        return math.nan if number is None else number.value

    def has(self, *names: str) -> bool:
        """Whether all of these columns are there and not blank."""
        return all(not math.isnan(self.value(name)) for name in names)

    def matches(self, column: str, found: float) -> bool:
        """Whether a number reproduces the official one; a missing column agrees with nothing."""
        return column in self.numbers and self.numbers[column].matches(found)

    @property
    def without_box(self) -> bool:
        """Whether the row is that of a run without step 0: three zeros (PROTOCOL 2.1)."""
        names = (column("RunningTime", 0), column("DSC", 0), column("NSD", 0))
        return all(self.value(name) == 0 for name in names if name in self.numbers) and (
            self.value(names[0]) == 0 or (names[0] not in self.numbers and self.has(*names[1:]))
        )


def column(measure: str, step: int) -> str:
    """Return the column of a step; the script counts the box step as 1."""
    return f"{measure}_{step + 1}"


def find_metrics(folder: Path) -> Path:
    """Return the CSV of an official folder: the only file ``*_metrics.csv`` or ``metrics.csv``.

    Raises
    ------
    RunError
        If there is none, or several.
    """
    found = sorted(file for file in folder.glob("*.csv") if file.stem.endswith("metrics"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise RunError(
            f"{folder}: expected one file TEAM_metrics.csv of the official script, found {names}; "
            "name it with --metrics"
        )
    return found[0]


def read_metrics(file: Path) -> dict[str, OfficialRow]:
    """Return the rows of an official CSV by the names of their cases.

    Raises
    ------
    RunError
        If the file is no such table, a number is none, or a case has two rows.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lines, header = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{file}: expected a table as UTF-8 text, found {named(error)}") from None
    if "CaseName" not in header or not KNOWN & set(header) - {"CaseName"}:
        raise RunError(
            f"{file}: expected the columns of the official script, such as CaseName and DSC_1, "
            f"found {', '.join(header) or 'none'}"
        )
    rows: dict[str, OfficialRow] = {}
    for number, line in enumerate(lines, start=2):
        row = _row(file, number, line, [name for name in header if name in KNOWN])
        if row.case in rows:
            raise RunError(f"{file}: expected one row per case, found a second of {row.case!r}")
        rows[row.case] = row
    return rows


def _row(
    file: Path, number: int, line: Mapping[str, str | None], names: Sequence[str]
) -> OfficialRow:
    numbers = {name: Number((line[name] or "").strip()) for name in names if name != "CaseName"}
    for name, each in numbers.items():
        try:
            each.value  # noqa: B018 - read to see whether it is a number
        except ValueError:
            raise RunError(
                f"{file}: line {number}: expected a number as {name}, found {each.text!r}"
            ) from None
    case = (line["CaseName"] or "").strip().removesuffix(".npz")
    scores = [each.decimals or 0 for name, each in numbers.items() if name.startswith(MEASURES)]
    decimals = max(scores, default=0)
    numbers = {name: Number(each.text, decimals) for name, each in numbers.items()}
    return OfficialRow(printable(case), numbers)


def printable(name: str) -> str:
    """Return a name of a foreign file without characters that a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in name)
