"""The folder of a report: files of an earlier report are replaced, no others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from segbench.files import atomic_write, encoded
from segbench.report.page import FORMATS, html_page
from segbench.report.parts import OPTIONAL_TABLES
from segbench.report.tables.latex import to_latex
from segbench.report.tables.render import to_csv, to_html, to_markdown
from segbench.report.tables.table import Table
from segbench.report.written_files import refuse_others, report_files

_TABLES = ("table3", "table4", "steps", "labels", "facts")


def require_report_folder(out: Path) -> None:
    """Refuse a folder with files of others under the names that every report has.

    Raises
    ------
    RunError
        If it has such a file; a report would replace it.
    """
    tables = (f"{name}.{kind}" for name in _TABLES for kind in FORMATS)
    refuse_others(out, ("index.html", "index.md", *tables), report_files(out))


def table_files(table: Table) -> dict[str, str]:
    """Return a table in all formats by file name."""
    page = html_page(table.title, to_html(table))
    texts = (to_markdown(table), to_csv(table), to_latex(table), page)
    return {f"{table.name}.{kind}": text for kind, text in zip(FORMATS, texts, strict=True)}


def write_report_files(
    out: Path, texts: Mapping[str, str], others: Mapping[str, bytes]
) -> list[Path]:
    """Write texts and other files, and remove what an earlier report had and this one has not."""
    files = {name: encoded(text) for name, text in texts.items()} | dict(others)
    own = report_files(out)
    refuse_others(out, files, own)
    out.mkdir(parents=True, exist_ok=True)
    optional = {f"{name}.{kind}" for name in OPTIONAL_TABLES for kind in FORMATS}
    optional |= {name for name in own if name.startswith("figure-")}
    for name in (optional & own) - files.keys():
        (out / name).unlink(missing_ok=True)
    for name, content in files.items():
        with atomic_write(out / name) as stream:
            stream.write(content)
    return [out / name for name in files]
