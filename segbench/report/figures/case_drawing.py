"""Draw cases: each a row of three planes, under a line with its name and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Mask
from segbench.messages import counted
from segbench.report.figures.case_views import Plane, ShownClick
from segbench.report.figures.click_numbers import MARK_POINTS, place_numbers
from segbench.report.figures.style import (
    BLACK,
    CM,
    GREY,
    LEGEND_ROW_CM,
    ORANGE,
    POINTS,
    SKY_BLUE,
    SMALL,
    VERMILLION,
    WIDTH_CM,
    YELLOW,
    fitted,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_CM, _GAP_CM, _TITLE_CM, _NAME_CM = 2.5, 0.15, 0.72, 0.36
NUMBER_POINTS = 6.0


@dataclass(frozen=True, eq=False)
class ShownCase:
    """A case: the columns of its row in the figure's CSV, and its planes."""

    facts: dict[str, Any]
    planes: tuple[Plane, ...]

    @property
    def titles(self) -> tuple[str, str]:
        """What is written above its planes."""
        facts = self.facts
        scores = f"DSC {facts['dsc_final']:.3f}, NSD {facts['nsd_final']:.3f}"
        if facts["n_labels"] > 1:
            scores += f"; label {facts['label']} (of {counted(facts['n_labels'], 'label')}): "
            scores += f"DSC {facts['label_dsc']:.3f}"
        return f"{facts['role']}: {facts['case']}", scores


@dataclass(frozen=True)
class _Look:
    """Colours on an image, or on white paper."""

    reference: str
    prediction: str
    box: str
    halo: str
    paper: str


_ON_IMAGE = _Look("white", ORANGE, SKY_BLUE, BLACK, BLACK)
_ON_PAPER = _Look(BLACK, VERMILLION, GREY, "white", "white")
_DASHES = (0, (2.2, 1.2))
_DOTS = (0, (0.8, 1.0))


@styled()
def draw_cases(cases: Sequence[ShownCase]) -> Figure:
    """Draw cases below each other."""
    from matplotlib.figure import Figure

    row_cm = _TITLE_CM + PANEL_CM + _NAME_CM
    height_cm = len(cases) * row_cm + 2 * LEGEND_ROW_CM + 0.2
    figure = Figure(figsize=(WIDTH_CM * CM, height_cm * CM))  # all positions are known
    edge = (WIDTH_CM - 3 * PANEL_CM - 2 * _GAP_CM) / 2
    look = _ON_PAPER if cases[0].planes[0].image is None else _ON_IMAGE
    for number, case in enumerate(cases):
        top = height_cm - number * row_cm
        for line, text in enumerate(case.titles):
            fit = fitted(text, (WIDTH_CM - 2 * edge) * POINTS)
            y = top - 0.08 - 0.32 * line
            figure.text(edge / WIDTH_CM, y / height_cm, fit, va="top", fontsize=SMALL)
        for column, plane in enumerate(case.planes):
            x, y = edge + column * (PANEL_CM + _GAP_CM), top - _TITLE_CM - PANEL_CM
            size = PANEL_CM / WIDTH_CM, PANEL_CM / height_cm
            axes = figure.add_axes((x / WIDTH_CM, y / height_cm, *size))
            _draw_plane(axes, plane, look)
    _add_legend(figure, look)
    return figure


def _draw_plane(axes: Axes, plane: Plane, look: _Look) -> None:
    left, right, first, last = plane.window
    rows = (last, first) if plane.axis == 0 else (first, last)  # z goes up
    axes.set(xlim=(left, right), ylim=rows, xticks=(), yticks=(), facecolor=look.paper)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    if plane.image is not None:
        _draw_image(axes, plane.image, plane)
    if plane.box is not None:
        x, other_x, y, other_y = plane.box
        corners = [x, other_x, other_x, x, x], [y, y, other_y, other_y, y]
        _draw_line(axes, *corners, look.box, _DOTS, look)
    _draw_outline(axes, plane.reference, plane, look.reference, "-", look)
    _draw_outline(axes, plane.prediction, plane, look.prediction, _DASHES, look)
    _draw_clicks(axes, plane, look)
    axes.set_xlim(left, right)
    axes.set_ylim(*rows)
    axes.set_xlabel(plane.name, labelpad=1.5)


