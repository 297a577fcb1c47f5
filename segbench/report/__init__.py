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

from segbench.report.compare import check_losses, compare_runs
from segbench.report.compare_text import comparison_text
from segbench.report.comparison import case_scores_by_step, common_cases
from segbench.report.export import write_export
from segbench.report.figures import (
    NO_FIGURE_SET,
    NO_FIGURES,
    FigureOptions,
    FigureSet,
    best_and_worst,
    case_pictures,
    differences_to_best,
    figure_files,
    final_scores,
    noc_curves,
    rank_shares,
    report_figures,
    scores_and_seconds,
    significance_map,
    step_intervals,
)
from segbench.report.frames import MEASURES, Results, load, load_results
from segbench.report.insight import (
    click_effects,
    clicks_to_reach,
    gain_per_click,
    step_seconds,
    tolerance_saturation,
)
from segbench.report.leaders import leaders, measure_groups
from segbench.report.page import index_html, index_markdown
from segbench.report.pairs import compare_pairs
from segbench.report.parts import report_parts, report_tables
from segbench.report.ranking import rank_methods
from segbench.report.ranking_text import ranking_text
from segbench.report.report_folder import (
    require_report_folder,
    table_files,
    write_report_files,
)
from segbench.report.resampling import Resampling
from segbench.report.sensitivity import sensitivity
from segbench.report.statistics import mean_intervals, sample_notes
from segbench.report.tables.by_box import scores_by_box
from segbench.report.tables.by_dataset import scores_by_dataset
from segbench.report.tables.by_label import label_scores, scores_by_label
from segbench.report.tables.by_modality import MEAN_OVER_CASES, scores_by_modality
from segbench.report.tables.by_step import scores_by_step
from segbench.report.tables.failures import failures
from segbench.report.tables.means import mean_rows, number_columns
from segbench.report.tables.notes import common_notes, score_note
from segbench.report.tables.options import TableOptions
from segbench.report.tables.own_cases import scores_over_own_cases
from segbench.report.tables.ranking import rank_runs, ranks_with_groups
from segbench.report.tables.render import to_text
from segbench.report.tables.table import Cell, Column, Table
from segbench.report.tables.time_limit import scores_with_time_limit
from segbench.report.tables.uncertainty import page_notes, uncertainty_notes
from segbench.report.viewer import ViewerOptions, plan_of, write_viewer
from segbench.report.volumes import write_volumes
from segbench.results import Policy

__all__ = [
    "FigureOptions",
    "FigureSet",
    "Resampling",
    "Results",
    "TableOptions",
    "ViewerOptions",
    "best_and_worst",
    "case_pictures",
    "case_scores_by_step",
    "check_losses",
    "click_effects",
    "clicks_to_reach",
    "common_cases",
    "compare_pairs",
    "compare_runs",
    "comparison_text",
    "differences_to_best",
    "failures",
    "figure_files",
    "final_scores",
    "gain_per_click",
    "label_scores",
    "leaders",
    "load",
    "mean_intervals",
    "measure_groups",
    "noc_curves",
    "plan_of",
    "rank_methods",
    "rank_runs",
    "rank_shares",
    "ranking_text",
    "ranks_with_groups",
    "report_figures",
    "report_tables",
    "require_report_folder",
    "sample_notes",
    "scores_and_seconds",
    "scores_by_box",
    "scores_by_dataset",
    "scores_by_label",
    "scores_by_modality",
    "scores_by_step",
    "scores_over_own_cases",
    "scores_with_time_limit",
    "sensitivity",
    "significance_map",
    "step_intervals",
    "step_seconds",
    "terminal_table",
    "terminal_table_of",
    "tolerance_saturation",
    "write_export",
    "write_report",
    "write_report_of",
    "write_viewer",
    "write_volumes",
]


def write_report(  # noqa: PLR0913
    runs: Sequence[Path],
    out: Path,
    *,
    published: Sequence[str] = (),
    policy: Policy = Policy(),
    options: TableOptions = TableOptions(),
    figures: FigureOptions = NO_FIGURES,
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
    figures : formats of the figures, and what pictures of cases show; no figures by default, as
        they take longer than all tables
    command : the command line that the page shows

    Raises
    ------
    RunError
        If a folder is not a run, the protocols of the runs differ, or a file of ``out`` that is
        not of an earlier report would be replaced; then nothing is written.
    """
    results = load_results(runs, policy)
    require_report_folder(out)  # before anything is drawn
    drawn = figure_files(results, figures, options.resampling)
    return write_report_of(
        results, out, published=published, options=options, figures=drawn, command=command
    )


def write_report_of(  # noqa: PLR0913
    results: Results,
    out: Path,
    *,
    published: Sequence[str] = (),
    options: TableOptions = TableOptions(),
    figures: FigureSet = NO_FIGURE_SET,
    command: str = "",
    with_cases: bool = False,
) -> list[Path]:
    """Write all tables of results, and figures from `figure_files`, as `write_report` does."""
    require_report_folder(out)  # before anything is computed
    parts = report_parts(results, published, options)
    notes = page_notes(results, options)
    texts = {
        "index.html": index_html(results, parts, command, notes, figures, with_cases=with_cases),
        "index.md": index_markdown(results, parts, command, notes, figures),
    }
    for part in parts:
        for table in part.tables:
            texts.update(table_files(table))
    return write_report_files(out, texts, figures.files)


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
