"""The paper's Table 4: scores with and without a box, by modality."""

from __future__ import annotations

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.published import OVERALL, PublishedRow, PublishedTable
from segbench.report.resampling import Resampling
from segbench.report.tables.means import (
    MEAN_OVER_MODALITIES,
    MeanRow,
    mean_rows,
    mean_scores_by,
    number_columns,
    published_cells,
    published_method,
)
from segbench.report.tables.notes import common_notes, score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.table import Cell, Column, Row, Table
from segbench.report.tables.uncertainty import (
    Split,
    uncertainty_notes,
    with_intervals,
    with_marks,
)

COLUMN_ORDER = ("dsc_final", "nsd_final", "dsc_auc", "nsd_auc")  # as in the paper
BOX_TEXT = {True: "Yes", False: "No"}
_KEYS = ("modality", "has_boxes")
_SPLITS = (
    Split(_KEYS),
    Split(("has_boxes",), totals={"macro": MEAN_OVER_MODALITIES, "micro": OVERALL}),
)


def scores_by_box(results: Results, resampling: Resampling | None = None) -> pd.DataFrame:
    """Return the mean scores by method, modality and box, over the common cases.

    The last modalities of a method are "Overall", all cases with, and all without, boxes, and
    "Mean over modalities", whose n is a number of modalities. With a resampling there are
    intervals.
    """
    cases, methods = common_cases(results).cases, results.methods["method"].tolist()
    codes, has_boxes = TABLE_3_STYLE.sort(cases["modality"]), cases["has_boxes"]
    # in the paper's order: No before Yes, and the other way round in the overall rows
    groups = [
        ((code, box), cases[(cases["modality"] == code) & (has_boxes == box)])
        for code in codes
        for box in (False, True)
    ]
    filled = ((keys, group) for keys, group in groups if len(group))
    by_modality = mean_scores_by(_KEYS, filled, methods)
    of_modalities = by_modality[by_modality["n"] > 0]
    totals = [((OVERALL, box), cases[has_boxes == box]) for box in (True, False)]
    boxes = of_modalities["has_boxes"]
    totals += [
        ((MEAN_OVER_MODALITIES, box), of_modalities[boxes == box])
        for box in (True, False)
        if (boxes == box).any()
    ]
    frame = pd.concat([by_modality, mean_scores_by(_KEYS, totals, methods)])
    by_method = frame.sort_values(
        "method", key=lambda names: names.map(methods.index), kind="stable", ignore_index=True
    )
    return with_intervals(by_method, cases, _SPLITS, resampling)


def table_by_box(
    results: Results,
    *,
    published: PublishedTable | None = None,
    options: TableOptions = TableOptions(),
) -> Table:
    """Return for each method: modality x box yes or no, and the rows that join modalities.

    Marks compare the methods in the rows of the same modality and box.
    """
    means = scores_by_box(results, options.interval_resampling)
    frame = with_marks(means, common_cases(results).cases, _SPLITS, options)
    printed = frame.assign(
        modality=frame["modality"].map(TABLE_3_STYLE.display_name),
        has_boxes=frame["has_boxes"].map(BOX_TEXT),
    )
    keys, decimals = ("method", *_KEYS), options.decimals
    groups = [
        tuple(row.cells for row in mean_rows(results, own, keys, COLUMN_ORDER, decimals=decimals))
        for _, own in printed.groupby("method", sort=False)
    ]
    if published:
        groups.append(tuple(_published_row(row, decimals) for row in published.rows))
    return Table(
        name="table4",
        title="Scores with and without a box",
        columns=(
            *(Column("Method"), Column("Modality"), Column("Box")),
            *number_columns("n"),
            *number_columns(
                *(MEASURES[name] for name in COLUMN_ORDER), intervals=options.intervals
            ),
        ),
        groups=tuple(groups),
        n_keys=2,
        notes=(
            "In the layout of the paper's Table 4. Means over n cases; Overall: over all cases "
            "with, and all without, boxes. Compare methods in rows of equal modality and box.",
            *uncertainty_notes(results, options),
            score_note(results),
            *common_notes(results),
            *([published.note] if published else []),
        ),
    )


def _published_row(row: PublishedRow, decimals: int) -> Row:
    modality, box = TABLE_3_STYLE.display_name(row.modality), BOX_TEXT[bool(row.box)]
    means = published_cells((row.means[MEASURES[name]] for name in COLUMN_ORDER), decimals)
    return MeanRow((published_method(row), Cell(modality), Cell(box)), Cell(None), means).cells
