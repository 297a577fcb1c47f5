"""How often each method has each rank in the bootstrap resamples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.report.case_scores import case_scores, ranked_only
from segbench.report.figures.differences import methods_by_rank
from segbench.report.figures.figure import ReportFigure
from segbench.report.figures.notes import percent, sample_notes_of
from segbench.report.figures.style import (
    BLACK,
    POINTS,
    SKY_BLUE,
    fitted_all,
    new_figure,
    panels,
    styled,
)
from segbench.report.frames import Results
from segbench.report.ranks import RULES, rank_along, rank_draws
from segbench.report.resampling import Resampling

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RULE_TITLES = {RULES[0]: "rank, then aggregate", RULES[1]: "aggregate, then rank"}
MANY = 9  # from so many ranks on, every second one has a number
_ROW_CM, _NAME_CM, _PANEL_CM = 0.48, 2.3, 2.5


def rank_shares(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return in which share of the resamples each method has each rank.

    Over the cases that all ranked methods have, each counting the same.

    Returns
    -------
    DataFrame, with the columns
        rule : rank_then_aggregate (the challenge's) or aggregate_then_rank
        method
        rank : 1 is the best
        share : of the resamples, in which the method has it; ties have the best of their ranks
        observed : whether it is the rank in the cases themselves
        No rows without two ranked methods, a common case and two patients.
    """
    scored = results.cases[results.cases["scored"]]
    scores = case_scores(ranked_only(scored), patient_pattern=resampling.patient_pattern).common()
    rows = []
    if len(scores.methods) > 1 and scores.n_patients > 1:
        for found in rank_draws(scores, "min", resampling):
            if found.average == "micro":
                observed = rank_along(found.scores, "min", axis=0)
                for method, own, rank in zip(found.methods, found.ranks.T, observed, strict=True):
                    values, counts = np.unique(own, return_counts=True)
                    for value in sorted({*values, rank}):
                        share = float(counts[values == value].sum()) / len(own)
                        rows.append((found.rule, method, int(value), share, value == rank))
    columns = ["rule", "method", "rank", "share", "observed"]
    return pd.DataFrame(rows, columns=columns)


def rank_figures(results: Results, resampling: Resampling = Resampling()) -> list[ReportFigure]:
    """Return the figure of rank stability; none without two ranked methods and two patients."""
    frame = rank_shares(results, resampling)
    if frame.empty:
        return []
    return [
        ReportFigure(
            "figure-ranks",
            "Stability of the ranks",
            (
                f"Area: share of {resampling.draws:,} bootstrap resamples of the patients in which "
                "a method has a rank. Cross: its rank in the cases themselves. Line: "
                f"{percent(resampling)} of the resamples.",
                "Left: the challenge's rule, ranks in all cases and measures are averaged. Right: "
                "the means of each measure are ranked.",
                *sample_notes_of(results, resampling),
            ),
            frame,
            draw_ranks(frame, methods_by_rank(results, resampling), resampling.confidence),
        )
    ]


@styled()
def draw_ranks(frame: pd.DataFrame, methods: list[str], confidence: float = 0.95) -> Figure:
    """Draw `rank_shares`, the methods from top to bottom."""
    figure = new_figure(len(methods) * _ROW_CM + 1.3)
    diameter = min(9.0, _PANEL_CM * POINTS / len(methods))
    (row,) = panels(figure, 1, 2, sharey=True)
    for (rule, title), axes in zip(RULE_TITLES.items(), row, strict=True):
        for y, method in enumerate(methods):
            here = (frame["rule"] == rule) & (frame["method"] == method)
            _draw_method(axes, y, frame[here].sort_values("rank"), confidence, diameter)
        axes.set_title(title)
        axes.set_xlim(0.4, len(methods) + 0.6)
        axes.set_xticks(range(1, len(methods) + 1, 1 if len(methods) < MANY else 2))
        axes.set_xlabel("rank")
        axes.set_yticks(range(len(methods)), fitted_all(methods, _NAME_CM * POINTS))
        axes.set_ylim(len(methods) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
    return figure


def _draw_method(
    axes: Axes, y: int, rows: pd.DataFrame, confidence: float, diameter: float
) -> None:
    ranks, shares = rows["rank"].to_numpy(), rows["share"].to_numpy()
    tail = (1 - confidence) / 2
    within = np.cumsum(shares)
    low = ranks[np.searchsorted(within, tail, side="right")]
    high = ranks[np.searchsorted(within, 1 - tail - 1e-12)]
    axes.hlines(y, low, high, color=BLACK, linewidth=0.8, zorder=2)
    dots: dict[str, Any] = {"color": SKY_BLUE, "linewidth": 0, "zorder": 3, "clip_on": False}
    axes.scatter(ranks, [y] * len(ranks), shares * diameter**2, **dots)
    mark = ranks[rows["observed"].to_numpy(dtype=bool)]
    axes.plot(mark, [y] * len(mark), "x", color=BLACK, markersize=diameter / 3, zorder=4)
