"""What `segbench rescore` has computed, by the names of its metrics, and how to name what it lacks.

``Results.derived`` has one row per method, case, label, step and metric. Facts of the reference
alone are at step -1.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from segbench.report.frames import Results

OBEYED = "obeyed"
LABEL_STEP = ["method", "case", "label", "step"]


def nsd_name(tolerance_mm: float, *, kind: str = "nsd") -> str:
    """Return the name of NSD at a tolerance; ``kind`` such as nsd-ungated, nsd-eroded, nsd-box."""
    return f"{kind}@{tolerance_mm:g}mm"


def values_of(results: Results, metric: str) -> pd.DataFrame:
    """Return the rows of one metric, with the column of values under its name."""
    rows = results.derived[results.derived["metric"] == metric]
    return rows.drop(columns="metric").rename(columns={"value": metric})


def methods_without(results: Results, metric: str) -> list[str]:
    """Return the methods that have scored cases and no value of a metric."""
    scored = set(results.cases.loc[results.cases["scored"], "method"])
    having = set(results.derived.loc[results.derived["metric"] == metric, "method"])
    return [name for name in results.methods["method"] if name in scored - having]


def rescore_command(metrics: Sequence[str]) -> str:
    """Return the command that computes metrics."""
    return f"`segbench rescore RUN... --data DIR {' '.join(f'--metric {m}' for m in metrics)}`"
