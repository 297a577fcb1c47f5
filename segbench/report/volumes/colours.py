"""Colours and names of labels, as files of 3D Slicer and ITK-SNAP.

Formats: the page "Colors" of 3D Slicer's developer guide (``.ctbl``), and the label description
file that ITK-SNAP writes.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping

from segbench.core import Case
from segbench.report.volumes.masks import ERROR_NAMES, MISSED, OTHER_LABEL, TOO_MUCH
from segbench.report.volumes.numbers import Numbers

Colour = tuple[int, int, int]  # 0 to 255
GOLDEN_RATIO = 0.618033988749895  # steps of this share of the circle keep hues apart
ERROR_COLOURS: dict[int, Colour] = {
    MISSED: (0, 114, 178),
    TOO_MUCH: (213, 94, 0),
    OTHER_LABEL: (240, 228, 66),
}
ITK_SNAP_HEADER = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields:
#    IDX:   Zero-based index
#    -R-:   Red color component (0..255)
#    -G-:   Green color component (0..255)
#    -B-:   Blue color component (0..255)
#    -A-:   Label transparency (0.00 .. 1.00)
#    VIS:   Label visibility (0 or 1)
#    IDX:   Label mesh visibility (0 or 1)
#  LABEL:   Label description
################################################
    0     0    0    0        0  0  0    "Clear Label"
"""


def label_colour(label: int) -> Colour:
    """Return the colour of a label, the same in every case."""
    hue = (label - 1) * GOLDEN_RATIO % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85 if label % 2 else 0.6, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def label_names(case: Case, numbers: Numbers) -> dict[int, str]:
    """Return a name for each number in written files: the recorded one, else the number.

    A label without a name of its own is recorded by its value in the source.
    """
    recorded = case.grid.facts.get("labels") if case.grid else None
    entries = recorded if isinstance(recorded, list) else []
    names = {
        entry.get("label"): str(entry["name"])
        for entry in entries
        if isinstance(entry, Mapping) and entry.get("name")
    }
    return {
        number: f"label {number}" if names.get(label, "0").isdigit() else names[label]
        for label, number in numbers.items()
    }


def slicer_colour_table(names: Mapping[int, str]) -> str:
    """Return labels as a colour table of 3D Slicer."""
    colours = {label: label_colour(label) for label in names}
    return _colour_table(names, colours)


def slicer_error_table() -> str:
    """Return the colours of error maps as a colour table of 3D Slicer."""
    return _colour_table(ERROR_NAMES, ERROR_COLOURS)


def itk_snap_labels(names: Mapping[int, str]) -> str:
    """Return labels as a label description file of ITK-SNAP."""
    lines = []
    for label, name in sorted(names.items()):
        red, green, blue = label_colour(label)
        text = name.replace('"', "'")
        lines.append(f'{label:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "{text}"\n')
    return ITK_SNAP_HEADER + "".join(lines)


def _colour_table(names: Mapping[int, str], colours: Mapping[int, Colour]) -> str:
    lines = ["# Color table file segbench", f"# {len(names) + 1} values", "0 background 0 0 0 0"]
    for label, name in sorted(names.items()):
        word = "_".join(name.split())  # a name ends at the first space
        lines.append(" ".join(map(str, (label, word, *colours[label], 255))))
    return "\n".join(lines) + "\n"
