"""Scores at the box and after each click, by modality and box availability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from segbench.report.comparison import case_scores_by_step, common_cases, display_names
from segbench.report.figures.curves import Styles, bands_or_bars, draw_curves, score_limits
from segbench.report.figures.figure import ReportFigure
from segbench.report.figures.notes import interval_note, sample_notes_of
from segbench.report.figures.style import (
    POINTS,
    WIDTH_CM,
    add_legend,
    fitted,
    legend_height_cm,
    method_handles,
    method_styles,
    new_figure,
    panels,
    styled,
)
from segbench.report.frames import Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.resampling import Resampling
from segbench.report.statistics import mean_intervals
from segbench.report.tables.by_step import ALL_CASES
from segbench.report.tables.uncertainty import with_case_facts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = {"dsc": "DSC", "nsd": "NSD"}
BOXES = {True: "with box", False: "without box"}
STEP_COLUMNS = (
    *("modality", "has_boxes", "step", "method", "measure"),
    *("n_cases", "n_patients", "mean", "low", "high"),
)
_PANEL_CM, _EDGE_CM = 2.1, 0.9


def step_intervals(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return mean DSC and NSD by modality, box availability, step and method, with intervals.

    Returns
    -------
    DataFrame, over the common cases, with the columns
        modality : a code, or "All cases" if there are several
        has_boxes, step, method
        measure : dsc or nsd
        n_cases, n_patients, mean, low, high : as `mean_intervals` has them
    """
    common = common_cases(results)
    cases = with_case_facts(case_scores_by_step(common), common.cases)
    by = ["has_boxes", "step"]
    parts = [mean_intervals(cases, measures=SCORES, by=["modality", *by], resampling=resampling)]
    if cases["modality"].nunique() > 1:
        totals = mean_intervals(cases, measures=SCORES, by=by, resampling=resampling)
        parts.insert(0, totals.assign(modality=ALL_CASES))
    frame = pd.concat(parts, ignore_index=True)
    return frame.loc[frame["average"] == "micro", list(STEP_COLUMNS)].reset_index(drop=True)


def step_figures(results: Results, resampling: Resampling = Resampling()) -> list[ReportFigure]:
    """Return one figure of DSC and one of NSD; none without scored cases."""
    frame = step_intervals(results, resampling)
    if frame.empty:
        return []
    names = display_names(results)
    present = [name for name in names if (frame["method"] == name).any()]
    styles = method_styles({name: names[name] for name in present})
    return [
        ReportFigure(
            f"figure-steps-{measure}",
            f"{title} by step",
            (
                f"Mean {title} at the box and after each click, by modality and box; n is the "
                "number of cases.",
                interval_note(resampling, bands_or_bars(len(styles))),
                *sample_notes_of(results, resampling),
            ),
            frame[frame["measure"] == measure].drop(columns="measure"),
            draw_steps(
                frame[frame["measure"] == measure],
                styles,
                title=title,
                n_clicks=results.settings.n_clicks,
            ),
        )
        for measure, title in SCORES.items()
    ]


@styled()
def draw_steps(frame: pd.DataFrame, styles: Styles, *, title: str, n_clicks: int) -> Figure:
    """Draw the rows of one measure of `step_intervals`: modality x box availability."""
    known = TABLE_3_STYLE.sort(frame["modality"])
    codes = sorted(known, key=lambda code: code != ALL_CASES)
    boxes = [box for box in BOXES if (frame["has_boxes"] == box).any()]
    labels = [style.label for style in styles.values()]
    height = len(codes) * _PANEL_CM + _EDGE_CM + legend_height_cm(labels)
    figure = new_figure(height)
    grid = panels(figure, len(codes), len(boxes), sharey=True, sharex="col")
    for code, row in zip(codes, grid, strict=True):
        for box, axes in zip(boxes, row, strict=True):
            here = frame[(frame["modality"] == code) & (frame["has_boxes"] == box)]
            draw_curves(axes, here, styles, x="step", y="mean")
            axes.set_ylim(*score_limits(frame))
            axes.set_title(_panel_title(code, here, WIDTH_CM / len(boxes) - 0.6))
        row[0].set_ylabel(title)
    for box, top, bottom in zip(boxes, grid[0], grid[-1], strict=True):
        top.set_title(f"{BOXES[box]}\n{top.get_title(loc='left')}")
        _draw_step_axis(bottom, n_clicks, box=box)
    add_legend(figure, method_handles(styles.values()), labels)
    return figure


def _panel_title(code: str, frame: pd.DataFrame, width_cm: float) -> str:
    n_cases = 0 if frame.empty else int(frame["n_cases"].max())
    counted = f" (n = {n_cases})"
    name = fitted(TABLE_3_STYLE.display_name(code), width_cm * POINTS - 6.5 * len(counted) * 0.6)
    return name + counted


def _draw_step_axis(axes: Axes, n_clicks: int, *, box: bool) -> None:
    steps = list(range(0 if box else 1, n_clicks + 1))
    axes.set_xticks(steps, ["box" if step == 0 else str(step) for step in steps])
    axes.set_xlim(steps[0] - 0.4, steps[-1] + 0.4)
    axes.set_xlabel("clicks")
