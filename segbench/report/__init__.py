"""Reports: frames and tables from run folders, without any model or image.

``frames`` reads runs as pandas frames (`segbench.load`), ``comparison`` selects the cases that
methods have in common. ``statistics``, ``pairs``, ``leaders`` and ``ranking`` compute intervals,
tests and ranks, ``insight`` how models use clicks, ``sensitivity`` whether the order of the methods
holds under other choices. Each module of ``tables`` makes the frame of one section and prints it.
``write_report`` writes every table as Markdown, CSV, LaTeX and HTML, and an index page of all
tables; ``terminal_table`` returns the means over all cases as plain text; ``write_export`` writes
the frames as files, ``write_volumes`` images, predictions and prompts for viewers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segbench.files import write_text
from segbench.report.compare import check_losses, compare_runs
from segbench.report.compare_text import comparison_text
from segbench.report.comparison import case_scores_by_step, common_cases
from segbench.report.export import write_export
from segbench.report.frames import MEASURES, Results, load, load_results
from segbench.report.insight import (
    click_effects,
    clicks_to_reach,
    gain_per_click,
    step_seconds,
    tolerance_saturation,
)
from segbench.report.leaders import leaders, measure_groups
from segbench.report.page import FORMATS, html_page, index_html, index_markdown
from segbench.report.pairs import compare_pairs
from segbench.report.parts import OPTIONAL_TABLES, report_parts, report_tables
from segbench.report.ranking import rank_methods
from segbench.report.ranking_text import ranking_text
from segbench.report.resampling import Resampling
from segbench.report.sensitivity import sensitivity
from segbench.report.statistics import mean_intervals, sample_notes
from segbench.report.tables.by_box import scores_by_box
from segbench.report.tables.by_dataset import scores_by_dataset
from segbench.report.tables.by_label import label_scores, scores_by_label
from segbench.report.tables.by_modality import MEAN_OVER_CASES, scores_by_modality
from segbench.report.tables.by_step import scores_by_step
from segbench.report.tables.failures import failures
from segbench.report.tables.latex import to_latex
from segbench.report.tables.means import mean_rows, number_columns
from segbench.report.tables.notes import common_notes, score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.own_cases import scores_over_own_cases
from segbench.report.tables.ranking import rank_runs, ranks_with_groups
from segbench.report.tables.render import to_csv, to_html, to_markdown, to_text
from segbench.report.tables.table import Cell, Column, Table
from segbench.report.tables.time_limit import scores_with_time_limit
from segbench.report.tables.uncertainty import page_notes, uncertainty_notes
from segbench.report.volumes import write_volumes
from segbench.report.written_files import refuse_others, report_files
from segbench.results import Policy

__all__ = [
    "Resampling",
    "Results",
    "TableOptions",
    "case_scores_by_step",
    "check_losses",
    "click_effects",
    "clicks_to_reach",
    "common_cases",
    "compare_pairs",
    "compare_runs",
    "comparison_text",
    "failures",
    "gain_per_click",
    "label_scores",
    "leaders",
    "load",
    "mean_intervals",
    "measure_groups",
    "rank_methods",
    "rank_runs",
    "ranking_text",
    "ranks_with_groups",
    "report_tables",
    "sample_notes",
    "scores_by_box",
    "scores_by_dataset",
    "scores_by_label",
    "scores_by_modality",
    "scores_by_step",
    "scores_over_own_cases",
    "scores_with_time_limit",
    "sensitivity",
    "step_seconds",
    "terminal_table",
    "terminal_table_of",
    "tolerance_saturation",
    "write_export",
    "write_report",
    "write_report_of",
    "write_volumes",
]


def write_report(
    runs: Sequence[Path],
    out: Path,
    *,
    published: Sequence[str] = (),
    policy: Policy = Policy(),
    options: TableOptions = TableOptions(),
    command: str = "",
) -> list[Path]:
    """Write all tables of some runs into ``out`` and return the files, the index page first.

    Parameters
    ----------
    runs : run folders, in the order the tables show them
    out : the report's folder, created if missing; tables of an earlier report are replaced
    published : any of table3, table4, table5: the paper's rows to show next to the runs
    policy : how failed steps and slow cases are scored
    options : intervals, marks and decimals of the tables of scores
    command : the command line that the page shows

    Raises
    ------
    RunError
        If a folder is not a run, the protocols of the runs differ, or a file of ``out`` that is
        not of an earlier report would be replaced; then nothing is written.
    """
    results = load_results(runs, policy)
    return write_report_of(results, out, published=published, options=options, command=command)


def write_report_of(
    results: Results,
    out: Path,
    *,
    published: Sequence[str] = (),
    options: TableOptions = TableOptions(),
    command: str = "",
) -> list[Path]:
    """Write all tables of results as `write_report` does."""
    refuse_others(out, ("index.html", "index.md"), report_files(out))  # before anything is computed
    parts = report_parts(results, published, options)
    notes = page_notes(results, options)
    texts = {
        "index.html": index_html(results, parts, command, notes),
        "index.md": index_markdown(results, parts, command, notes),
    }
    for part in parts:
        for table in part.tables:
            texts.update(_render_files(table))
    return _write_all(out, texts)


def terminal_table(
    runs: Sequence[Path], policy: Policy = Policy(), options: TableOptions = TableOptions()
) -> str:
    """Return the means over all common cases as plain text, with notes."""
    return terminal_table_of(load_results(runs, policy), options)


def terminal_table_of(results: Results, options: TableOptions = TableOptions()) -> str:
    """Return the means of results as `terminal_table` does."""
    frame = scores_by_modality(results, options.interval_resampling)
    frame = frame[frame["modality"] == MEAN_OVER_CASES]
    rows = mean_rows(results, frame, ("method",), decimals=options.decimals)
    failed = results.methods["n_failed"].tolist()
    table = Table(
        name="overview",
        title=MEAN_OVER_CASES,
        columns=(Column("Method"), *number_columns("n", *MEASURES.values(), "failed")),
        groups=(tuple((*row.cells, Cell(n)) for row, n in zip(rows, failed, strict=True)),),
        notes=(
            "",
            score_note(results),
            *uncertainty_notes(results, options, marks=False),
            *common_notes(results),
        ),
    )
    return to_text(table)


def _render_files(table: Table) -> dict[str, str]:
    page = html_page(table.title, to_html(table))
    texts = (to_markdown(table), to_csv(table), to_latex(table), page)
    return {f"{table.name}.{kind}": text for kind, text in zip(FORMATS, texts, strict=True)}


def _write_all(out: Path, texts: dict[str, str]) -> list[Path]:
    own = report_files(out)
    refuse_others(out, texts, own)
    out.mkdir(parents=True, exist_ok=True)
    optional = {f"{name}.{kind}" for name in OPTIONAL_TABLES for kind in FORMATS}
    for name in (optional & own) - texts.keys():
        (out / name).unlink(missing_ok=True)
    for name, text in texts.items():
        write_text(out / name, text)
    return [out / name for name in texts]
