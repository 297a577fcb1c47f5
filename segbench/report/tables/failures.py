"""Failed steps and invalid cases, with their reasons."""

from __future__ import annotations

import pandas as pd

from segbench.report.comparison import display_names
from segbench.report.frames import Results
from segbench.report.tables.table import Cell, Column, Row, Table, Value

MAX_FAILURES = 20  # per method; the frame has all of them
MAX_REASON_LENGTH = 160


def failures(results: Results) -> pd.DataFrame:
    """Return every failed step and invalid case with its reason; an invalid case has no step."""
    steps = results.steps[results.steps["failure"].notna()]
    failed = steps.drop_duplicates(["method", "case", "step"]).rename(columns={"failure": "reason"})
    invalid = results.cases[results.cases["status"] == "invalid"]
    columns = ["method", "case", "step", "reason"]
    found = pd.concat([failed.reindex(columns=columns), invalid.reindex(columns=columns)])
    order = results.methods["method"].tolist()
    by_run = found["method"].map(order.index)
    return found.assign(run=by_run, step=found["step"].astype("Int64")).sort_values(
        ["run", "case", "step"], ignore_index=True
    )[columns]


def failures_table(results: Results) -> Table | None:
    """Return failed steps and invalid cases with their reasons, None if there are none."""
    frame = failures(results)
    if frame.empty:
        return None
    names = display_names(results)
    return Table(
        name="failures",
        title="Failed steps and invalid cases",
        columns=(Column("Method"), Column("Case", "p"), Column("Step"), Column("Reason", "p")),
        groups=tuple(
            _method_rows(names[str(method)], own)
            for method, own in frame.groupby("method", sort=False)
        ),
        n_keys=2,
    )


def _method_rows(name: str, own: pd.DataFrame) -> tuple[Row, ...]:
    shown = own.head(MAX_FAILURES)[["case", "step", "reason"]]
    rows = [
        _row(name, case, "invalid" if pd.isna(step) else int(step), reason)
        for case, step, reason in shown.itertuples(index=False)
    ]
    if len(own) > MAX_FAILURES:
        more = f"+{len(own) - MAX_FAILURES} more, in the run's case files"
        rows.append(_row(name, more, None, ""))
    return tuple(rows)


def _row(name: str, case: str, step: Value, reason: str) -> Row:
    text = " ".join(reason.split())
    short = text if len(text) <= MAX_REASON_LENGTH else text[:MAX_REASON_LENGTH] + "…"
    return tuple(map(Cell, (name, case, step, short)))
