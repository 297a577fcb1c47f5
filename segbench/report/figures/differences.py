"""Paired differences of each method to the one with the best rank."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from segbench.report.case_scores import case_scores, ranked_only
from segbench.report.figures.figure import ReportFigure
from segbench.report.figures.notes import percent, sample_notes_of
from segbench.report.figures.style import (
    BLACK,
    NORMAL,
    POINTS,
    SKY_BLUE,
    add_legend,
    fitted,
    fitted_all,
    legend_height_cm,
    new_figure,
    panels,
    styled,
)
from segbench.report.frames import MEASURES, Results
from segbench.report.pairs import compare_pairs, excludes_zero
from segbench.report.ranks import RULES
from segbench.report.resampling import Resampling
from segbench.report.tables.ranking import rank_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUANTILES = {"q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
_SWAPPED = {"mean_a": "mean_b", "wins": "losses", "margin_low": "margin_high"}
_MARK: dict[str, Any] = {
    **{"color": BLACK, "marker": "D", "markersize": 2.6, "markeredgewidth": 0.7},
}
MINUS = "\N{MINUS SIGN}"
_ROW_CM, _EDGE_CM, _NAME_CM = 0.42, 0.85, 2.3


def methods_by_rank(results: Results, resampling: Resampling = Resampling()) -> list[str]:
    """Return the ranked methods, best first by the challenge's rule; none without a ranking."""
    table = rank_runs(results, resampling=resampling).table
    challenge = table[(table["rule"] == RULES[0]) & (table["average"] == "micro")]
    return [str(name) for name in challenge["method"]]


def all_pairs(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return the rows of `compare_pairs` in both directions, with the column significant.

    significant : whether the interval of the difference excludes 0 and p after Holm over all rows
        of `compare_pairs` is at most the level of the tests
    """
    pairs = compare_pairs(results.cases, resampling=resampling)
    pairs["significant"] = excludes_zero(pairs) & (pairs["p_holm"] <= resampling.alpha)
    both = {name: other for a, b in _SWAPPED.items() for name, other in ((a, b), (b, a))}
    both |= {"method_a": "method_b", "method_b": "method_a", "low": "high", "high": "low"}
    other = pairs.rename(columns=both)[list(pairs.columns)]
    negative = ["difference", "low", "high", "effect", "margin_low", "margin_high"]
    other[negative] = -other[negative]
    return pd.concat([pairs, other], ignore_index=True)


def differences_to_best(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return how far each ranked method is from the one with the best rank.

    Returns
    -------
    DataFrame, in the order of the ranks, with the columns
        measure, method, best, n_cases, n_patients
        difference, low, high : method - best, mean over the cases and interval
        wins, ties, losses, p, p_holm, significant : as `compare_pairs` and `all_pairs` have them
        q05, q25, q75, q95 : quantiles of the differences of the cases
    """
    best, *others = methods_by_rank(results, resampling) or [""]
    wanted = pd.DataFrame(product(MEASURES, others), columns=["measure", "method"])
    pairs = all_pairs(results, resampling).rename(
        columns={"method_a": "method", "method_b": "best"}
    )
    frame = wanted.assign(best=best).merge(pairs)
    columns = (
        *("measure", "method", "best", "n_cases", "n_patients", "difference", "low", "high"),
        *("wins", "ties", "losses", "p", "p_holm", "significant"),
    )
    return frame[list(columns)].join(_quantiles(results, frame))


def _quantiles(results: Results, frame: pd.DataFrame) -> pd.DataFrame:
    scores = case_scores(ranked_only(results.cases))
    rows = []
    for measure, method, best in frame[["measure", "method", "best"]].itertuples(index=False):
        values = scores.values[:, :, scores.measures.index(measure)]
        difference = values[:, scores.methods.index(method)] - values[:, scores.methods.index(best)]
        rows.append(np.quantile(difference[~np.isnan(difference)], list(QUANTILES.values())))
    return pd.DataFrame(rows, columns=list(QUANTILES), index=frame.index)


def difference_figures(
    results: Results, resampling: Resampling = Resampling()
) -> list[ReportFigure]:
    """Return the figure of paired differences; none without two ranked methods."""
    frame = differences_to_best(results, resampling)
    if frame.empty:
        return []
    best = frame["best"].iloc[0]
    return [
        ReportFigure(
            "figure-differences",
            "Paired differences",
            (
                f"Each method - {best}, which has the best rank, over the cases that both have; "
                "negative: worse.",
                f"Mark: mean with its {percent(resampling)} interval by bootstrap over patients; "
                "filled if the interval excludes 0 and p after Holm over all pairs and measures "
                f"is at most {resampling.alpha:.2g}. Bar: the middle half of the cases; thin line: "
                "5 % to 95 % of them.",
                *sample_notes_of(results, resampling),
            ),
            frame,
            draw_differences(frame),
        )
    ]


@styled()
def draw_differences(frame: pd.DataFrame) -> Figure:
    """Draw the rows of `differences_to_best`: measures x methods."""
    methods = frame["method"].drop_duplicates().tolist()
    labels = ("significant", "not significant", "middle half", "5–95 %")
    height = 2 * (len(methods) * _ROW_CM + _EDGE_CM) + legend_height_cm(labels) + 0.4
    figure = new_figure(height)
    grid = panels(figure, 2, 2, sharey=True)
    for (measure, title), axes in zip(MEASURES.items(), [*grid[0], *grid[1]], strict=True):
        _draw_panel(axes, frame[frame["measure"] == measure].to_dict("records"))
        axes.set_title(title)
        axes.set_yticks(range(len(methods)), fitted_all(methods, _NAME_CM * POINTS))
        axes.set_ylim(len(methods) - 0.4, -0.6)
    best = fitted(frame["best"].iloc[0], 4.8 * POINTS)
    figure.suptitle(f"difference to {best}", x=0.02, ha="left", fontsize=NORMAL)
    add_legend(figure, _handles(), labels)
    return figure


def _draw_panel(axes: Axes, rows: Sequence[dict[Any, Any]]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.axvline(0, color=BLACK, linewidth=0.6, linestyle=(0, (3, 2)))
    for y, row in enumerate(rows):
        axes.hlines(y, row["q05"], row["q95"], color=SKY_BLUE, linewidth=0.8)
        axes.hlines(y, row["q25"], row["q75"], color=SKY_BLUE, linewidth=4.5)
        axes.hlines(y, row["low"], row["high"], color=BLACK, linewidth=1.4, zorder=3)
        fill = BLACK if row["significant"] else "white"
        axes.plot(row["difference"], y, **_MARK, markerfacecolor=fill, zorder=4)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3, min_n_ticks=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", MINUS)))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], **_MARK, linewidth=1.4, markerfacecolor=BLACK),
        Line2D([], [], **_MARK, linewidth=1.4, markerfacecolor="white"),
        Line2D([], [], color=SKY_BLUE, linewidth=4.5),
        Line2D([], [], color=SKY_BLUE, linewidth=0.8),
    ]
