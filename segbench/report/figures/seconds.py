"""Final score against the seconds that a step takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.report.comparison import common_cases, display_names
from segbench.report.figures.curves import Styles, score_limits
from segbench.report.figures.figure import ReportFigure
from segbench.report.figures.notes import interval_note, sample_notes_of
from segbench.report.figures.style import (
    add_legend,
    legend_height_cm,
    method_styles,
    new_figure,
    panels,
    styled,
)
from segbench.report.frames import Results
from segbench.report.resampling import Resampling
from segbench.report.statistics import mean_intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FINAL = {"dsc_final": "DSC Final", "nsd_final": "NSD Final"}
SECONDS = "seconds_per_step"
_PANEL_CM = 4.2


def scores_and_seconds(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return the mean final scores and seconds per step of each method, with intervals.

    Returns
    -------
    DataFrame, over the common cases, with the columns
        method
        measure : dsc_final, nsd_final, or seconds_per_step: the seconds of the model in a case by
            the number of its steps
        n_cases, n_patients, mean, low, high : as `mean_intervals` has them
    """
    cases = common_cases(results).cases
    n_steps = results.settings.n_clicks + cases["has_boxes"].astype("int64")
    cases = cases.assign(**{SECONDS: cases["seconds"] / n_steps})
    frame = mean_intervals(cases, measures=(*FINAL, SECONDS), resampling=resampling)
    columns = ["method", "measure", "n_cases", "n_patients", "mean", "low", "high"]
    return frame.loc[frame["average"] == "micro", columns].reset_index(drop=True)


def seconds_figures(results: Results, resampling: Resampling = Resampling()) -> list[ReportFigure]:
    """Return the figure of final scores against seconds; none without scored cases."""
    frame = scores_and_seconds(results, resampling)
    if frame.empty:
        return []
    names = display_names(results)
    present = {name: names[name] for name in names if (frame["method"] == name).any()}
    return [
        ReportFigure(
            "figure-seconds",
            "Final score against seconds per step",
            (
                "Mean score after the last click, and mean seconds of the model per step (the "
                "first step of a case includes set_image). Seconds depend on the machine.",
                interval_note(resampling, "Bars"),
                *sample_notes_of(results, resampling),
            ),
            frame,
            draw_seconds(frame, method_styles(present)),
        )
    ]


@styled()
def draw_seconds(frame: pd.DataFrame, styles: Styles) -> Figure:
    """Draw `scores_and_seconds`: one panel of DSC and one of NSD."""
    from matplotlib.lines import Line2D

    labels = [style.label for style in styles.values()]
    figure = new_figure(_PANEL_CM + 0.9 + legend_height_cm(labels))
    (row,) = panels(figure, 1, 2, sharex=True)
    by_measure = {name: rows.set_index("method") for name, rows in frame.groupby("measure")}
    for (measure, title), axes in zip(FINAL.items(), row, strict=True):
        _draw_marks(axes, by_measure[SECONDS], by_measure[measure], styles)
        axes.set_title(title)
        axes.set_ylim(*score_limits(by_measure[measure]))
        axes.set_xlabel("seconds per step")
        _scale_seconds(axes, by_measure[SECONDS])
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, markersize=4, linestyle="none")
        for style in styles.values()
    ]
    add_legend(figure, handles, labels)
    return figure


def _draw_marks(axes: Axes, seconds: pd.DataFrame, scores: pd.DataFrame, styles: Styles) -> None:
    for method, style in styles.items():
        x, y = seconds.loc[method], scores.loc[method]
        bar: dict[str, Any] = {"color": style.colour, "linewidth": 0.8, "zorder": 2}
        axes.plot([x["low"], x["high"]], [y["mean"]] * 2, **bar)
        axes.plot([x["mean"]] * 2, [y["low"], y["high"]], **bar)
        mark: dict[str, Any] = {"marker": style.marker, "color": style.colour, "markeredgewidth": 0}
        axes.plot(x["mean"], y["mean"], **mark, markersize=4, zorder=3)


def _scale_seconds(axes: Axes, seconds: pd.DataFrame) -> None:
    """Show seconds by factors of ten, if they have any: a mean of 0 has no logarithm."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = seconds[["mean", "low", "high"]].to_numpy().ravel()
    values = values[~np.isnan(values)]
    if values.min() <= 0:
        return
    low, high = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    axes.set_xlim(10 ** (low - 0.1), 10 ** (max(high, low + 1) + 0.1))
    axes.set_xscale("log")  # after the limits: it would look for its own
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}".replace("e-0", "e-"))
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
