"""The paper's Table 4: scores with and without a box, by modality."""

from __future__ import annotations

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.published import OVERALL, PUBLISHED_MARK, PublishedRow, PublishedTable
from segbench.report.tables.means import MeanRow, mean_rows, mean_scores_by, number_columns
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Cell, Column, Row, Table

COLUMN_ORDER = ("dsc_final", "nsd_final", "dsc_auc", "nsd_auc")  # as in the paper
BOX_TEXT = {True: "Yes", False: "No"}


def scores_by_box(results: Results) -> pd.DataFrame:
    """Return the mean scores by method, modality and box, over the common cases.

    The last modality of a method is "Overall": all cases with, and all without, boxes.
    """
    cases = common_cases(results).cases
    codes, has_boxes = TABLE_3_STYLE.sort(cases["modality"]), cases["has_boxes"]
    # in the paper's order: No before Yes, and the other way round in the overall rows
    groups = [
        ((code, box), cases[(cases["modality"] == code) & (has_boxes == box)])
        for code in codes
        for box in (False, True)
    ]
    groups = [(keys, group) for keys, group in groups if len(group)]
    groups += [((OVERALL, box), cases[has_boxes == box]) for box in (True, False)]
    return pd.concat(
        [
            mean_scores_by(["modality", "has_boxes"], groups, [method])
            for method in results.methods["method"]
        ],
        ignore_index=True,
    )


def table_by_box(results: Results, *, published: PublishedTable | None = None) -> Table:
    """Return for each method: modality x box yes or no, and the two overall rows."""
    frame = scores_by_box(results)
    printed = frame.assign(
        modality=frame["modality"].map(TABLE_3_STYLE.display_name),
        has_boxes=frame["has_boxes"].map(BOX_TEXT),
    )
    keys = ("method", "modality", "has_boxes")
    groups = [
        tuple(row.cells() for row in mean_rows(results, own, keys, COLUMN_ORDER))
        for _, own in printed.groupby("method", sort=False)
    ]
    if published:
        groups.append(tuple(map(_published_row, published.rows)))
    return Table(
        name="table4",
        title="Scores with and without a box",
        columns=(
            *(Column("Method"), Column("Modality"), Column("Box")),
            *number_columns("n", *(MEASURES[name] for name in COLUMN_ORDER)),
        ),
        groups=tuple(groups),
        n_keys=2,
        notes=(
            "In the layout of the paper's Table 4. Means over n cases; "
            "Overall: over all cases with, and all without, boxes.",
            *common_notes(results),
            *([published.note] if published else []),
        ),
    )


def _published_row(row: PublishedRow) -> Row:
    method = Cell(row.method, suffix=f" {PUBLISHED_MARK}")
    keys = (method, Cell(TABLE_3_STYLE.display_name(row.modality)), Cell(BOX_TEXT[bool(row.box)]))
    means = tuple(row.means[MEASURES[name]] for name in COLUMN_ORDER)
    return MeanRow(keys, Cell(None), means).cells()
