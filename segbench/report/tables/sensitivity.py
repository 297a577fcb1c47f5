"""The order of the methods under other choices, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

import pandas as pd

from segbench.report.derived_values import rescore_command
from segbench.report.frames import Results
from segbench.report.leaders import fewest_patients
from segbench.report.resampling import Resampling
from segbench.report.sensitivity import sensitivity
from segbench.report.tables.means import known, number_columns
from segbench.report.tables.notes import policy_note
from segbench.report.tables.table import Cell, Column, Row, Table

TOLD_APART = {True: "Yes", False: "No"}


def sensitivity_table(results: Results, *, resampling: Resampling = Resampling()) -> Table | None:
    """Return choice x order of the methods, None if no two ranked methods have a common case."""
    frame = sensitivity(results, resampling)
    if frame.empty:
        return None
    rows = [_row(row) for row in frame.to_dict("records")]
    return Table(
        name="sensitivity",
        title="Does the order hold under other choices?",
        columns=(
            *(Column("Choice"), *number_columns("n"), Column("Leader"), Column("Order", "p")),
            *(*number_columns("tau"), Column("2nd - 1st", "r", intervals=True)),
            *(Column("Told apart"), Column("In words", "p")),
        ),
        groups=(tuple(rows[:1]), tuple(rows[1:])) if len(rows) > 1 else (tuple(rows),),
        notes=(*_notes(frame, resampling), policy_note(results.policy)),
    )


def _row(row: Mapping[Any, Any]) -> Row:
    low, high = float(row["low"]), float(row["high"])
    return (
        *(Cell(row["choice"]), Cell(row["n_cases"] or None)),
        *(_text_cell(row["leader"]), _text_cell(row["order"])),
        Cell(known(row["tau"]), digits=2),
        Cell(known(row["difference"]), digits=2, interval=None if isnan(low) else (low, high)),
        Cell(None if pd.isna(row["told_apart"]) else TOLD_APART[bool(row["told_apart"])]),
        Cell(row["sentence"]),
    )


def _text_cell(text: Any) -> Cell:
    return Cell(None if pd.isna(text) else str(text))


def _notes(frame: pd.DataFrame, resampling: Resampling) -> list[str]:
    metrics = frame["metric"].dropna().tolist()
    missing = [f"{rescore_command(metrics)} computes all that is missing."] if metrics else []
    return [
        "Order: by mean rank, the challenge's rule, over the n cases that all methods have. tau: "
        "Kendall's tau-b to the order of the first row, over the methods of both; 1 is the same "
        "order, -1 the reverse.",
        "2nd - 1st: difference of the mean ranks of the first two, with its "
        f"{100 * resampling.confidence:g} % interval by bootstrap over patients, "
        f"{resampling.draws:,} draws, seed {resampling.seed}. Told apart: whether the interval "
        f"excludes 0; not said below {fewest_patients(resampling)} patients.",
        *missing,
    ]
