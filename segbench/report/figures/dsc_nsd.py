"""DSC against NSD of every case, after the last click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from segbench.report.comparison import common_cases, display_names
from segbench.report.figures.figure import ReportFigure
from segbench.report.figures.notes import sample_notes_of
from segbench.report.figures.style import (
    COLOURS,
    MARKERS,
    POINTS,
    WIDTH_CM,
    add_legend,
    fitted_all,
    legend_height_cm,
    new_figure,
    panels,
    styled,
)
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.resampling import Resampling

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_VECTOR = 1000  # of one figure; more are drawn as pixels, so that files stay small
_COLUMNS, _EDGE_CM = 3, 0.9


def final_scores(results: Results) -> pd.DataFrame:
    """Return DSC and NSD after the last click, one row per method and common case.

    Returns
    -------
    DataFrame with the columns method, case, modality, dsc_final, nsd_final
    """
    cases = common_cases(results).cases
    columns = ["method", "case", "modality", "dsc_final", "nsd_final"]
    return cases[columns].reset_index(drop=True)


def dsc_nsd_figures(results: Results, resampling: Resampling = Resampling()) -> list[ReportFigure]:
    """Return the figure of DSC against NSD; none without scored cases."""
    frame = final_scores(results)
    if frame.empty:
        return []
    gate = results.settings.nsd_gate
    return [
        ReportFigure(
            "figure-dsc-nsd",
            "DSC against NSD",
            (
                "Each mark is a case: its DSC and NSD after the last click. On the grey line both "
                f"are equal. NSD counts as 0 where DSC is not above {gate:g}.",
                *sample_notes_of(results, resampling),
            ),
            frame,
            draw_dsc_nsd(frame, display_names(results)),
        )
    ]


@styled()
def draw_dsc_nsd(frame: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw `final_scores`, one panel for each method."""
    methods = [name for name in names if (frame["method"] == name).any()]
    codes = TABLE_3_STYLE.sort(frame["modality"])
    labels = fitted_all(map(TABLE_3_STYLE.display_name, codes), 5 * POINTS)
    columns = min(_COLUMNS, len(methods))
    rows = -(-len(methods) // columns)
    side = min(4.0, (WIDTH_CM - 1.0) / columns - 0.15)
    figure = new_figure(rows * (side + 0.5) + _EDGE_CM + legend_height_cm(labels))
    grid = panels(figure, rows, columns)
    flat = [axes for row in grid for axes in row]
    titles = fitted_all((names[method] for method in methods), side * POINTS)
    for number, (method, title) in enumerate(zip(methods, titles, strict=True)):
        axes, lowest, first = flat[number], number + columns >= len(methods), number % columns == 0
        _draw_cases(axes, frame[frame["method"] == method], codes, many=len(frame) > MAX_VECTOR)
        axes.set_title(title)
        axes.set_xlabel("DSC" if lowest else "")
        axes.set_ylabel("NSD" if first else "")
        axes.tick_params(labelbottom=lowest, labelleft=first)
    for axes in flat[len(methods) :]:
        axes.set_visible(False)
    add_legend(figure, _handles(len(codes)), labels)
    return figure


def _draw_cases(axes: Axes, frame: pd.DataFrame, codes: Sequence[str], *, many: bool) -> None:
    axes.axline((0, 0), slope=1, color="#BBBBBB", linewidth=0.6)
    for code, mark in zip(codes, _marks(len(codes)), strict=True):
        here = frame[frame["modality"] == code]
        axes.plot(
            *(here["dsc_final"], here["nsd_final"]),
            **mark,
            rasterized=many,
            clip_on=False,
            zorder=3,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
    axes.set_yticks((0, 0.5, 1), ("0", "0.5", "1"))


def _handles(n_modalities: int) -> list[Any]:
    from matplotlib.lines import Line2D

    return [Line2D([], [], **mark) for mark in _marks(n_modalities)]


def _marks(n_modalities: int) -> list[dict[str, Any]]:
    """Return how the cases of each modality are marked: open, so that they do not hide others."""
    return [
        {
            "color": COLOURS[i % len(COLOURS)],
            "marker": MARKERS[i % len(MARKERS)],
            "markerfacecolor": "none",
            "markeredgewidth": 0.6,
            "linestyle": "none",
        }
        for i in range(n_modalities)
    ]
