"""Means over cases by modality and box availability, for frames with one row per method and case.

The groups of a frame are each modality with, and without, boxes; then all cases with, and without,
boxes (modality "Overall"); then, if a method has both, all cases (``has_boxes`` is missing).
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from segbench.report.comparison import KEY
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.published import OVERALL
from segbench.report.resampling import Resampling
from segbench.report.statistics import mean_intervals

CASE = ["method", "case"]
GROUPS = ("modality", "has_boxes")
ENDS = ("", "_low", "_high")  # of the columns of a measure: its mean and its interval
_FACTS = [*CASE, *KEY[1:], "modality", "dataset", "patient", "has_boxes", "ranked"]


def splits(cases: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Return the columns that split cases into groups, one tuple for each kind of group."""
    both = cases.groupby("method")["has_boxes"].nunique().max() > 1
    return (GROUPS, GROUPS[1:], ()) if both else (GROUPS, GROUPS[1:])


def group_means(
    results: Results,
    frame: pd.DataFrame,
    measures: Sequence[str],
    *,
    keys: Sequence[str] = (),
    counts: Sequence[str] = (),
    resampling: Resampling = Resampling(),
) -> pd.DataFrame:
    """Return means over cases with their bootstrap intervals over patients.

    Parameters
    ----------
    frame : one row per method, case and ``keys``, with the columns of ``measures`` without NaN
    counts : columns of which the sum over the cases is returned

    Returns
    -------
    DataFrame, one row per group, method and ``keys``, with the columns modality, has_boxes, method,
        those of ``keys``, n (cases), ``counts``, and of each measure MEASURE, MEASURE_low and
        MEASURE_high
    """
    cases = frame.merge(results.cases[_FACTS], on=CASE)
    parts = [
        _means_by([*split, *keys], cases, measures, counts=counts, resampling=resampling)
        for split in splits(cases)
    ]
    return in_order(results, pd.concat(parts, ignore_index=True), keys)


def in_order(results: Results, frame: pd.DataFrame, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Put the keys of a frame of groups first, and its rows in the order of tables.

    That is by modality as in the paper's Table 3 with "Overall" last, by box (with, without, all),
    by method as in the results, and by ``keys``.
    """
    modality = frame["modality"].fillna(OVERALL) if "modality" in frame else OVERALL
    frame = frame.assign(
        modality=pd.Series(modality, index=frame.index, dtype="str"),
        has_boxes=frame["has_boxes"].astype("boolean"),
    )
    codes = TABLE_3_STYLE.sort(set(frame["modality"]) - {OVERALL})
    places = {name: place for place, name in enumerate([*codes, OVERALL])}
    places |= {name: place for place, name in enumerate(results.methods["method"])}
    columns = [*GROUPS, "method", *keys]
    order = pd.DataFrame(
        {
            "modality": frame["modality"].map(places),
            "has_boxes": frame["has_boxes"].map({True: 0, False: 1}).fillna(2).astype("int64"),
            "method": frame["method"].map(places),
            **{key: frame[key] for key in keys},
        }
    ).sort_values(columns)
    rest = [name for name in frame.columns if name not in columns]
    return frame.loc[order.index, [*columns, *rest]].reset_index(drop=True)


def _means_by(
    by: Sequence[str],
    cases: pd.DataFrame,
    measures: Sequence[str],
    *,
    counts: Sequence[str],
    resampling: Resampling,
) -> pd.DataFrame:
    index = [*by, "method"]
    groups = cases.groupby(index)
    found = mean_intervals(cases, measures=measures, by=by, resampling=resampling)
    wide = found[found["average"] == "micro"].pivot(
        index=index, columns="measure", values=["mean", "low", "high"]
    )
    kinds, names = (wide.columns.get_level_values(level) for level in (0, 1))
    wide.columns = pd.Index(
        [
            name if kind == "mean" else f"{name}_{kind}"
            for kind, name in zip(kinds, names, strict=True)
        ]
    )
    titles = [f"{measure}{end}" for measure in measures for end in ENDS]
    numbers = pd.DataFrame({"n": groups.size()}).join(groups[list(counts)].sum())
    return numbers.join(wide.reindex(columns=titles)).reset_index()
