"""One style for all figures: 8 cm wide, 6 pt or more, readable in colour, in grey and in print.

Colours are those of Okabe and Ito, which differ for readers who are colour-blind. No colour stands
alone: methods differ in marker and dashes, too. matplotlib is used without pyplot, so that nothing
outside a figure changes, and whatever the user has set as defaults is ignored.

References
----------
Okabe and Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

WIDTH_CM = 8.0  # one column of a paper
CM = 1 / 2.54  # in inches
POINTS = 72 / 2.54  # in one cm
SMALL, NORMAL = 6.5, 7.0  # pt, of the text at this width
LEGEND_ROW_CM = 0.33
_HANDLE_POINTS = 31  # of a legend's entry, apart from its text

BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT_GREY = "#767676", "#D9D9D9"
# without yellow, which white paper hides; neighbours differ in grey, too
COLOURS = (BLUE, ORANGE, BLACK, PURPLE, VERMILLION, SKY_BLUE, GREEN)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)), (0, (2, 1)))

STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: equal everywhere
    "font.size": NORMAL,
    "axes.titlesize": SMALL,
    "axes.titlepad": 3.0,
    "axes.titlelocation": "left",
    "axes.labelsize": SMALL,
    "axes.labelpad": 2.0,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.0,
    "legend.handletextpad": 0.5,
    "legend.labelspacing": 0.35,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.0,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": "#E5E5E5",
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.constrained_layout.hspace": 0.02,
    "figure.constrained_layout.wspace": 0.02,
    "savefig.dpi": 300,
    "figure.dpi": 300,  # laid out as it is saved: text of few pixels is larger
    "svg.hashsalt": "segbench",
    "svg.fonttype": "path",  # a reader without the font sees the same
    "pdf.fonttype": 42,  # journals refuse Type 3 fonts
}
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": "segbench"},
    "pdf": {"CreationDate": None, "Creator": "segbench", "Producer": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class MethodStyle:
    """How a method looks in every figure of a report."""

    label: str
    colour: str
    marker: str
    dashes: Any


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of the reports; as ``@styled()`` it decorates a function that draws."""
    import matplotlib
    from matplotlib import style

    with matplotlib.rc_context():
        style.use(["default", STYLE])
        yield


def method_styles(labels: Mapping[str, str]) -> dict[str, MethodStyle]:
    """Return a style for each method, in their order; ``labels`` are the names that are shown."""
    short = fitted_all(labels.values(), (WIDTH_CM - 0.6) * POINTS - _HANDLE_POINTS)
    return {
        method: MethodStyle(
            label,
            COLOURS[i % len(COLOURS)],
            MARKERS[i % len(MARKERS)],
            DASHES[i % len(DASHES)],
        )
        for i, (method, label) in enumerate(zip(labels, short, strict=True))
    }


def new_figure(height_cm: float, width_cm: float = WIDTH_CM) -> Figure:
    """Return an empty figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_cm * CM, height_cm * CM), layout="constrained")


def panels(figure: Figure, rows: int, columns: int, **options: Any) -> list[list[Axes]]:
    """Return a grid of panels, also if it has one row or column only."""
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    return [list(row) for row in grid]


def add_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Add a legend below all panels, in as many columns as fit."""
    columns = legend_columns(labels)
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def legend_height_cm(labels: Sequence[str]) -> float:
    """Return the height of such a legend."""
    rows = -(-len(labels) // legend_columns(labels))
    return rows * LEGEND_ROW_CM + 0.15


def legend_columns(labels: Sequence[str]) -> int:
    """Return in how many columns the entries of a legend fit."""
    widths = [text_points(label) + _HANDLE_POINTS for label in labels]
    for columns in range(len(labels), 1, -1):
        parts = np.array_split(widths, columns)  # as matplotlib does it
        if sum(part.max() for part in parts) <= (WIDTH_CM - 0.3) * POINTS:
            return columns
    return 1


def method_handles(styles: Iterable[MethodStyle]) -> list[Line2D]:
    """Return the entries of methods in a legend."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=style.colour, marker=style.marker, linestyle=style.dashes)
        for style in styles
    ]


def fitted_all(texts: Iterable[str], points: float, size: float = SMALL) -> list[str]:
    """Return texts that fit into a width; texts that would look equal get a number."""
    texts = list(texts)
    short = [fitted(text, points, size) for text in texts]
    return [
        fitted(text, points - text_points(f" {i}", size), size) + f" {i}"
        if short.count(short[i - 1]) > 1
        else short[i - 1]
        for i, text in enumerate(texts, start=1)
    ]


def fitted(text: str, points: float, size: float = SMALL) -> str:
    """Return a text that fits into a width, its middle left out if need be."""
    text = printable(text)
    kept = len(text)
    short = text
    while text_points(short, size) > points and kept > 2:
        kept -= 1
        short = f"{text[: kept - kept // 2]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - kept // 2 :]}"
    return short


def text_points(text: str, size: float = SMALL) -> float:
    """Return the width of a text in points."""
    return _em_width(text) * size


@lru_cache(maxsize=4096)
def _em_width(text: str) -> float:
    font = _font()
    font.set_size(100, 72)
    font.set_text(text)
    return float(font.get_width_height()[0]) / 64 / 100


def printable(text: str) -> str:
    """Return a text in one line whose characters the font has; others as [U+6A21].

    A dollar sign would start a formula.
    """
    has = _font().get_charmap()
    line = " ".join(text.split())
    return "".join(c if ord(c) in has else f"[U+{ord(c):04X}]" for c in line).replace("$", r"\$")


@lru_cache(maxsize=1)
def _font() -> Any:
    import matplotlib
    from matplotlib.ft2font import FT2Font

    return FT2Font(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf")


@styled()
def file_contents(figure: Figure, formats: Sequence[str]) -> dict[str, bytes]:
    """Return a figure as files by format: equal figures give equal bytes, no date, no version."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out again, it would differ in the last digits
    return {format: _file_content(figure, format) for format in formats}


def _file_content(figure: Figure, format: str) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=format, metadata=_METADATA[format])
    return stream.getvalue()
