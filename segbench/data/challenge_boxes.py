"""Boxes as the challenge's ``.npz`` files have them: dictionaries with inclusive bounds.

In :class:`segbench.core.Box` the bounds are half-open.

Standard library and numpy only, syntax of Python 3.9: adapters use this in foreign environments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box

BOX_KEYS = (
    "z_min",
    "z_max",
    "z_mid",
    "z_mid_x_min",
    "z_mid_y_min",
    "z_mid_x_max",
    "z_mid_y_max",
)


def parse_box(label: int, raw: Any) -> Box:
    """Return the box of one entry of ``boxes``: a mapping, or a row in the order of ``BOX_KEYS``.

    Raises
    ------
    ValueError
        If a bound is missing, not an integer, or the box is empty or negative.
    """
    z0, z1, mid_slice, x0, y0, x1, y1 = _bounds(raw)
    low, high = (z0, y0, x0), (z1 + 1, y1 + 1, x1 + 1)
    if min(low) < 0 or any(a >= b for a, b in zip(low, high)):
        raise ValueError(
            f"expected bounds from 0 on, each min up to its max, found min {low} and max "
            f"{(z1, y1, x1)}"
        )
    return Box(label, low, high, mid_slice)


def _bounds(raw: Any) -> list[int]:
    if isinstance(raw, Mapping):
        missing = [key for key in BOX_KEYS if key not in raw]
        if missing:
            raise ValueError(f"expected {', '.join(BOX_KEYS)}, found no {', '.join(missing)}")
        raw = [raw[key] for key in BOX_KEYS]
    values = list(raw)
    if len(values) != len(BOX_KEYS) or not all(map(_is_whole, values)):
        raise ValueError(f"expected {len(BOX_KEYS)} integers, found {str(values)[:100]}")
    return [int(value) for value in values]


def _is_whole(value: Any) -> bool:
    if isinstance(value, (float, np.floating)):
        return float(value).is_integer()
    return isinstance(value, (int, np.integer))


def box_to_dict(box: Box) -> dict[str, int]:
    """Return the challenge's dictionary of a box, with inclusive bounds."""
    (z0, y0, x0), (z1, y1, x1) = box.low, box.high
    values = (z0, z1 - 1, box.mid_slice, x0, y0, x1 - 1, y1 - 1)
    return dict(zip(BOX_KEYS, (int(value) for value in values)))


def boxes_to_array(boxes: Sequence[Box]) -> NDArray[Any]:
    """Return boxes as the object array of the challenge's files."""
    array = np.empty(len(boxes), object)
    array[:] = [box_to_dict(box) for box in boxes]
    return array
