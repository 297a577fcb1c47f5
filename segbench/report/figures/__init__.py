"""Figures of a report, each with the frame that it draws.

Every figure is a module with functions of `Results`: one returns the frame, one the figure.
``style`` is how all of them look. matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from segbench.activity import Activity, silent
from segbench.files import encoded
from segbench.report.figures.case_choice import best_and_worst
from segbench.report.figures.case_pictures import case_pictures
from segbench.report.figures.differences import difference_figures, differences_to_best
from segbench.report.figures.dsc_nsd import dsc_nsd_figures, final_scores
from segbench.report.figures.figure import NO_FIGURE_SET, FigureFiles, FigureSet, ReportFigure
from segbench.report.figures.noc import noc_curves, noc_figures
from segbench.report.figures.options import FIGURE_FORMATS, NO_FIGURES, FigureOptions
from segbench.report.figures.rank_stability import rank_figures, rank_shares
from segbench.report.figures.seconds import scores_and_seconds, seconds_figures
from segbench.report.figures.significance import significance_figures, significance_map
from segbench.report.figures.steps import step_figures, step_intervals
from segbench.report.figures.style import file_contents
from segbench.report.frames import Results
from segbench.report.resampling import Resampling

__all__ = [
    "FIGURE_FORMATS",
    "NO_FIGURES",
    "NO_FIGURE_SET",
    "FigureFiles",
    "FigureOptions",
    "FigureSet",
    "ReportFigure",
    "best_and_worst",
    "case_pictures",
    "differences_to_best",
    "figure_files",
    "final_scores",
    "noc_curves",
    "rank_shares",
    "report_figures",
    "scores_and_seconds",
    "significance_map",
    "step_intervals",
]

# in the order of a reader's questions: how good, how sure, at what price
MAKERS: tuple[Callable[[Results, Resampling], list[ReportFigure]], ...] = (
    step_figures,
    noc_figures,
    rank_figures,
    difference_figures,
    significance_figures,
    dsc_nsd_figures,
    seconds_figures,
)


def report_figures(
    results: Results, resampling: Resampling = Resampling()
) -> Iterator[ReportFigure]:
    """Yield all figures without images, in the order of a report.

    A figure that needs two ranked methods, or scored cases, is not there without them.
    """
    for make in MAKERS:
        yield from make(results, resampling)


def figure_files(
    results: Results,
    options: FigureOptions = FigureOptions(),
    resampling: Resampling = Resampling(),
    activity: Activity = silent,
) -> FigureSet:
    """Return all figures and pictures of cases as files; none without a format."""
    if not options.formats:
        return FigureSet()
    with activity("drawing figures"):
        figures = list(_as_files(report_figures(results, resampling), options))
    with activity("drawing the best and worst cases"):
        pictures = case_pictures(results, data=options.data, images=options.images)
        figures += _as_files(pictures.figures, options)
    return FigureSet(tuple(figures), pictures.left_out)


def _as_files(figures: Iterable[ReportFigure], options: FigureOptions) -> Iterator[FigureFiles]:
    for figure in figures:
        contents = file_contents(figure.figure, options.formats)
        files = {f"{figure.name}.{kind}": content for kind, content in contents.items()}
        table = figure.frame.to_csv(index=False, lineterminator="\n")
        files[f"{figure.name}.csv"] = encoded(table)
        yield FigureFiles(figure.name, figure.title, figure.notes, files)
