"""What holds for every figure: no text is small, cut, or on another text."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

SMALLEST_POINTS = 6.0


def texts_of(figure):
    """Return the visible texts of a figure that has been laid out, with their areas in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    hidden = set(map(id, _labels_outside(figure)))
    return [
        (text, text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden
    ]


def _labels_outside(figure):
    """Yield the labels that are not drawn: of ticks outside the limits, and of hidden panels."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                inside = low - 1e-9 <= tick.get_loc() <= high + 1e-9
                if not inside or not axes.get_visible():
                    yield from (tick.label1, tick.label2)
        if not axes.get_visible():
            yield from axes.findobj(Text)


def problems(figure):
    """Return a line for every text that is too small, cut at the edge, or on another one."""
    texts, found = texts_of(figure), []
    width, height = figure.bbox.size
    for text, area in texts:
        name = repr(text.get_text())
        if text.get_fontsize() < SMALLEST_POINTS:
            found.append(f"{name} is {text.get_fontsize():.1f} pt")
        if min(area.x0, area.y0) < -0.5 or area.x1 > width + 0.5 or area.y1 > height + 0.5:
            found.append(f"{name} is cut: {area} in {width:.0f} x {height:.0f}")
    for (one, a), (other, b) in combinations(texts, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        if across > 0.5 and down > 0.5:
            found.append(f"{one.get_text()!r} is on {other.get_text()!r}")
    return found
