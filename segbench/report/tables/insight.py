"""How models use clicks, as tables: noc, gain, clicks and seconds (``report.insight``).

Each is None if no case is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pandas as pd

from segbench.report.case_groups import ENDS
from segbench.report.comparison import display_names
from segbench.report.derived_values import OBEYED, methods_without, rescore_command
from segbench.report.frames import Results
from segbench.report.insight import (
    MUCH_WORSE,
    PERCENTILES,
    REACHED_DSC,
    click_effects,
    clicks_to_reach,
    gain_per_click,
    step_seconds,
)
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.tables.by_box import BOX_TEXT
from segbench.report.tables.by_step import SECONDS_DECIMALS
from segbench.report.tables.means import mean_cell, number_columns
from segbench.report.tables.notes import common_notes
from segbench.report.tables.options import TableOptions
from segbench.report.tables.saturation import missing_saturation_notes
from segbench.report.tables.table import Cell, Column, Row, Table
from segbench.report.tables.uncertainty import uncertainty_notes

SHARE_DECIMALS, NOC_DECIMALS = 3, 2
_KEYS = ("modality", "has_boxes", "method")
_KEY_COLUMNS = (*map(Column, ("Modality", "Box", "Method")), *number_columns("n"))
_GROUPS_NOTE = (
    "Box: cases with a box, cases without one, or any, where a method has both. A case counts "
    "once, with the mean over its labels or clicks. Rows are means over n cases."
)

Place = tuple[Any, str, int]  # of a column: the key of its row, its measure, its decimals
Curves = dict[tuple[str, ...], dict[Any, Mapping[Any, Any]]]


def noc_table(results: Results, *, options: TableOptions = TableOptions()) -> Table | None:
    """Return NoC and the share of labels that reach each DSC."""
    frame = _shown(clicks_to_reach(results, options.resampling), intervals=options.intervals)
    if frame.empty:
        return None
    digits, n_clicks = {"noc": NOC_DECIMALS, "reached": SHARE_DECIMALS}, results.settings.n_clicks
    places = [(q, name, digits[name]) for name in digits for q in REACHED_DSC]
    titles = [f"{title}@{q:g}" for title in ("NoC", "Share") for q in REACHED_DSC]
    return Table(
        name="noc",
        title="Clicks to reach a DSC",
        columns=(*_KEY_COLUMNS, *number_columns(*titles, intervals=options.intervals)),
        groups=tuple(_groups(_curves(results, frame, "threshold"), places)),
        n_keys=2,
        notes=(
            "NoC@q: clicks until the DSC of a label is q or more for the first time, 0 at the box. "
            f"A label that never reaches q counts with {n_clicks}, the largest number of clicks, "
            f"as is usual. Share@q: labels that reach q within {n_clicks} clicks. Read both "
            "together: NoC alone hides how many labels never reach q.",
            _GROUPS_NOTE,
            *uncertainty_notes(results, options, marks=False),
            *common_notes(results),
        ),
    )


def gain_table(results: Results, *, options: TableOptions = TableOptions()) -> Table | None:
    """Return the mean change of DSC and NSD with each click, always with intervals."""
    frame, clicks = (
        gain_per_click(results, options.resampling),
        range(1, results.settings.n_clicks + 1),
    )
    if frame.empty:
        return None
    curves = _curves(results, frame, "step")
    groups = [
        group
        for measure in ("dsc", "nsd")
        for group in _groups(
            curves, [(step, measure, options.decimals) for step in clicks], measure.upper()
        )
    ]
    return Table(
        name="gain",
        title="Gain per click",
        columns=(
            *(Column("Measure"), *_KEY_COLUMNS),
            *number_columns(*(f"Click {click}" for click in clicks), intervals=True),
        ),
        groups=tuple(groups),
        n_keys=3,
        notes=(
            "Mean change of the score from the step before to the step after a click. Only cases "
            "with a box have a step before the first click. A case without an error left counts "
            "with its change, mostly 0.",
            _GROUPS_NOTE,
            *missing_saturation_notes(results),
            *uncertainty_notes(results, replace(options, intervals=True), marks=False),
            *common_notes(results),
        ),
    )


def clicks_table(results: Results, *, options: TableOptions = TableOptions()) -> Table | None:
    """Return the shares of clicks that made a label worse and that were obeyed."""
    frame = _shown(click_effects(results, options.resampling), intervals=options.intervals)
    if frame.empty:
        return None
    curves = _curves(results, frame.assign(key=0), "key")
    measures = ("worse", "much_worse", OBEYED)
    places = [(0, "n_clicks", 0), *((0, name, SHARE_DECIMALS) for name in measures)]
    titles = ("Worse", f"Worse by > {MUCH_WORSE:g}", "Obeyed")
    return Table(
        name="clicks",
        title="What clicks do",
        columns=(
            *(*_KEY_COLUMNS, *number_columns("Clicks")),
            *number_columns(*titles, intervals=options.intervals),
        ),
        groups=tuple(_groups(curves, places)),
        n_keys=2,
        notes=(
            "Worse: share of the clicks after which the DSC of the clicked label was lower than "
            f"before; by > {MUCH_WORSE:g}: lower by more than that. The first click of a case "
            "without a box has no DSC before it and does not count. With the policy zero a failed "
            "step scores 0, so its clicks count as worse if the DSC before it was above 0.",
            "Obeyed: share of all clicks after which the clicked voxel had the right value in the "
            "prediction.",
            *_obeyed_notes(results),
            _GROUPS_NOTE,
            *uncertainty_notes(results, options, marks=False),
            *common_notes(results),
        ),
    )


def seconds_table(results: Results) -> Table | None:
    """Return percentiles of the seconds of the model in each step."""
    frame, n_clicks = step_seconds(results), results.settings.n_clicks
    if frame.empty:
        return None
    curves = _curves(results, frame, "step")
    groups = [
        group
        for name in PERCENTILES
        for group in _groups(
            curves, [(step, name, SECONDS_DECIMALS) for step in range(n_clicks + 1)], name
        )
    ]
    steps = ("At the box", *(f"Click {click}" for click in range(1, n_clicks + 1)))
    return Table(
        name="seconds",
        title="Seconds per step",
        columns=(*(Column("Percentile"), *_KEY_COLUMNS), *number_columns(*steps)),
        groups=tuple(groups),
        n_keys=3,
        notes=(
            "p50 and p95 over n cases of the seconds of the model in a step, measured in its "
            "process, failed steps included. The first step of a case includes set_image. With "
            "fewer than 20 cases p95 is near the slowest one. Seconds depend on the machine.",
            *common_notes(results),
        ),
    )


def _obeyed_notes(results: Results) -> Iterator[str]:
    lacking = methods_without(results, OBEYED)
    if lacking:
        who = "any method" if len(lacking) == len(results.methods) else ", ".join(lacking)
        yield f"Obeyed is not known for {who}; {rescore_command([OBEYED])} computes it."


def _shown(frame: pd.DataFrame, *, intervals: bool) -> pd.DataFrame:
    if intervals:
        return frame
    return frame.drop(columns=[name for name in frame if str(name).endswith(ENDS[1:])])


def _curves(results: Results, frame: pd.DataFrame, key: str) -> Curves:
    """Return the rows of each group and method, by a key, with keys as tables print them."""
    printed = frame.assign(
        modality=frame["modality"].map(TABLE_3_STYLE.display_name),
        has_boxes=frame["has_boxes"].astype(object).map(BOX_TEXT).fillna("Any"),
        method=frame["method"].map(display_names(results)),
    )
    curves: Curves = {}
    for row in printed.to_dict("records"):
        curves.setdefault(tuple(row[name] for name in _KEYS), {})[row[key]] = row
    return curves


def _groups(curves: Curves, places: Sequence[Place], *lead: str) -> Iterator[tuple[Row, ...]]:
    """Yield the rows of each modality and box; ``lead`` are the values of the first columns."""
    for _, items in groupby(curves.items(), key=lambda item: item[0][:2]):
        yield tuple(
            (
                *map(Cell, (*lead, *keys)),
                Cell(max(row["n"] for row in curve.values())),
                *(_cell(curve.get(key), measure, digits) for key, measure, digits in places),
            )
            for keys, curve in items
        )


def _cell(row: Mapping[Any, Any] | None, measure: str, digits: int) -> Cell:
    if row is None:
        return Cell(None)
    return mean_cell(row, measure, digits) if digits else Cell(row[measure])
