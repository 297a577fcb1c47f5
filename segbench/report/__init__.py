"""Tables from run folders: read cases, never a model or an image.

``write_report`` reads runs and writes every table as Markdown, CSV, LaTeX and HTML, with an index
of all; ``terminal_table`` gives the means over all cases as plain text. How a table comes about:
``methods`` reads the runs, ``by_modality``, ``by_box``, ``by_step`` and ``facts`` make tables of
them, ``render`` draws a table, ``page`` puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segbench.core import Policy
from segbench.report.methods import Method, read_methods
from segbench.report.modalities import SHORT
from segbench.report.page import FORMATS, html_page, index_html, index_markdown
from segbench.report.published import read_published
from segbench.report.tables.by_box import table_by_box
from segbench.report.tables.by_modality import table_by_modality
from segbench.report.tables.by_step import table_by_step
from segbench.report.tables.facts import facts_table, failures_table, time_limit_table
from segbench.report.tables.means import MEASURES, line_of, numbers
from segbench.report.tables.notes import standing_notes
from segbench.report.tables.render import to_csv, to_html, to_latex, to_markdown, to_text
from segbench.report.tables.table import Cell, Column, Table
from segbench.runs.run_folder import write_text

__all__ = ["report_tables", "terminal_table", "write_report"]

_NOT_ALWAYS = ("table5", "time-limit", "failures")


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
    out : the report's folder; made if need be, tables of an earlier report are replaced
    published : any of table3, table4, table5: the paper's rows to set beside the runs
    policy : what a failed step and a slow case score
    command : what the page says it was made by

    Raises
    ------
    RunError
        If a folder is no run, or the runs were made under different protocols.
    """
    methods = read_methods(runs, policy)
    tables = report_tables(methods, published)
    texts = {
        "index.html": index_html(methods, tables, command),
        "index.md": index_markdown(methods, tables, command),
    }
    for table in tables:
        texts.update(_drawn(table))
    return _write_all(out, texts)


def report_tables(methods: Sequence[Method], published: Sequence[str] = ()) -> list[Table]:
    """Return the tables of a report in the order of its page."""
    paper = {name: read_published(name) for name in published}
    tables = [
        table_by_modality(methods, published=paper.get("table3")),
        table_by_box(methods, published=paper.get("table4")),
        table_by_step(methods),
        time_limit_table(methods),
        facts_table(methods),
        failures_table(methods),
    ]
    if "table5" in paper:
        beside_test_set = table_by_modality(
            methods, published=paper["table5"], name="table5", style=SHORT
        )
        tables.insert(2, beside_test_set)
    return [table for table in tables if table is not None]


def terminal_table(runs: Sequence[Path], policy: Policy = Policy()) -> str:
    """Return the means over all cases as plain text, with what must be said of them."""
    methods = read_methods(runs, policy)
    rows = ((*line_of(m, (m.label,), m.scored).row(), Cell(m.count("failed"))) for m in methods)
    table = Table(
        name="overview",
        title="Mean over all cases",
        columns=(Column("Method"), *numbers("n", *MEASURES, "failed")),
        groups=(tuple(rows),),
        notes=("", *standing_notes(methods)),
    )
    return to_text(table)


def _drawn(table: Table) -> dict[str, str]:
    page = html_page(table.title, to_html(table))
    texts = (to_markdown(table), to_csv(table), to_latex(table), page)
    return {f"{table.name}.{kind}": text for kind, text in zip(FORMATS, texts, strict=True)}


def _write_all(out: Path, texts: dict[str, str]) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    for name in _NOT_ALWAYS:
        for kind in FORMATS:
            (out / f"{name}.{kind}").unlink(missing_ok=True)
    for name, text in texts.items():
        write_text(out / name, text)
    return [out / name for name in texts]
