"""Where NSD says nothing, because wrong masks have one near 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segbench.report.derived_values import rescore_command
from segbench.report.frames import Results
from segbench.report.insight import (
    NEAR_1,
    WRONG_MASKS,
    saturation_metrics,
    tolerance_saturation,
)
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.tables.means import mean_cell, number_columns
from segbench.report.tables.table import Cell, Column, Row, Table

DECIMALS = 3
_BLIND = {"eroded": "one voxel", "box": "the shape"}
_MEASURES = (*WRONG_MASKS, *(f"{mask}_near_1" for mask in WRONG_MASKS))


def saturation_table(results: Results) -> Table | None:
    """Return modality x NSD of the wrong masks, None if `segbench rescore` has not computed it."""
    frame = tolerance_saturation(results)
    if frame.empty:
        return None
    tolerance, share = results.settings.nsd_tolerance_mm, f">= {NEAR_1:g}"
    return Table(
        name="saturation",
        title="Where NSD says nothing",
        columns=(
            *(Column("Modality"), *number_columns("n", "Eroded", "Filled box")),
            *number_columns(f"Eroded {share}", f"Filled box {share}"),
            Column("NSD is blind to"),
        ),
        groups=tuple((_row(row),) for row in frame.to_dict("records")),
        notes=(
            f"NSD at {tolerance:g} mm of two masks that are wrong: the reference eroded by one "
            "voxel, and its filled box; then the shares of labels for which it is "
            f"{NEAR_1:g} or more. Means over the labels of a case, then over n cases.",
            f"A row is marked where the mean is {NEAR_1:g} or more: there NSD says nothing about "
            "errors of one voxel, or of the shape. Compare methods by DSC there, or by NSD at a "
            "smaller tolerance.",
        ),
    )


def missing_saturation_notes(results: Results) -> list[str]:
    """Return how to make the table, nothing if it is there or if no case is compared."""
    if results.cases["scored"].any() and tolerance_saturation(results).empty:
        command = rescore_command(list(saturation_metrics(results).values()))
        return [f"Where NSD says nothing is not known; {command} computes it."]
    return []


def _row(row: Mapping[Any, Any]) -> Row:
    blind = [text for mask, text in _BLIND.items() if row[f"{mask}_saturated"]]
    return (
        *(Cell(TABLE_3_STYLE.display_name(row["modality"])), Cell(row["n"])),
        *(mean_cell(row, measure, DECIMALS) for measure in _MEASURES),
        Cell(", ".join(blind) or None, bold=bool(blind)),
    )
