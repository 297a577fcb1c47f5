"""DSC, NSD and seconds by interaction step: at the box and after each click."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segbench.report.methods import Method, ScoredCase, cases_of_modality, modalities_of
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.tables.means import mean, number_columns
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Cell, Column, Row, Table
from segbench.results import CaseSummary

ALL_CASES = "All cases"

Curve = Callable[[CaseSummary], tuple[float, ...]]
CURVES: dict[str, Curve] = {
    "DSC": lambda summary: summary.dsc,
    "NSD": lambda summary: summary.nsd,
    "Seconds": lambda summary: summary.seconds,
}


def table_by_step(methods: Sequence[Method]) -> Table:
    """Return measure x modality x method, with the mean at the box and after each click."""
    n_clicks = methods[0].run.settings.n_clicks
    clicks = (f"Click {click}" for click in range(1, n_clicks + 1))
    codes = (*TABLE_3_STYLE.sort(modalities_of(methods)), ALL_CASES)
    return Table(
        name="steps",
        title="Scores and seconds by step",
        columns=(
            *(Column("Measure"), Column("Modality"), Column("Method")),
            *number_columns("n", "n with box", "Box", *clicks),
        ),
        groups=tuple(_group(methods, measure, code) for measure in CURVES for code in codes),
        n_keys=2,
        notes=(
            "Means over n cases. The mean at the box is over the n cases with a box.",
            "Seconds: time of the model per step, measured in its process. The first step of a "
            "case includes set_image.",
            *common_notes(methods),
        ),
    )


def _group(methods: Sequence[Method], measure: str, code: str) -> tuple[Row, ...]:
    return tuple(_row(method, measure, code) for method in methods)


def _row(method: Method, measure: str, code: str) -> Row:
    cases = method.scored_cases if code == ALL_CASES else cases_of_modality(method, code)
    with_box = [case for case in cases if case.result.has_boxes]
    steps = range(1, method.run.settings.n_clicks + 1)
    means = [
        _mean_at_step(with_box, measure, 0),
        *(_mean_at_step(cases, measure, step) for step in steps),
    ]
    digits = 2 if measure == "Seconds" else 4
    return (
        *(Cell(measure), Cell(TABLE_3_STYLE.display_name(code)), Cell(method.display_name)),
        *(Cell(len(cases)), Cell(len(with_box))),
        *(Cell(value, digits=digits) for value in means),
    )


def _mean_at_step(cases: Sequence[ScoredCase], measure: str, step: int) -> float | None:
    return mean([CURVES[measure](case.summary)[step] for case in cases])
