"""The values of options as they are written: words and numbers of users."""

from __future__ import annotations

import math

from segbench.data.convert.intensity import WINDOWS
from segbench.data.convert.scan import stated_modality
from segbench.errors import CaseError
from segbench.messages import and_hint

Window = tuple[float, float]  # width and level
EXPECTED_AXES = "one of L R, one of P A and one of I S, such as LPS"
EXPECTED_MODALITY = "a modality without _, because it begins the names of cases"
EXPECTED_WINDOW = f"one of {', '.join(WINDOWS)}, or WIDTH,LEVEL such as 400,40"


def parse_window(given: str) -> Window | None:
    """Return width and level of a window's name, or of two numbers; None if it is neither."""
    if given in WINDOWS:
        return WINDOWS[given]
    try:
        width, level = (float(number) for number in given.split(","))
    except ValueError:
        return None
    return (width, level) if 0 < width < math.inf and math.isfinite(level) else None


def window_of(given: str | Window | None) -> Window | None:
    """Return width and level; refuse what is no window."""
    if given is None:
        return None
    text = given if isinstance(given, str) else ",".join(map(str, given))
    window = parse_window(text)
    if window is None:
        hint = and_hint(text, WINDOWS)
        raise CaseError(f"window: expected {EXPECTED_WINDOW}, found {given!r}{hint}")
    return window


def is_axes(axes: str) -> bool:
    """Whether a word is three letters, one of each axis of the body."""
    return sorted(axes.translate(str.maketrans("RAS", "LPI"))) == ["I", "L", "P"]


def axes_of(given: str | None) -> str:
    """Return the letters of three axes, empty for none; refuse others."""
    axes = (given or "").upper()
    if axes and not is_axes(axes):
        raise CaseError(f"axes: expected {EXPECTED_AXES}, found {given!r}")
    return axes


def modality_to_state(given: str | None) -> str:
    """Return a modality in the words of the challenge; others are taken as they are."""
    modality = stated_modality(given) if given else ""
    if "_" in modality:
        raise CaseError(f"modality: expected {EXPECTED_MODALITY}, found {given!r}")
    return modality
