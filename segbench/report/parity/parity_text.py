"""A comparison as text for a terminal, as JSON and CSV for programs, and as a frame."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from segbench.messages import counted
from segbench.report.parity.causes import ROUNDING, UNEXPLAINED, Difference
from segbench.report.parity.find_parity import Parity

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
COLUMNS = ("case", "column", "official", "found", "cause", "detail")
SHOWN = 3  # columns, or cases, of one line by name
SHOWN_REPEATED = 10


def parity_frame(found: Parity) -> pd.DataFrame:
    """Return one row per difference: case, column, official, found, cause, detail."""
    import pandas as pd

    frame = pd.DataFrame([asdict(each) for each in found.differences], columns=list(COLUMNS))
    return frame.astype({"official": "float64", "found": "float64"})


def parity_text(found: Parity) -> str:
    """Return one line per difference, the repeated label maps, and a summary.

    The columns of one case that have one cause and one test are one difference; what was rounded
    is one line for all cases.
    """
    rounded = [each for each in found.differences if each.cause == ROUNDING]
    others = [each for each in found.differences if each.cause != ROUNDING]
    lines = [*_lines(others), *_rounded_lines(rounded)]
    if found.repeated:
        lines += ["", *_repeated(found.repeated)]
    return "\n".join([*lines, *([""] if lines else []), *summary(found)]) + "\n"


def _lines(differences: Sequence[Difference]) -> Iterator[str]:
    def same(each: Difference) -> tuple[str, str, str]:
        return each.case, each.cause, each.detail

    for (case, cause, detail), several in groupby(sorted(differences, key=same), key=same):
        group = list(several)
        yield f"{case} {_columns(group)}: {cause}: {detail}{_numbers(group)}"


def _rounded_lines(rounded: Sequence[Difference]) -> Iterator[str]:
    """Yield one line for each kind of rounding, with the largest difference."""
    for detail in sorted({each.detail for each in rounded}):
        group = [each for each in rounded if each.detail == detail]
        cases = list(dict.fromkeys(each.case for each in group))
        more = f" and {len(cases) - SHOWN} more" if len(cases) > SHOWN else ""
        largest = max(abs((each.official or 0) - (each.found or 0)) for each in group)
        yield (
            f"{', '.join(cases[:SHOWN])}{more}, {counted(len(group), 'number')}: {ROUNDING}: "
            f"{detail}, by {largest:.2g} at most"
        )


def _columns(group: Sequence[Difference]) -> str:
    names = [each.column for each in group]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _numbers(group: Sequence[Difference]) -> str:
    first = group[0]
    if first.official is None:
        return ""
    of = f"{first.column} " if len(group) > 1 else ""
    now = "none" if first.found is None else _plain(first.found)
    return f" ({of}official {_plain(first.official)}, now {now})"


def _plain(value: float) -> str:
    return "blank" if math.isnan(value) else repr(value)


def _repeated(steps: Sequence[str]) -> Iterator[str]:
    yield (
        "Repeated label maps, scored equally. The model wrote nothing in the step, so that the "
        "file of the step before was stale, or it gave the same answer (the files cannot tell):"
    )
    yield from steps[:SHOWN_REPEATED]
    if len(steps) > SHOWN_REPEATED:
        yield f"and {len(steps) - SHOWN_REPEATED} more"


def summary(found: Parity) -> list[str]:
    """Return how many numbers are equal, explained by each cause, and unexplained."""
    counts = found.counts
    n_unexplained = counts.pop(UNEXPLAINED, 0)
    causes = f" ({', '.join(f'{cause} {n}' for cause, n in counts.items())})" if counts else ""
    lines = [
        f"{counted(found.n_compared, 'case')} scored again, of {counted(found.n_rows, 'row')}",
        f"{found.n_equal} equal, {sum(counts.values())} explained{causes}, "
        f"{n_unexplained} unexplained",
    ]
    if found.n_unchecked:
        lines.append(
            f"{counted(found.n_unchecked, 'score')} not checked: the label maps of their steps are "
            "not stored"
        )
    return lines


def parity_json(found: Parity, generator: str) -> str:
    """Return counts, all differences and repeated label maps as JSON; NaN is null."""
    counts = found.counts
    content = {
        "schema": SCHEMA,
        "generator": f"{generator} parity",
        "folder": found.folder,
        "rows": found.n_rows,
        "compared": found.n_compared,
        "equal": found.n_equal,
        "explained": sum(n for cause, n in counts.items() if cause != UNEXPLAINED),
        "unexplained": counts.get(UNEXPLAINED, 0),
        "unchecked": found.n_unchecked,
        "causes": counts,
        "differences": [
            {key: _json(value) for key, value in asdict(each).items()} for each in found.differences
        ],
        "repeated": list(found.repeated),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _json(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def parity_csv(found: Parity) -> str:
    """Return one line per differing number; floats in their shortest exact form, NaN is blank."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in found.differences:
        cells = [_json(value) for value in asdict(each).values()]
        writer.writerow(
            "" if cell is None else repr(cell) if isinstance(cell, float) else cell
            for cell in cells
        )
    return text.getvalue()
