"""The list of all cases with their scores, which the gallery sorts and filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from segbench.report.frames import MEASURES, Results
from segbench.report.private_text import without_machine
from segbench.report.viewer.plan import ViewedCase


def case_list(results: Results, cases: Sequence[ViewedCase]) -> dict[str, Any]:
    """Return the methods, and for each case its facts, its scores by method, and what is stored.

    Scores are rounded to six decimals, so that rounding them again is right. A case that a method
    has not scored has none.
    """
    methods = list(dict.fromkeys(results.cases["method"]))
    by_case = dict(list(results.cases.groupby("case", sort=False)))
    labels = results.steps.groupby("case")["label"].unique()
    rows = [
        _row(case, by_case[case.name], methods, sorted(map(int, labels.get(case.name, []))))
        for case in cases
    ]
    return {"methods": methods, "measures": MEASURES, "cases": rows}


def _row(
    case: ViewedCase, rows: pd.DataFrame, methods: Sequence[str], labels: list[int]
) -> dict[str, Any]:
    first = rows.iloc[0]
    scores = {row["method"]: _scores(row) for _, row in rows.iterrows()}
    finals = [score[2] for score in scores.values() if score is not None]
    failed = [str(row["method"]) for _, row in rows.iterrows() if row["status"] != "ok"]
    reasons = sorted(
        {without_machine(str(row["reason"])) for _, row in rows.iterrows() if row["reason"]}
    )
    return {
        "id": case.number,
        "name": case.name,
        "modality": str(first["modality"]),
        "dataset": str(first["dataset"]),
        "boxes": bool(first["has_boxes"]),
        "labels": labels,
        "scores": [scores.get(method) for method in methods],
        "difference": round(max(finals) - min(finals), 4) if len(finals) > 1 else 0,
        "failed": failed,
        "reasons": reasons,
        "amount": case.amount or "none",
        "why": case.why,
    }


def _scores(row: pd.Series) -> list[float] | None:
    if not row["scored"]:
        return None
    values = [float(row[measure]) for measure in MEASURES]
    return None if any(map(math.isnan, values)) else [round(value, 6) for value in values]
