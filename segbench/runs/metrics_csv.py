"""The official script's table of a run: its columns in its order, exact floats."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable

from segbench.core import Settings, sum_in_order
from segbench.results import CaseResult, CaseSummary, Policy


def columns(n_clicks: int) -> list[str]:
    """Return the official columns in the official order (PROTOCOL 7.3)."""
    steps = range(1, n_clicks + 2)  # the script counts the box step as 1
    return [
        "CaseName",
        "TotalRunningTime",
        *(f"RunningTime_{step}" for step in steps),
        "DSC_AUC",
        "NSD_AUC",
        "DSC_Final",
        "NSD_Final",
        *(f"DSC_{step}" for step in steps),
        *(f"NSD_{step}" for step in steps),
        "num_class",
        "runtime_upperbound",
    ]


def table(cases: Iterable[CaseResult], policy: Policy, settings: Settings) -> str:
    """Return ``metrics.csv``: one row a scored case, in name order.

    Floats are written in their shortest exact form and NaN is blank, as pandas writes them. A step
    0 that was not run is 0. Invalid cases have no row and, with the failure policy
    ``carry_forward``, neither have cases without any prediction.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(settings.n_clicks))
    for case in sorted(cases, key=lambda case: case.case):
        summary = case.summary(policy, settings.n_clicks)
        if summary is not None:
            writer.writerow(map(_cell, _row(case, summary, settings)))
    return text.getvalue()


def _row(case: CaseResult, summary: CaseSummary, settings: Settings) -> list[str | float]:
    return [
        f"{case.case}.npz",
        sum_in_order(summary.seconds),
        *summary.seconds,
        summary.dsc_auc,
        summary.nsd_auc,
        summary.dsc_final,
        summary.nsd_final,
        *summary.dsc,
        *summary.nsd,
        len(case.labels),
        _whole(settings.seconds_per_label * len(case.labels)),
    ]


def _whole(seconds: float) -> float:
    """Return a whole number without a decimal point, as the script computes it from its 90."""
    return int(seconds) if seconds.is_integer() else seconds


def _cell(value: str | float) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return str(value)
