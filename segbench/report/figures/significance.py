"""Which method is better than which: a map of all pairs in each measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from segbench.report.figures.differences import all_pairs, methods_by_rank
from segbench.report.figures.figure import ReportFigure
from segbench.report.figures.notes import sample_notes_of
from segbench.report.figures.rank_stability import MANY
from segbench.report.figures.style import (
    BLUE,
    LIGHT_GREY,
    POINTS,
    SMALL,
    add_legend,
    fitted_all,
    legend_height_cm,
    new_figure,
    panels,
    styled,
)
from segbench.report.frames import MEASURES, Results
from segbench.report.resampling import Resampling

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BETTER, LARGER, WORSE = "better", "larger mean", "not larger"
VERDICTS: dict[str, dict[str, Any]] = {
    BETTER: {"facecolor": BLUE, "edgecolor": "white"},
    LARGER: {"facecolor": LIGHT_GREY, "edgecolor": "white"},
}
MAP_COLUMNS = (
    *("measure", "row", "column", "n_cases", "n_patients"),
    *("difference", "low", "high", "p", "p_holm", "verdict"),
)
_LEGEND = {BETTER: "row is better", LARGER: "larger mean, not significant"}
_NAME_CM, _SIDE_CM, _ROW_CM = 2.8, 2.3, 0.3


def significance_map(results: Results, resampling: Resampling = Resampling()) -> pd.DataFrame:
    """Return what is known of every method (row) compared with every other one (column).

    Returns
    -------
    DataFrame, in the order of the ranks, with the columns
        measure, row, column, n_cases, n_patients
        difference, low, high, p, p_holm : row - column, as `compare_pairs` has them
        verdict : "better" if the difference is positive, its interval excludes 0 and p after Holm
            over all pairs and measures is at most the level; "larger mean" if only the difference
            is positive; "not larger"
    """
    methods = methods_by_rank(results, resampling)
    pairs = all_pairs(results, resampling).rename(columns={"method_a": "row", "method_b": "column"})
    places = {name: i for i, name in enumerate((*MEASURES, *methods))}
    keys = ["measure", "row", "column"]
    pairs = pairs[pairs["row"].isin(methods) & pairs["column"].isin(methods)]
    pairs = pairs.sort_values(keys, key=lambda column: column.map(places), ignore_index=True)
    positive = pairs["difference"] > 0
    pairs["verdict"] = WORSE
    pairs.loc[positive, "verdict"] = LARGER
    pairs.loc[positive & pairs["significant"], "verdict"] = BETTER
    return pairs[list(MAP_COLUMNS)]


def significance_figures(
    results: Results, resampling: Resampling = Resampling()
) -> list[ReportFigure]:
    """Return the significance map; none without two ranked methods."""
    frame = significance_map(results, resampling)
    if frame.empty:
        return []
    return [
        ReportFigure(
            "figure-significance",
            "Significance map",
            (
                "Dark with a sign: the method of the row is better than that of the column, the "
                "interval of the difference excludes 0 and p after Holm over all pairs and "
                f"measures is at most {resampling.alpha:.2g}. Light: its mean is larger, which may "
                "be chance. White: its mean is not larger.",
                "Methods are in the order of the challenge's rule.",
                *sample_notes_of(results, resampling),
            ),
            frame,
            draw_significance(frame, methods_by_rank(results, resampling)),
        )
    ]


@styled()
def draw_significance(frame: pd.DataFrame, methods: list[str]) -> Figure:
    """Draw `significance_map`: one square of methods x methods for each measure."""
    from matplotlib.patches import Patch

    labels = list(_LEGEND.values())
    side = max(_SIDE_CM, _ROW_CM * len(methods))
    figure = new_figure(2 * side + 1.5 + legend_height_cm(labels))
    grid = panels(figure, 2, 2, sharex=True, sharey=True)
    names = fitted_all(methods, (_NAME_CM - 0.6) * POINTS)
    ticks = range(len(methods))
    for (measure, title), axes in zip(MEASURES.items(), [*grid[0], *grid[1]], strict=True):
        _draw_map(axes, frame[frame["measure"] == measure], methods)
        axes.set_title(title)
        numbers = ticks[:: 1 if len(methods) < MANY else 2]
        axes.set_xticks(numbers, [str(i + 1) for i in numbers])
        axes.set_yticks(ticks, [f"{name} ({i + 1})" for i, name in enumerate(names)])
    handles = [Patch(**VERDICTS[verdict]) for verdict in _LEGEND]
    add_legend(figure, handles, labels)
    return figure


def _draw_map(axes: Axes, frame: pd.DataFrame, methods: list[str]) -> None:
    from matplotlib.patches import Rectangle

    place = {name: i for i, name in enumerate(methods)}
    for row, column, verdict in frame[["row", "column", "verdict"]].itertuples(index=False):
        y, x = place[row], place[column]
        if verdict in VERDICTS:
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, linewidth=0.5, **VERDICTS[verdict]))
        if verdict == BETTER:
            axes.plot(x, y, ">", color="white", markersize=min(2.2, 13 / len(methods)))
    n_methods = len(methods)
    for i in range(n_methods):  # nobody is compared with itself
        axes.plot([i - 0.5, i + 0.5], [i - 0.5, i + 0.5], color=LIGHT_GREY, linewidth=0.5)
    axes.set(xlim=(-0.5, n_methods - 0.5), ylim=(n_methods - 0.5, -0.5))
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    axes.tick_params(length=0, labelsize=SMALL)
