"""DSC, NSD and seconds by interaction step: at the box and after each click."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from segbench.report.comparison import case_scores_by_step, common_cases, display_names
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.tables.means import curve_cells, mean_scores_by, number_columns
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Cell, Column, Row, Table

ALL_CASES = "All cases"
CURVES = {"dsc": "DSC", "nsd": "NSD", "seconds": "Seconds"}
DIGITS = {"dsc": 4, "nsd": 4, "seconds": 2}


def scores_by_step(results: Results) -> pd.DataFrame:
    """Return mean DSC, NSD and seconds by modality, step and method, over the common cases.

    Step 0 has only the cases with boxes. The last modality is "All cases".
    """
    cases = case_scores_by_step(common_cases(results))
    codes = TABLE_3_STYLE.sort(cases["modality"])
    by_modality = {code: cases[cases["modality"] == code] for code in codes} | {ALL_CASES: cases}
    groups = (
        ((code, step), group[group["step"] == step])
        for code, group in by_modality.items()
        for step in range(results.settings.n_clicks + 1)
    )
    return mean_scores_by(["modality", "step"], groups, results.methods["method"], CURVES)


def table_by_step(results: Results) -> Table:
    """Return measure x modality x method, with the mean at the box and after each click."""
    clicks = (f"Click {click}" for click in range(1, results.settings.n_clicks + 1))
    curves = [
        group.groupby("method", sort=False)
        for _, group in scores_by_step(results).groupby("modality", sort=False)
    ]
    names = display_names(results)
    return Table(
        name="steps",
        title="Scores and seconds by step",
        columns=(
            *(Column("Measure"), Column("Modality"), Column("Method")),
            *number_columns("n", "n with box", "Box", *clicks),
        ),
        groups=tuple(
            tuple(_row(names, curve, measure) for _, curve in by_method)
            for measure in CURVES
            for by_method in curves
        ),
        n_keys=2,
        notes=(
            "Means over n cases. The mean at the box is over the n cases with a box.",
            "Seconds: time of the model per step, measured in its process. The first step of a "
            "case includes set_image.",
            *common_notes(results),
        ),
    )


def _row(names: Mapping[str, str], curve: pd.DataFrame, measure: str) -> Row:
    first = curve.iloc[0]
    return (
        *(Cell(CURVES[measure]), Cell(TABLE_3_STYLE.display_name(first["modality"]))),
        *(Cell(names[first["method"]]), *curve_cells(curve, measure, DIGITS[measure])),
    )
