"""The findings of a check of data as one page that loads no other file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import groupby

from segbench.data.check.check_data import CheckedData
from segbench.data.check.codes import CODES
from segbench.data.check.finding import CaseFacts, Finding
from segbench.data.check.text import summary
from segbench.report.page import html_page
from segbench.report.tables.render import to_html, to_html_notes
from segbench.report.tables.table import Cell, Column, Table

TITLE = "Data check"


def check_html(checked: CheckedData, data: str) -> str:
    """Return the page: a summary, a table of each code, and one of all cases."""
    groups = [list(group) for _, group in groupby(checked.findings, lambda found: found.code)]
    links = "".join(
        f'<a href="#{group[0].code}">{group[0].code} ({len(group)})</a>\n' for group in groups
    )
    head = f"<h1>{TITLE}: {html.escape(data)}</h1>\n{to_html_notes(summary(checked))}"
    tables = [*map(_code_table, groups), _cases_table(checked.cases)]
    nav = f'<nav>{links}<a href="#cases">cases</a></nav>\n'
    body = f"<header>\n{head}{nav}</header>\n{''.join(map(to_html, tables))}"
    return html_page(f"{TITLE}: {data}", body)


def _code_table(group: Sequence[Finding]) -> Table:
    code = CODES[group[0].code]
    rows = tuple((Cell(found.case), Cell(found.what)) for found in group)
    return Table(
        group[0].code,
        f"{code.level}: {group[0].code}",
        (Column("case"), Column("found", "p")),
        (rows,),
        notes=(f"{code.meaning[0].upper()}{code.meaning[1:]}.", f"What to do: {code.cure}."),
    )


def _cases_table(cases: Sequence[CaseFacts]) -> Table:
    titles = ("case", "modality", "dataset", "shape", "spacing, mm", "labels", "boxes", "MB", "s")
    columns = tuple(
        Column(title, "r" if number > 4 else "l") for number, title in enumerate(titles)
    )
    return Table(
        "cases",
        "All cases",
        columns,
        (tuple(map(_case_row, cases)),),
        notes=(
            "MB: arrays of one job of a run. s: processor time of a run for the case. Both are "
            "without the model.",
        ),
    )


def _case_row(case: CaseFacts) -> tuple[Cell, ...]:
    spacing = " x ".join(f"{mm:.4g}" for mm in case.spacing or ()) or None
    return (
        *map(Cell, (case.name, case.modality or None, case.dataset or None)),
        Cell(" x ".join(map(str, case.shape)) or None),
        Cell(spacing),
        Cell(len(case.labels)),
        Cell(case.n_boxes),
        Cell(case.memory_mb, digits=0),
        Cell(case.run_seconds, digits=1),
    )
