"""DSC, NSD and seconds by interaction step: at the box and after each click."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, product

import pandas as pd

from segbench.report.comparison import case_scores_by_step, common_cases, display_names
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.resampling import Resampling
from segbench.report.tables.means import (
    MEAN_OVER_MODALITIES,
    Curve,
    curve_cells,
    curves_by,
    mean_scores_by,
    number_columns,
)
from segbench.report.tables.notes import common_notes
from segbench.report.tables.options import TableOptions
from segbench.report.tables.table import Cell, Column, Row, Table
from segbench.report.tables.uncertainty import (
    Split,
    uncertainty_notes,
    with_case_facts,
    with_intervals,
    with_marks,
)

ALL_CASES = "All cases"
CURVES = {"dsc": "DSC", "nsd": "NSD", "seconds": "Seconds"}
SCORES = ("dsc", "nsd")  # only these have marks: seconds depend on the machine
SECONDS_DECIMALS = 2
_KEYS = ("modality", "step")
_SPLITS = (
    Split(_KEYS),
    Split(("step",), totals={"macro": MEAN_OVER_MODALITIES, "micro": ALL_CASES}),
)


def scores_by_step(results: Results, resampling: Resampling | None = None) -> pd.DataFrame:
    """Return mean DSC, NSD and seconds by modality, step and method, over the common cases.

    Step 0 has only the cases with boxes. The last modalities are "All cases" and "Mean over
    modalities", whose n is a number of modalities. With a resampling there are intervals.
    """
    cases, methods = _cases_by_step(results), results.methods["method"]
    codes = TABLE_3_STYLE.sort(cases["modality"])
    steps = range(results.settings.n_clicks + 1)
    groups = _by_step({code: cases[cases["modality"] == code] for code in codes}, steps)
    by_modality = mean_scores_by(_KEYS, groups, methods, CURVES)
    of_modalities = by_modality[by_modality["n"] > 0]
    totals = _by_step({ALL_CASES: cases, MEAN_OVER_MODALITIES: of_modalities}, steps)
    frame = pd.concat(
        [by_modality, mean_scores_by(_KEYS, totals, methods, CURVES)], ignore_index=True
    )
    return with_intervals(frame, cases, _SPLITS, resampling, measures=CURVES)


def table_by_step(results: Results, *, options: TableOptions = TableOptions()) -> Table:
    """Return measure x modality x method, with the mean at the box and after each click."""
    clicks = (f"Click {click}" for click in range(1, results.settings.n_clicks + 1))
    means = scores_by_step(results, options.interval_resampling)
    frame = with_marks(means, _cases_by_step(results), _SPLITS, options, measures=SCORES)
    curves = curves_by(frame, ("modality", "method"))
    by_modality = [list(group) for _, group in groupby(curves.items(), lambda item: item[0][0])]
    decimals = dict.fromkeys(SCORES, options.decimals) | {"seconds": SECONDS_DECIMALS}
    names = display_names(results)
    return Table(
        name="steps",
        title="Scores and seconds by step",
        columns=(
            *(Column("Measure"), Column("Modality"), Column("Method")),
            *number_columns("n", "n with box"),
            *number_columns("Box", *clicks, intervals=options.intervals),
        ),
        groups=tuple(
            tuple(_row(names, curve, measure, decimals[measure]) for _, curve in items)
            for measure in CURVES
            for items in by_modality
        ),
        n_keys=2,
        notes=(
            "Means over n cases. The mean at the box is over the n cases with a box.",
            "Seconds: time of the model per step, measured in its process. The first step of a "
            "case includes set_image.",
            *uncertainty_notes(results, options),
            *common_notes(results),
        ),
    )


def _cases_by_step(results: Results) -> pd.DataFrame:
    common = common_cases(results)
    return with_case_facts(case_scores_by_step(common), common.cases)


def _by_step(
    rows: Mapping[str, pd.DataFrame], steps: Iterable[int]
) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
    for (name, group), step in product(rows.items(), steps):
        yield (name, step), group[group["step"] == step]


def _row(names: Mapping[str, str], curve: Curve, measure: str, decimals: int) -> Row:
    first = curve[0]
    return (
        *(Cell(CURVES[measure]), Cell(TABLE_3_STYLE.display_name(first["modality"]))),
        *(Cell(names[first["method"]]), *curve_cells(curve, measure, decimals)),
    )
