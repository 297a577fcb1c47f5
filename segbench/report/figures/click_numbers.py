"""Where the numbers of clicks are written: next to their click, on no other mark or number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import cos, radians, sin

MARK_POINTS = 2.6  # radius of a click's mark
_ANGLES = (45, -45, 135, -135, 0, 180, 90, -90, 20, 70, 110, 160, -20, -70, -110, -160)
_DISTANCES = (7.5, 11.0, 15.0, 20.0, 26.0, 34.0)
_TEXT_POINTS = (4.2, 6.5)  # of one character: width, height

Area = tuple[float, float, float, float]  # left, right, low, high in points


@dataclass(frozen=True)
class Number:
    """A text for the clicks at one point of a panel; positions in points from its corner."""

    text: str
    x: float
    y: float
    click_x: float
    click_y: float


def group_numbers(numbers: Sequence[int]) -> str:
    """Return numbers as a short text: ``1``, ``2,4``, ``1–5``."""
    first, last = min(numbers), max(numbers)
    if last - first + 1 == len(numbers) and len(numbers) > 2:
        return f"{first}–{last}"
    return ",".join(map(str, sorted(numbers)))


def place_numbers(
    clicks: Sequence[tuple[int, float, float]], width: float, height: float
) -> list[Number]:
    """Return the texts of clicks and where they are written.

    Clicks whose marks overlap are one point with one text.

    Parameters
    ----------
    clicks : number, x and y of each, in points from the lower left corner of the panel
    width, height : of the panel, in points
    """
    points = _joined(clicks)
    taken = [_mark_area(x, y) for _, x, y in points]
    placed = []
    for numbers, x, y in points:
        text = group_numbers(numbers)
        options = [
            (at_x, at_y)
            for at_x, at_y in _candidates(x, y)
            if _inside(_text_area(text, at_x, at_y), width, height)
        ]
        best = min(options, key=lambda at: _overlap(_text_area(text, *at), taken), default=(x, y))
        taken.append(_text_area(text, *best))
        placed.append(Number(text, *best, x, y))
    return placed


def _joined(
    clicks: Sequence[tuple[int, float, float]],
) -> list[tuple[list[int], float, float]]:
    points: list[tuple[list[int], float, float]] = []
    for number, x, y in clicks:
        for numbers, other_x, other_y in points:
            if max(abs(x - other_x), abs(y - other_y)) < 2 * MARK_POINTS:
                numbers.append(number)
                break
        else:
            points.append(([number], x, y))
    return points


def _candidates(x: float, y: float) -> Iterator[tuple[float, float]]:
    for distance, angle in product(_DISTANCES, _ANGLES):
        yield x + distance * cos(radians(angle)), y + distance * sin(radians(angle))


def _text_area(text: str, x: float, y: float) -> Area:
    width, height = _TEXT_POINTS[0] * len(text) / 2, _TEXT_POINTS[1] / 2
    return x - width, x + width, y - height, y + height


def _mark_area(x: float, y: float) -> Area:
    return x - MARK_POINTS, x + MARK_POINTS, y - MARK_POINTS, y + MARK_POINTS


def _inside(area: Area, width: float, height: float) -> bool:
    return area[0] > 0.5 and area[1] < width - 0.5 and area[2] > 0.5 and area[3] < height - 0.5


def _overlap(area: Area, others: Sequence[Area]) -> float:
    """Return the common area with others; 0 if there is none."""
    return sum(
        max(0.0, min(area[1], other[1]) - max(area[0], other[0]))
        * max(0.0, min(area[3], other[3]) - max(area[2], other[2]))
        for other in others
    )
