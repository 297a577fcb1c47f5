"""Reports: tables from run folders, without any model or image.

``write_report`` writes every table as Markdown, CSV, LaTeX and HTML, and an index page of all
tables. ``terminal_table`` returns the means over all cases as plain text. ``methods`` reads the
runs, ``tables`` makes and formats the tables, ``page`` joins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segbench.files import write_text
from segbench.report.methods import Method, read_methods
from segbench.report.modalities import TABLE_5_STYLE
from segbench.report.page import FORMATS, html_page, index_html, index_markdown
from segbench.report.published import read_published
from segbench.report.tables.by_box import table_by_box
from segbench.report.tables.by_modality import table_by_modality
from segbench.report.tables.by_step import table_by_step
from segbench.report.tables.facts import facts_table
from segbench.report.tables.failures import failures_table
from segbench.report.tables.means import MEASURES, mean_row, number_columns
from segbench.report.tables.notes import common_notes
from segbench.report.tables.render import to_csv, to_html, to_latex, to_markdown, to_text
from segbench.report.tables.table import Cell, Column, Row, Table
from segbench.report.tables.time_limit import time_limit_table
from segbench.results import Policy

__all__ = ["report_tables", "terminal_table", "write_report"]

_OPTIONAL_TABLES = ("table5", "time-limit", "failures")


def write_report(
    runs: Sequence[Path],
    out: Path,
    *,
    published: Sequence[str] = (),
    policy: Policy = Policy(),
    command: str = "",
) -> list[Path]:
    """Write all tables of some runs into ``out`` and return the files, the index page first.

    Parameters
    ----------
    runs : run folders, in the order the tables show them
    out : the report's folder, created if missing; tables of an earlier report are replaced
    published : any of table3, table4, table5: the paper's rows to show next to the runs
    policy : how failed steps and slow cases are scored
    command : the command line that the page shows

    Raises
    ------
    RunError
        If a folder is not a run, or the protocols of the runs differ.
    """
    methods = read_methods(runs, policy)
    tables = report_tables(methods, published)
    texts = {
        "index.html": index_html(methods, tables, command),
        "index.md": index_markdown(methods, tables, command),
    }
    for table in tables:
        texts.update(_render_files(table))
    return _write_all(out, texts)


def report_tables(methods: Sequence[Method], published: Sequence[str] = ()) -> list[Table]:
    """Return the tables of a report in the order of its page."""
    published_tables = {name: read_published(name) for name in published}
    tables = [
        table_by_modality(methods, published=published_tables.get("table3")),
        table_by_box(methods, published=published_tables.get("table4")),
        table_by_step(methods),
        time_limit_table(methods),
        facts_table(methods),
        failures_table(methods),
    ]
    if "table5" in published_tables:
        test_set_table = table_by_modality(
            methods, published=published_tables["table5"], name="table5", style=TABLE_5_STYLE
        )
        tables.insert(2, test_set_table)
    return [table for table in tables if table is not None]


def terminal_table(runs: Sequence[Path], policy: Policy = Policy()) -> str:
    """Return the means over all cases as plain text, with notes."""
    methods = read_methods(runs, policy)
    rows = (_overview_row(method) for method in methods)
    table = Table(
        name="overview",
        title="Mean over all cases",
        columns=(Column("Method"), *number_columns("n", *MEASURES, "failed")),
        groups=(tuple(rows),),
        notes=("", *common_notes(methods)),
    )
    return to_text(table)


def _overview_row(method: Method) -> Row:
    means = mean_row(method, (method.display_name,), method.scored_cases)
    return (*means.cells(), Cell(method.count("failed")))


def _render_files(table: Table) -> dict[str, str]:
    page = html_page(table.title, to_html(table))
    texts = (to_markdown(table), to_csv(table), to_latex(table), page)
    return {f"{table.name}.{kind}": text for kind, text in zip(FORMATS, texts, strict=True)}


def _write_all(out: Path, texts: dict[str, str]) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    for name in _OPTIONAL_TABLES:
        for kind in FORMATS:
            (out / f"{name}.{kind}").unlink(missing_ok=True)
    for name, text in texts.items():
        write_text(out / name, text)
    return [out / name for name in texts]
