"""The paper's Table 4: what a box is worth, modality by modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segbench.report.methods import Method, Scored, modalities_of, within
from segbench.report.modalities import LONG
from segbench.report.published import MARK, OVERALL, Published, PublishedRow
from segbench.report.tables.means import Line, line_of, means_of, numbers
from segbench.report.tables.notes import standing_notes
from segbench.report.tables.table import Cell, Column, Row, Table

ORDER = ("DSC Final", "NSD Final", "DSC AUC", "NSD AUC")  # the paper's columns
YES_NO = {True: "Yes", False: "No"}


def table_by_box(methods: Sequence[Method], *, published: Published | None = None) -> Table:
    """Return for each method: modality x box yes or no, and the two overall rows."""
    groups = [_our_rows(method, _kinds(methods)) for method in methods]
    if published:
        groups.append([_published_row(row) for row in published.rows])
    return Table(
        name="table4",
        title="Scores with and without a box",
        columns=(Column("Method"), Column("Modality"), Column("Box"), *numbers("n", *ORDER)),
        groups=tuple(map(tuple, groups)),
        keys=2,
        notes=(
            "In the layout of the paper's Table 4. Means over n cases; "
            "Overall: over all cases with, and all without, boxes.",
            *standing_notes(methods),
            *([published.note] if published else []),
        ),
    )


def _kinds(methods: Sequence[Method]) -> list[tuple[str, bool]]:
    """Return the pairs of modality and box that occur, in the paper's order: No before Yes."""
    codes = LONG.arrange(modalities_of(methods))
    every = ((code, box) for code in codes for box in (False, True))
    return [kind for kind in every if any(_of_kind(method, *kind) for method in methods)]


def _our_rows(method: Method, kinds: Sequence[tuple[str, bool]]) -> list[Row]:
    rows = [_our_row(method, code, box) for code, box in kinds]
    # The paper gives the overall rows the other way round: Yes before No.
    return rows + [_our_row(method, OVERALL, box) for box in (True, False)]


def _our_row(method: Method, code: str, box: bool) -> Row:
    scored = _of_kind(method, code, box)
    line = line_of(method, (method.label, LONG.name(code), YES_NO[box]), scored)
    return replace(line, means=means_of(scored, ORDER)).row()


def _of_kind(method: Method, code: str, box: bool) -> list[Scored]:
    cases = method.scored if code == OVERALL else within(method, code)
    return [one for one in cases if one.case.has_boxes == box]


def _published_row(row: PublishedRow) -> Row:
    keys = (Cell(row.method, mark=f" {MARK}"), Cell(LONG.name(row.modality)))
    means = tuple(row.means[name] for name in ORDER)
    return Line((*keys, Cell(YES_NO[bool(row.box)])), Cell(None), means).row()