def _draw_image(axes: Axes, image: NDArray[Any], plane: Plane) -> None:
    """Draw the image in the grey values between its 1st and 99.5th percentile in the window."""
    values = np.nan_to_num(image.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = np.percentile(values, [1, 99.5]) if values.size else (0.0, 1.0)
    left, right, first, last = plane.extent
    axes.imshow(
        values,
        cmap="gray",
        vmin=low,
        vmax=max(high, low + 1e-9),
        extent=(left, right, last, first),
        interpolation="nearest",
        aspect="auto",
    )


def _draw_outline(
    axes: Axes, mask: Mask, plane: Plane, colour: str, dashes: Any, look: _Look
) -> None:
    if not mask.any():
        return
    padded = np.pad(mask, 1)  # a mask that is cut by the edge has an outline there, too
    left, right, first, last = plane.extent
    x_step, y_step = (right - left) / mask.shape[1], (last - first) / mask.shape[0]
    x = left + x_step * (np.arange(padded.shape[1]) - 0.5)
    y = first + y_step * (np.arange(padded.shape[0]) - 0.5)
    axes.contour(x, y, padded, [0.5], colors=look.halo, linewidths=1.6, linestyles="solid")
    axes.contour(x, y, padded, [0.5], colors=colour, linewidths=0.9, linestyles=[dashes])


def _draw_line(axes: Axes, x: Any, y: Any, colour: str, dashes: Any, look: _Look) -> None:
    axes.plot(x, y, color=look.halo, linewidth=1.4)
    axes.plot(x, y, color=colour, linewidth=0.8, linestyle=dashes)


def _draw_clicks(axes: Axes, plane: Plane, look: _Look) -> None:
    side = PANEL_CM * POINTS
    to_axes = axes.transLimits  # the limits are final
    points = {
        click.number: tuple((to_axes.transform((click.x, click.y)) * side).tolist())
        for click in plane.clicks
    }
    for click in sorted(plane.clicks, key=lambda each: each.in_plane):
        axes.plot(click.x, click.y, **_mark(click), zorder=5)
    for number in place_numbers([(n, x, y) for n, (x, y) in points.items()], side, side):
        _write_number(axes, number.text, (number.x / side, number.y / side), look)


def _mark(click: ShownClick) -> dict[str, Any]:
    """Return a filled mark for a click in the plane, a thin one for a click in another slice."""
    from matplotlib.patheffects import Normal, withStroke

    diameter = 2 * MARK_POINTS
    if click.in_plane:
        marker, size = ("o", 0.75 * diameter) if click.positive else ("X", 0.95 * diameter)
        look = {"markerfacecolor": YELLOW, "markeredgecolor": BLACK, "markeredgewidth": 0.6}
        return {"marker": marker, "markersize": size, **look}
    marker, size = ("o", 0.75 * diameter) if click.positive else ("x", 0.65 * diameter)
    halo = [withStroke(linewidth=1.6, foreground=BLACK), Normal()]
    look = {"markerfacecolor": "none", "markeredgecolor": YELLOW, "markeredgewidth": 0.7}
    return {"marker": marker, "markersize": size, "path_effects": halo, **look}


def _write_number(axes: Axes, text: str, place: tuple[float, float], look: _Look) -> None:
    from matplotlib.patheffects import withStroke

    axes.text(
        *place,
        text,
        transform=axes.transAxes,
        color=YELLOW if look is _ON_IMAGE else BLACK,
        fontsize=NUMBER_POINTS,
        ha="center",
        va="center_baseline",
        path_effects=[withStroke(linewidth=1.4, foreground=look.halo)],
        zorder=6,
    )


def _add_legend(figure: Figure, look: _Look) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import Normal, withStroke

    halo = [withStroke(linewidth=1.9, foreground=BLACK), Normal()] if look is _ON_IMAGE else []
    lines: dict[str, dict[str, Any]] = {
        "reference": {"color": look.reference, "linestyle": "-", "path_effects": halo},
        "prediction": {"color": look.prediction, "linestyle": _DASHES},
        "box": {"color": look.box, "linestyle": _DOTS},
    }
    handles = [Line2D([], [], linewidth=1.0, **line) for line in lines.values()]
    clicks = {"positive click": True, "negative click": False}
    for positive in clicks.values():
        click = ShownClick(0, positive, 0, 0, in_plane=True)
        handles.append(Line2D([], [], **_mark(click), linestyle="none"))
    labels = [*lines, *clicks]
    figure.legend(handles, labels, loc="lower center", ncols=3, borderaxespad=0.1)
