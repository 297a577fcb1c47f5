"""Curves of methods with bands, or with bars where bands would hide each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from segbench.report.figures.style import MethodStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_BANDS = 4
Styles = Mapping[str, MethodStyle]


def bands_or_bars(n_methods: int) -> str:
    """Return which of them a figure of so many methods has."""
    return "Bands" if n_methods <= MAX_BANDS else "Bars"


def draw_curves(axes: Axes, frame: pd.DataFrame, styles: Styles, *, x: str, y: str) -> None:
    """Draw a curve for each method.

    Parameters
    ----------
    frame : with the columns method, low, high, and those named by ``x`` and ``y``; low and high
        are NaN where there is no interval
    """
    for (method, style), offset in zip(styles.items(), _offsets(len(styles)), strict=True):
        rows = frame[frame["method"] == method].sort_values(x)
        at, low, high = rows[x].to_numpy() + offset, rows["low"], rows["high"]
        line = {"color": style.colour, "marker": style.marker, "linestyle": style.dashes}
        axes.plot(at, rows[y], **line, markersize=2.5, zorder=3)
        if len(styles) <= MAX_BANDS:
            axes.fill_between(at, low, high, color=style.colour, alpha=0.18, linewidth=0)
        else:
            axes.vlines(at, low, high, color=style.colour, linewidth=0.6, zorder=2)


def score_limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Return limits of an axis of scores that hold all means and intervals, in tenths."""
    low, high = frame[["low", "mean"]].min().min(), frame[["high", "mean"]].max().max()
    low, high = np.floor(10 * low) / 10, np.ceil(10 * high) / 10
    high = max(high, low + 0.1)
    margin = 0.03 * (high - low)
    return float(low - margin), float(high + margin)


def _offsets(n_methods: int) -> Sequence[float]:
    """Return how far each method is moved along x, so that bars do not hide each other."""
    if n_methods <= MAX_BANDS:
        return [0.0] * n_methods
    offsets: list[float] = np.linspace(-0.27, 0.27, n_methods).tolist()
    return offsets
