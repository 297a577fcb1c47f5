"""The paper's Tables 3 and 5: scores by modality and method, AUC and final."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from segbench.report.methods import Method, cases_of_modality, modalities_of
from segbench.report.modalities import TABLE_3_STYLE, ModalityStyle
from segbench.report.published import OVERALL, PUBLISHED_MARK, PublishedRow, PublishedTable
from segbench.report.tables.means import (
    MEASURES,
    MeanRow,
    bold_best,
    comparable,
    mean_of_means,
    mean_row,
    means_of,
    number_columns,
)
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Cell, Column, Table

MEAN_OVER_MODALITIES = "Mean over modalities"
MEAN_OVER_CASES = "Mean over all cases"
TITLES = {
    "table3": "Scores by modality and method",
    "table5": "Scores by modality and method, next to the challenge's test set",
}

Group = list[MeanRow]


def table_by_modality(
    methods: Sequence[Method],
    *,
    published: PublishedTable | None = None,
    name: str = "table3",
    style: ModalityStyle = TABLE_3_STYLE,
) -> Table:
    """Return modality x method, with the best run in bold; published rows are never bold."""
    codes = style.sort(modalities_of(methods))
    groups = [
        *(_modality_group(methods, published, code, style.display_name(code)) for code in codes),
        _modality_mean_group(methods, published, codes),
        _case_mean_group(methods, published),
    ]
    return Table(
        name=name,
        title=TITLES[name],
        columns=(Column("Modality"), Column("Method"), *number_columns("n", *MEASURES)),
        groups=tuple(map(bold_best, groups)),
        notes=(
            f"In the layout of the paper's Table {name[-1]}. Means over n cases. AUC: area under "
            "the score over the clicks, without the box. Final: after the last click.",
            *_best_notes(groups),
            *common_notes(methods),
            *([published.note] if published else []),
        ),
    )


def _modality_group(
    methods: Sequence[Method], published: PublishedTable | None, code: str, title: str
) -> Group:
    return [
        *(mean_row(m, (title, m.display_name), cases_of_modality(m, code)) for m in methods),
        *(_published_row(row, title) for row in _rows_of(published, [code])),
    ]


def _case_mean_group(methods: Sequence[Method], published: PublishedTable | None) -> Group:
    return [
        *(mean_row(m, (MEAN_OVER_CASES, m.display_name), m.scored_cases) for m in methods),
        *(_published_row(row, MEAN_OVER_CASES) for row in _rows_of(published, [OVERALL])),
    ]


def _modality_mean_group(
    methods: Sequence[Method], published: PublishedTable | None, codes: Sequence[str]
) -> Group:
    by_method: dict[str, list[PublishedRow]] = {}
    for row in _rows_of(published, codes):
        by_method.setdefault(row.method, []).append(row)
    return [
        *(_mean_over_modalities(method, codes) for method in methods),
        *(_published_mean_over_modalities(rows) for rows in by_method.values()),
    ]


def _mean_over_modalities(method: Method, codes: Sequence[str]) -> MeanRow:
    parts = [means_of(cases) for code in codes if (cases := cases_of_modality(method, code))]
    row = mean_row(method, (MEAN_OVER_MODALITIES, method.display_name), method.scored_cases)
    return replace(row, n=_modality_count(len(parts)), means=mean_of_means(parts))


def _published_mean_over_modalities(rows: Sequence[PublishedRow]) -> MeanRow:
    means = mean_of_means([tuple(row.means.values()) for row in rows])
    row = _published_row(rows[0], MEAN_OVER_MODALITIES)
    return replace(row, n=_modality_count(len(rows)), means=means)


def _modality_count(count: int) -> Cell:
    return Cell(count, suffix=" modality" if count == 1 else " modalities")


def _rows_of(published: PublishedTable | None, codes: Sequence[str]) -> list[PublishedRow]:
    return [row for row in published.rows if row.modality in codes] if published else []


def _published_row(row: PublishedRow, title: str) -> MeanRow:
    keys = (Cell(title), Cell(row.method, suffix=f" {PUBLISHED_MARK}"))
    return MeanRow(keys, Cell(None), tuple(row.means[name] for name in MEASURES))


def _best_notes(groups: Iterable[Group]) -> list[str]:
    ranked = [group for group in groups if sum(row.ranked for row in group) > 1]
    without_best = [str(group[0].keys[0].value) for group in ranked if not comparable(group)]
    notes = []
    if len(without_best) < len(ranked):
        notes.append("Bold: the best ranked run of each group; runs equal as printed are all bold.")
    if without_best:
        notes.append(
            "Nothing is bold where the runs have different cases: " + ", ".join(without_best) + "."
        )
    return notes
