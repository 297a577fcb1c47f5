"""Every two methods compared in every measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.pairs import Margins, compare_pairs
from segbench.report.resampling import Resampling
from segbench.report.statistics import short_sample_note
from segbench.report.tables.means import known, number_columns
from segbench.report.tables.notes import missing_case_notes, policy_note
from segbench.report.tables.table import Cell, Column, Row, Table


def pairs_table(
    results: Results,
    *,
    tie_margin: Margins = 0.0,
    resampling: Resampling = Resampling(),
) -> Table | None:
    """Return measure x pair of methods, None if no two ranked methods have a common case."""
    frame = compare_pairs(results.cases, tie_margin=tie_margin, resampling=resampling)
    if frame.empty:
        return None
    return Table(
        name="pairs",
        title="Pairs of methods",
        columns=(
            *map(Column, ("Measure", "Method A", "Method B")),
            *(*number_columns("n"), Column("A - B", "r", intervals=True)),
            *number_columns("Wins", "Ties", "Losses", "Effect", "p", "p (Holm)", "P (false)"),
        ),
        groups=tuple(
            tuple(map(_row, own.to_dict("records")))
            for _, own in frame.groupby("measure", sort=False)
        ),
        n_keys=2,
        notes=(
            *_definitions(frame, resampling),
            short_sample_note(_smallest(results), resampling),
            policy_note(results.policy),
            *missing_case_notes(results),
        ),
    )


def _smallest_p(frame: pd.DataFrame) -> str:
    """Return the smallest possible p of all rows in which the methods differ."""
    differing = frame.loc[frame["difference"] != 0, "p_min"]
    low, high = (f"{p:.4f}" for p in (differing.min(), differing.max()))
    return low if low == high else f"{low} to {high}, by row"


def _smallest(results: Results) -> pd.DataFrame:
    """Return the cases that all methods have; if there is none, the cases of any method."""
    common = common_cases(results).cases
    cases = common if len(common) else results.cases
    return cases[cases["ranked"]]


def _row(row: Mapping[Any, Any]) -> Row:
    low, high = float(row["low"]), float(row["high"])
    interval = None if isnan(low) else (low, high)
    return (
        *(Cell(MEASURES[row["measure"]]), Cell(row["method_a"]), Cell(row["method_b"])),
        *(Cell(int(row["n_cases"])), Cell(float(row["difference"]), interval=interval)),
        *(Cell(int(row[name])) for name in ("wins", "ties", "losses")),
        Cell(float(row["effect"]), digits=2),
        *(Cell(known(row[name]), probability=True) for name in ("p", "p_holm", "false_claim")),
    )


def _definitions(frame: pd.DataFrame, resampling: Resampling) -> Iterator[str]:
    percent, draws = f"{100 * resampling.confidence:g} %", f"{resampling.draws:,}"
    exact = frame["exact"]
    how = (
        "all permutations"
        if exact.all()
        else f"{draws} random permutations"
        + (", all of them where few patients differ" if exact.any() else "")
    )
    yield (
        f"A - B: difference of means over the n cases that both have, positive if A is better; "
        f"in brackets its {percent} interval by bootstrap over patients, {draws} draws, seed "
        f"{resampling.seed}. Wins: cases in which A is better. Effect: matched-pairs "
        "rank-biserial correlation, 1 if A is better in every case."
    )
    yield (
        f"p: test that swaps A and B for a whole patient at once, {how}; the smallest p that was "
        f"possible is {_smallest_p(frame)}. p (Holm): corrected for all {len(frame)} rows. "
        "P (false): probability that the method with the larger mean is not truly better."
    )
