"""Scores of each label number within a dataset: label 1 of two datasets is not the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import pandas as pd

from segbench.report.comparison import common_cases, display_names
from segbench.report.frames import Results
from segbench.report.modalities import NOT_STATED, TABLE_3_STYLE
from segbench.report.resampling import Resampling
from segbench.report.tables.means import (
    Curve,
    curve_cells,
    curves_by,
    mean_scores_by,
    number_columns,
)
from segbench.report.tables.notes import common_notes, score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.table import Cell, Column, Row, Table
from segbench.report.tables.uncertainty import (
    Split,
    uncertainty_notes,
    with_case_facts,
    with_intervals,
)

POINTS = {"box": "Box", "first": "Click 1", "final": "Final", "auc": "AUC"}
SCORES = {"dsc": "DSC", "nsd": "NSD"}
MAX_LABELS = 20  # per dataset: where labels are instances there can be hundreds
_LABEL = ["method", "case", "label"]
_KEYS = ("modality", "dataset", "label", "point")


def label_scores(results: Results) -> pd.DataFrame:
    """Return the scores of every label of every case, one row per method, case, label and point.

    The points are "box" (only with boxes), "first" and "final" (after the first and last click) and
    "auc" (area under the clicks).
    """
    steps, last = results.steps, results.settings.n_clicks
    points = {"box": _at(steps, 0), "first": _at(steps, 1), "final": _at(steps, last)}
    areas = pd.DataFrame({score: _area_under_clicks(steps, score, last) for score in SCORES})
    points["auc"] = areas.reset_index()
    facts = results.cases[["method", "case", "modality", "dataset"]]
    return facts.merge(pd.concat([rows.assign(point=name) for name, rows in points.items()]))


def scores_by_label(results: Results, resampling: Resampling | None = None) -> pd.DataFrame:
    """Return mean DSC and NSD by modality, dataset, label, point and method, over the common cases.

    The points are those of `label_scores`; n is a number of cases with the label. With a resampling
    there are intervals.
    """
    common = common_cases(results)
    labels = label_scores(common)
    groups = (
        ((code, dataset, label, point), group[group["point"] == point])
        for code in TABLE_3_STYLE.sort(labels["modality"])
        for (dataset, label), group in labels[labels["modality"] == code].groupby(
            ["dataset", "label"]
        )
        for point in POINTS
    )
    frame = mean_scores_by(_KEYS, groups, results.methods["method"], SCORES)
    cases = with_case_facts(labels, common.cases)
    return with_intervals(frame, cases, (Split(_KEYS),), resampling, measures=SCORES)


def table_by_label(results: Results, *, options: TableOptions = TableOptions()) -> Table:
    """Return measure x modality x dataset x label x method, at the points of the interaction.

    It has no marks: among so many comparisons of few cases, some would be marked by chance.
    """
    frame = scores_by_label(results, options.interval_resampling)
    position = frame.groupby(["modality", "dataset"])["label"].rank(method="dense")
    curves = curves_by(frame[position <= MAX_LABELS], ("modality", "dataset", "label", "method"))
    datasets = [list(group) for _, group in groupby(curves.items(), lambda item: item[0][:2])]
    names = display_names(results)
    return Table(
        name="labels",
        title="Scores by label",
        columns=(
            *map(Column, ("Measure", "Modality", "Dataset", "Label", "Method")),
            *number_columns("n", "n with box"),
            *number_columns(*POINTS.values(), intervals=options.intervals),
        ),
        groups=tuple(
            tuple(_row(names, curve, score, options.decimals) for _, curve in items)
            for score in SCORES
            for items in datasets
        ),
        n_keys=4,
        notes=(
            "Means over the n cases with the label. A label number has a meaning only within its "
            "dataset. The mean at the box is over the n cases with a box. At most the first "
            f"{MAX_LABELS} labels of a dataset are shown.",
            *uncertainty_notes(results, options, marks=False),
            score_note(results),
            *common_notes(results),
        ),
    )


def _at(steps: pd.DataFrame, step: int) -> pd.DataFrame:
    return steps.loc[steps["step"] == step, [*_LABEL, *SCORES]]


def _area_under_clicks(steps: pd.DataFrame, score: str, last: int) -> pd.Series[float]:
    curve = steps.set_index([*_LABEL, "step"])[score].unstack("step")
    clicks = curve.reindex(columns=range(1, last + 1))
    areas = pd.Series(0.0, index=clicks.index)
    for step in range(1, last):  # added from left to right, as results.area_under_clicks does
        areas += (clicks[step] + clicks[step + 1]) / 2
    return areas


def _row(names: Mapping[str, str], curve: Curve, score: str, decimals: int) -> Row:
    first = curve[0]
    return (
        *(Cell(SCORES[score]), Cell(TABLE_3_STYLE.display_name(first["modality"]))),
        *(Cell(first["dataset"] or NOT_STATED), Cell(first["label"])),
        *(Cell(names[first["method"]]), *curve_cells(curve, score, decimals)),
    )
