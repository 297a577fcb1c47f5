"""How many clicks labels need: the share that has reached a DSC of q after each click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.messages import counted
from segbench.report.clusters import patient_ids
from segbench.report.comparison import KEY, common_cases, display_names
from segbench.report.figures.curves import Styles, bands_or_bars, draw_curves
from segbench.report.figures.figure import ReportFigure
from segbench.report.figures.notes import percent, sample_notes_of
from segbench.report.figures.style import (
    add_legend,
    legend_height_cm,
    method_handles,
    method_styles,
    new_figure,
    panels,
    styled,
)
from segbench.report.frames import Results
from segbench.report.resampling import Resampling
from segbench.report.statistics import mean_intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGETS = (0.8, 0.85, 0.9)
NOC_COLUMNS = ("method", "q", "clicks", "n_labels", "n_patients", "share", "low", "high")
_PANEL_CM = 3.3


def noc_curves(
    results: Results,
    resampling: Resampling = Resampling(),
    targets: Sequence[float] = TARGETS,
) -> pd.DataFrame:
    """Return the share of labels that have reached each target after so many clicks, or fewer.

    A label that gets worse again has reached it all the same, as NoC counts it. Without a box, a
    label cannot have reached anything at 0 clicks.

    Returns
    -------
    DataFrame, over the labels of the common cases, with the columns
        method
        q : the target DSC
        clicks : 0 is the box
        n_labels, n_patients
        share, low, high : the share and its bootstrap interval, patients drawn with all their
            labels
    """
    labels = _best_so_far(results, resampling)
    if labels.empty:
        return pd.DataFrame(columns=list(NOC_COLUMNS))
    steps = range(results.settings.n_clicks + 1)
    reached = {(q, step): (labels[step] >= q).astype("float64") for q in targets for step in steps}
    columns = {f"{q} {step}": values for (q, step), values in reached.items()}
    frame = mean_intervals(
        labels.assign(**columns),
        measures=columns,
        resampling=replace(resampling, patient_pattern=None),  # the patients are stated by now
    )
    frame = frame[frame["average"] == "micro"].reset_index(drop=True)
    q, clicks = zip(*(name.split() for name in frame["measure"]), strict=True)
    frame = frame.assign(q=list(map(float, q)), clicks=list(map(int, clicks)))
    return frame.rename(columns={"mean": "share", "n_cases": "n_labels"})[list(NOC_COLUMNS)]


def _best_so_far(results: Results, resampling: Resampling) -> pd.DataFrame:
    """Return one row per method and label: the largest DSC up to each step, and whose label it is.

    For statistics, a label is a case of its own, of a stated patient.
    """
    common = common_cases(results)
    steps = range(results.settings.n_clicks + 1)
    wide = common.steps.pivot(index=["method", "case", "label"], columns="step", values="dsc")
    wide = wide.reindex(columns=list(steps)).fillna(-np.inf).cummax(axis=1).reset_index()
    patients = patient_ids(common.cases, resampling.patient_pattern)
    facts = common.cases[["method", *KEY, "modality", "ranked"]]
    labels = wide.merge(facts.assign(patient=patients, dataset=""))
    return labels.assign(case=labels["case"] + " " + labels["label"].astype(str))


def noc_figures(results: Results, resampling: Resampling = Resampling()) -> list[ReportFigure]:
    """Return the figure of NoC curves; none without scored cases."""
    frame = noc_curves(results, resampling)
    if frame.empty:
        return []
    names, n_labels = display_names(results), int(frame["n_labels"].max())
    present = {name: names[name] for name in names if (frame["method"] == name).any()}
    return [
        ReportFigure(
            "figure-noc",
            "Share of labels that reach a DSC against clicks",
            (
                f"Share of {counted(n_labels, 'label')} whose DSC has been at least q after so "
                "many clicks, or fewer; 0 is the box. A label that gets worse again still counts.",
                f"{bands_or_bars(len(present))}: {percent(resampling)} interval by bootstrap over "
                "patients, with all their labels.",
                *sample_notes_of(results, resampling),
            ),
            frame,
            draw_noc(frame, method_styles(present)),
        )
    ]


@styled()
def draw_noc(frame: pd.DataFrame, styles: Styles) -> Figure:
    """Draw `noc_curves`, one panel for each target."""
    labels = [style.label for style in styles.values()]
    figure = new_figure(_PANEL_CM + 0.9 + legend_height_cm(labels))
    targets = frame["q"].drop_duplicates().tolist()
    (row,) = panels(figure, 1, len(targets), sharey=True, sharex=True)
    for q, axes in zip(targets, row, strict=True):
        draw_curves(axes, frame[frame["q"] == q], styles, x="clicks", y="share")
        axes.set(ylim=(-0.03, 1.03), yticks=(0, 0.5, 1), title=f"q = {q:g}")
        axes.set_xticks(sorted(frame["clicks"].unique()))
        axes.set_xlabel("clicks")
    row[0].set_ylabel("share of labels")
    add_legend(figure, method_handles(styles.values()), labels)
    return figure
