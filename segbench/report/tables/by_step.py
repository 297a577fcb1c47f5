"""How a session goes: DSC, NSD and seconds at the box and at every click."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segbench.core import CaseSummary
from segbench.report.methods import Method, Scored, modalities_of, within
from segbench.report.modalities import LONG
from segbench.report.tables.means import mean, numbers
from segbench.report.tables.notes import standing_notes
from segbench.report.tables.table import Cell, Column, Row, Table

ALL = "All cases"

Curve = Callable[[CaseSummary], tuple[float, ...]]
CURVES: dict[str, Curve] = {
    "DSC": lambda summary: summary.dsc,
    "NSD": lambda summary: summary.nsd,
    "Seconds": lambda summary: summary.seconds,
}


def table_by_step(methods: Sequence[Method]) -> Table:
    """Return measure x modality x method: the mean at the box and after each click."""
    n_clicks = methods[0].run.settings.n_clicks
    clicks = (f"Click {click}" for click in range(1, n_clicks + 1))
    codes = (*LONG.arrange(modalities_of(methods)), ALL)
    return Table(
        name="steps",
        title="Scores and seconds by step",
        columns=(
            *(Column("Measure"), Column("Modality"), Column("Method")),
            *numbers("n", "n with box", "Box", *clicks),
        ),
        groups=tuple(_group(methods, measure, code) for measure in CURVES for code in codes),
        keys=2,
        notes=(
            "Means over n cases; the mean at the box leaves out cases without boxes and is over "
            "the n with a box.",
            "Seconds: of the model, per step, as its own process measured them; the first step "
            "of a case includes taking in the image.",
            *standing_notes(methods),
        ),
    )


def _group(methods: Sequence[Method], measure: str, code: str) -> tuple[Row, ...]:
    return tuple(_row(method, measure, code) for method in methods)


def _row(method: Method, measure: str, code: str) -> Row:
    scored = method.scored if code == ALL else within(method, code)
    boxed = [one for one in scored if one.case.has_boxes]
    steps = range(1, method.run.settings.n_clicks + 1)
    curve = [_mean_at(boxed, measure, 0), *(_mean_at(scored, measure, step) for step in steps)]
    digits = 2 if measure == "Seconds" else 4
    return (
        *(Cell(measure), Cell(LONG.name(code)), Cell(method.label)),
        *(Cell(len(scored)), Cell(len(boxed))),
        *(Cell(value, digits=digits) for value in curve),
    )


def _mean_at(scored: Sequence[Scored], measure: str, step: int) -> float | None:
    return mean([CURVES[measure](one.summary)[step] for one in scored])
