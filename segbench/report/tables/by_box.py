"""The paper's Table 4: scores with and without a box, by modality."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.report.methods import Method, ScoredCase, cases_of_modality, modalities_of
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.published import OVERALL, PUBLISHED_MARK, PublishedRow, PublishedTable
from segbench.report.tables.means import MeanRow, mean_row, number_columns
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Cell, Column, Row, Table

COLUMN_ORDER = ("DSC Final", "NSD Final", "DSC AUC", "NSD AUC")  # as in the paper
BOX_TEXT = {True: "Yes", False: "No"}


def table_by_box(methods: Sequence[Method], *, published: PublishedTable | None = None) -> Table:
    """Return for each method: modality x box yes or no, and the two overall rows."""
    groups = [_method_rows(method, _modalities_and_boxes(methods)) for method in methods]
    if published:
        groups.append([_published_row(row) for row in published.rows])
    return Table(
        name="table4",
        title="Scores with and without a box",
        columns=(
            *(Column("Method"), Column("Modality"), Column("Box")),
            *number_columns("n", *COLUMN_ORDER),
        ),
        groups=tuple(map(tuple, groups)),
        n_keys=2,
        notes=(
            "In the layout of the paper's Table 4. Means over n cases; "
            "Overall: over all cases with, and all without, boxes.",
            *common_notes(methods),
            *([published.note] if published else []),
        ),
    )


def _modalities_and_boxes(methods: Sequence[Method]) -> list[tuple[str, bool]]:
    """Return the pairs of modality and box that occur, in the paper's order: No before Yes."""
    codes = TABLE_3_STYLE.sort(modalities_of(methods))
    pairs = ((code, box) for code in codes for box in (False, True))
    return [pair for pair in pairs if any(_select_cases(method, *pair) for method in methods)]


def _method_rows(method: Method, pairs: Sequence[tuple[str, bool]]) -> list[Row]:
    rows = [_method_row(method, code, box) for code, box in pairs]
    # In the paper the overall rows have the opposite order: Yes before No.
    return rows + [_method_row(method, OVERALL, box) for box in (True, False)]


def _method_row(method: Method, code: str, box: bool) -> Row:
    keys = (method.display_name, TABLE_3_STYLE.display_name(code), BOX_TEXT[box])
    return mean_row(method, keys, _select_cases(method, code, box), COLUMN_ORDER).cells()


def _select_cases(method: Method, code: str, box: bool) -> list[ScoredCase]:
    cases = method.scored_cases if code == OVERALL else cases_of_modality(method, code)
    return [case for case in cases if case.result.has_boxes == box]


def _published_row(row: PublishedRow) -> Row:
    method = Cell(row.method, suffix=f" {PUBLISHED_MARK}")
    keys = (method, Cell(TABLE_3_STYLE.display_name(row.modality)), Cell(BOX_TEXT[bool(row.box)]))
    return MeanRow(keys, Cell(None), tuple(row.means[name] for name in COLUMN_ORDER)).cells()
