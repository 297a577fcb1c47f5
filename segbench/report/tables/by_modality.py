"""The paper's Tables 3 and 5: modality x method, AUC and final values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from segbench.report.methods import Method, modalities_of, within
from segbench.report.modalities import LONG, Style
from segbench.report.published import MARK, OVERALL, Published, PublishedRow
from segbench.report.tables.means import (
    MEASURES,
    Line,
    comparable,
    line_of,
    mean_of_means,
    means_of,
    numbers,
    with_best,
)
from segbench.report.tables.notes import standing_notes
from segbench.report.tables.table import Cell, Column, Table

OVER_MODALITIES = "Mean over modalities"
OVER_CASES = "Mean over all cases"

Group = list[Line]


def table_by_modality(
    methods: Sequence[Method],
    *,
    published: Published | None = None,
    name: str = "table3",
    style: Style = LONG,
) -> Table:
    """Return modality x method, the best of our own runs in bold."""
    codes = style.arrange(modalities_of(methods))
    groups = [_one_modality(methods, published, code, style.name(code)) for code in codes]
    groups += [_over_modalities(methods, published, codes), _over_cases(methods, published)]
    return Table(
        name=name,
        title=_TITLES[name],
        columns=(Column("Modality"), Column("Method"), *numbers("n", *MEASURES)),
        groups=tuple(map(with_best, groups)),
        notes=(
            f"In the layout of the paper's Table {name[-1]}. Means over n cases; AUC: area under "
            "the score over the clicks, the box left out; final: after the last click.",
            *_best_notes(groups),
            *standing_notes(methods),
            *([published.note] if published else []),
        ),
    )


_TITLES = {
    "table3": "Scores by modality and method",
    "table5": "Scores by modality and method, beside the challenge's test set",
}


def _one_modality(
    methods: Sequence[Method], published: Published | None, code: str, title: str
) -> Group:
    ours = [line_of(method, (title, method.label), within(method, code)) for method in methods]
    return ours + [_published_line(row, title) for row in _rows(published, [code])]


def _over_cases(methods: Sequence[Method], published: Published | None) -> Group:
    ours = [line_of(method, (OVER_CASES, method.label), method.scored) for method in methods]
    return ours + [_published_line(row, OVER_CASES) for row in _rows(published, [OVERALL])]


def _over_modalities(
    methods: Sequence[Method], published: Published | None, codes: Sequence[str]
) -> Group:
    ours = [_our_mean_over_modalities(method, codes) for method in methods]
    by_method: dict[str, list[PublishedRow]] = {}
    for row in _rows(published, codes):
        by_method.setdefault(row.method, []).append(row)
    return ours + [_published_mean_over_modalities(rows) for rows in by_method.values()]


def _our_mean_over_modalities(method: Method, codes: Sequence[str]) -> Line:
    parts = [means_of(cases) for code in codes if (cases := within(method, code))]
    line = line_of(method, (OVER_MODALITIES, method.label), method.scored)
    return replace(line, n=_count_of_modalities(len(parts)), means=mean_of_means(parts))


def _published_mean_over_modalities(rows: Sequence[PublishedRow]) -> Line:
    means = mean_of_means([tuple(row.means.values()) for row in rows])
    line = _published_line(rows[0], OVER_MODALITIES)
    return replace(line, n=_count_of_modalities(len(rows)), means=means)


def _count_of_modalities(count: int) -> Cell:
    return Cell(count, mark=" modality" if count == 1 else " modalities")


def _rows(published: Published | None, codes: Sequence[str]) -> list[PublishedRow]:
    return [row for row in published.rows if row.modality in codes] if published else []


def _published_line(row: PublishedRow, title: str) -> Line:
    keys = (Cell(title), Cell(row.method, mark=f" {MARK}"))
    return Line(keys, Cell(None), tuple(row.means[name] for name in MEASURES))


def _best_notes(groups: Iterable[Group]) -> list[str]:
    contested = [group for group in groups if sum(line.ranked for line in group) > 1]
    withheld = [str(group[0].keys[0].value) for group in contested if not comparable(group)]
    notes = []
    if len(withheld) < len(contested):
        notes.append("Bold: the best of the ranked runs in its group; equal as printed, all bold.")
    if withheld:
        notes.append(f"No best is marked where the runs differ in cases: {', '.join(withheld)}.")
    return notes
