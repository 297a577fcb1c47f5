"""Clicks and boxes as markups of 3D Slicer (``.mrk.json``), in mm in LPS.

Format: the JSON schema ``markups-schema-v1.0.3`` of 3D Slicer, and its module Markups, which reads
and writes the orientation of a region row by row: its columns are the axes of the region.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from segbench.core import Box, Click
from segbench.report.volumes.colours import label_colour
from segbench.report.volumes.placement import Placement

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
    "Schema/markups-schema-v1.0.3.json#"
)
POSITIVE, NEGATIVE = (0.0, 0.8, 0.2), (0.9, 0.1, 0.1)  # colours, each from 0 to 1


def clicks_markup(
    clicks: Iterable[Click], placement: Placement, names: Mapping[int, str], *, step: int
) -> str:
    """Return the clicks of one step as a list of points.

    The name of a point is its label and ``+`` or ``-``; positive ones are selected, because only
    this gives them another colour.
    """
    names = _told_apart(names)
    points = [
        {
            "id": str(number),
            "label": f"{names[click.label]} {'+' if click.positive else '-'}",
            "description": f"step {step}, label {click.label}, "
            f"{'positive' if click.positive else 'negative'}",
            "position": placement.in_lps(click.voxel).tolist(),
            "selected": click.positive,
            "locked": True,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, click in enumerate(clicks, start=1)
    ]
    display = {"color": NEGATIVE, "selectedColor": POSITIVE, "pointLabelsVisibility": True}
    return _file([_markup("Fiducial", f"clicks of step {step}", points, display)])


def boxes_markup(boxes: Sequence[Box], placement: Placement, names: Mapping[int, str]) -> str:
    """Return boxes as regions of interest: each has the voxels of its box, whole."""
    names = _told_apart(names)
    return _file([_region(box, placement, names[box.label]) for box in boxes])


def _told_apart(names: Mapping[int, str]) -> dict[int, str]:
    """Return names with the value of the label behind those that several labels have."""
    counts = Counter(names.values())
    return {label: f"{name} {label}" if counts[name] > 1 else name for label, name in names.items()}


def _region(box: Box, placement: Placement, name: str) -> dict[str, Any]:
    axes, sizes = placement.axes_in_lps()
    # a voxel is half a voxel around its index
    centre = [(a + b - 1) / 2 for a, b in zip(box.low, box.high, strict=True)]
    sides = [b - a for a, b in zip(box.low, box.high, strict=True)][::-1]
    position = placement.in_lps(centre).tolist()
    point = {"id": "1", "label": f"box {name}", "position": position, "positionStatus": "defined"}
    colour = [round(value / 255, 4) for value in label_colour(box.label)]
    display = {
        "color": colour,
        "selectedColor": colour,
        "opacity": 0.3,
        "pointLabelsVisibility": False,
    }
    return _markup("ROI", f"box {name}", [point], display) | {
        "roiType": "Box",
        "center": position,
        "orientation": axes.ravel().tolist(),
        "size": (np.array(sides) * sizes).tolist(),
    }


def _markup(
    kind: str, name: str, points: list[dict[str, Any]], display: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "labelFormat": "%N-%d",
        "controlPoints": points,
        "display": {"visibility": True, **display},
    }


def _file(markups: list[dict[str, Any]]) -> str:
    content = {"@schema": SCHEMA, "markups": markups}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
