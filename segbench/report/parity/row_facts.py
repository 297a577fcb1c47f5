"""What the tests of one row know, and what counts as evidence.

A number of 0 or 1 is reproduced by too much to be evidence: a cause that is not stated by the files
needs another number, and both DSC and NSD of a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from segbench.report.parity.causes import Explanation
from segbench.report.parity.expected import LAST, Curve, Numbers
from segbench.report.parity.metrics_table import MEASURES, STEPS, OfficialRow, column
from segbench.report.parity.rescored import Rescored
from segbench.report.parity.stored_maps import Pair

Explained = dict[str, Explanation]  # by column


@dataclass(frozen=True)
class Candidate:
    """Numbers that a cause would have led to, for the whole row."""

    explanation: Explanation
    numbers: Numbers


@dataclass(frozen=True)
class RowFacts:
    """What the tests of one row know."""

    row: OfficialRow
    rescored: Rescored
    curve: Curve
    expected: Numbers
    candidates: tuple[Candidate, ...] = ()
    earlier: tuple[tuple[str, OfficialRow], ...] = ()  # name of an earlier run, its row

    def differs(self) -> Numbers:
        """Return the columns that differ, with the numbers found now."""
        return {
            name: found
            for name, found in self.expected.items()
            if not self.row.numbers[name].equals(found)
        }


RowTest = Callable[[RowFacts, Numbers], Explained]  # of the columns that are left


def is_telling(value: float) -> bool:
    """Whether a score is evidence: not 0, 1 or NaN, which many label maps have."""
    return not math.isnan(value) and value not in (0.0, 1.0)


def differing_steps(left: Numbers) -> Iterator[tuple[int, list[str]]]:
    """Yield the steps of which a score differs, with its columns."""
    for step in STEPS:
        names = [name for name in left if name in {column(measure, step) for measure in MEASURES}]
        if names:
            yield step, names


def names_of(step: int, left: Mapping[str, float]) -> list[str]:
    """Return the differing columns that a step decides: after the last, the final ones, too."""
    names = {column(measure, step) for measure in MEASURES}
    if step == LAST:
        names |= {f"{measure}_Final" for measure in MEASURES}
    return [name for name in left if name in names]


def row_has(row: OfficialRow, step: int, pair: Pair, *, telling: bool = True) -> bool:
    """Whether a row has both scores of a label map at a step; ``telling`` asks for evidence."""
    values = {column(measure, step): pair.value(measure) for measure in MEASURES}
    known = {name: value for name, value in values.items() if name in row.numbers}
    return (
        bool(known)
        and all(row.matches(name, value) for name, value in known.items())
        and (not telling or any(map(is_telling, known.values())))
    )
