"""Boxes against their labels, by the challenge's rule (PROTOCOL 2.3).

In z a box is exact. In plane it has the sides of the label on its middle slice, widened by 0 to 5
pixels of 256 and clamped to the volume.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from segbench.core import Box, LabelMap
from segbench.data.check.finding import Finding
from segbench.data.check.labels import SHOWN, LabelFacts
from segbench.protocol.boxes import widest_slack

FITS = 0.5  # intersection over union of a box with its label's own
BETTER = 0.2  # of the mean intersection over union, if boxes change their labels


@dataclass(frozen=True)
class _BoxCheck:
    """A box, the label that it belongs to, and what is wrong with it."""

    box: Box
    facts: LabelFacts
    reference: LabelMap

    def fault(self) -> tuple[str, str] | None:
        """Return the code and the description of what is wrong first; None if nothing is."""
        box, label, shape = self.box, self.facts.box, self.reference.shape
        if _fits_reversed(box, label, shape):
            return "box-axes", f"{_text(box)}, its label {_text(label)}"
        if _is_outside(box, shape):
            return "box-outside", f"{_text(box)} in {shape}"
        inside = self.reference[tuple(map(slice, box.low, box.high))]
        if not (inside == self.facts.label).any():
            return "box-misses", f"{_text(box)}, its label {_text(label)}"
        if (box.low[0], box.high[0]) != (label.low[0], label.high[0]):
            return "box-z", f"z {_range(box, 0)}, its label {_range(label, 0)}"
        if box.mid_slice != label.mid_slice:
            return "box-mid-slice", f"{box.mid_slice}, the middle one is {label.mid_slice}"
        return self._fault_in_plane()

    def _fault_in_plane(self) -> tuple[str, str] | None:
        box, label = self.box, self.facts.box
        for axis in (1, 2):
            below, above = label.low[axis] - box.low[axis], box.high[axis] - label.high[axis]
            found = f"{'zyx'[axis]} {_range(box, axis)}, its label {_range(label, axis)}"
            if min(below, above) < 0:
                return "box-cuts", found
            if max(below, above) > widest_slack(self.reference.shape[axis]):
                is_whole = all(
                    box.low[a] == side.start and box.high[a] == side.stop
                    for a, side in enumerate(self.facts.roi)
                )
                whole = ", its extent on all slices" if is_whole else ""
                return "box-too-wide", found + whole
        return None


EXPECTED = {
    "box-outside": "inside the volume",
    "box-misses": "around its label",
    "box-axes": "in (z, y, x)",
    "box-z": "exact in z",
    "box-mid-slice": "drawn on the middle slice",
    "box-cuts": "around its label on the middle slice",
    "box-too-wide": "at most 5 pixels of 256 wider on each side",
}


def box_findings(
    case: str, boxes: Sequence[Box], labels: Mapping[int, LabelFacts], reference: LabelMap
) -> Iterator[Finding]:
    """Yield what is wrong with the boxes of a case, each kind once."""
    if not boxes:
        return
    inside = [_clipped(box, reference.shape) for box in boxes]
    owners = better_order(inside, [labels[box.label].box for box in boxes])
    if owners is not None:
        fitted = {box.label: boxes[j].label for box, j in zip(boxes, owners, strict=True)}
        moved = {label: other for label, other in fitted.items() if label != other}
        found = [f"box {label} fits label {other}" for label, other in moved.items()]
        what = f"boxes: expected the order of the labels, found {_some(found)}"
        yield Finding("box-order", case, what, {"fits": moved})
    faults: dict[str, dict[int, str]] = {}
    for number, box in enumerate(boxes):
        owner = boxes[owners[number] if owners is not None else number].label
        fault = _BoxCheck(box, labels[owner], reference).fault()
        if fault is not None:
            faults.setdefault(fault[0], {})[box.label] = fault[1]
    for code, by_label in faults.items():
        found = [f"box {label}: {text}" for label, text in by_label.items()]
        what = f"boxes: expected each {EXPECTED[code]}, found {_some(found)}"
        yield Finding(code, case, what, {"labels": list(by_label)})


def better_order(boxes: Sequence[Box], own: Sequence[Box]) -> NDArray[np.intp] | None:
    """Return which label each box fits, if that is another order and clearly better."""
    fit = overlaps(boxes, own)
    _, owners = linear_sum_assignment(fit, maximize=True)
    rows = np.arange(len(boxes))
    moved = owners != rows
    if not moved.any():
        return None
    now, then = fit[rows, rows][moved], fit[rows, owners][moved]
    is_clear = then.mean() >= max(FITS, now.mean() + BETTER)
    return owners.astype(np.intp) if is_clear else None


def overlaps(boxes: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    """Return the intersection over union of each box with each other one."""
    low, high = (np.array([getattr(b, end) for b in boxes])[:, None] for end in ("low", "high"))
    low_2, high_2 = (np.array([getattr(b, end) for b in others])[None] for end in ("low", "high"))
    common = np.clip(np.minimum(high, high_2) - np.maximum(low, low_2), 0, None).prod(axis=-1)
    total = (high - low).prod(axis=-1) + (high_2 - low_2).prod(axis=-1)
    ratio: NDArray[np.float64] = common / (total - common)
    return ratio


def overlap(box: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    return float(overlaps([box], [other])[0, 0])


def reversed_box(box: Box) -> Box:
    """Return a box with its axes in the opposite order."""
    (a, b, c), (d, e, f) = box.low, box.high
    return Box(box.label, (c, b, a), (f, e, d), box.mid_slice)


def _clipped(box: Box, shape: tuple[int, ...]) -> Box:
    """Return the part of a box in the volume; it may be empty."""
    (z0, y0, x0), (z1, y1, x1) = (map(min, corner, shape) for corner in (box.low, box.high))
    return replace(box, low=(z0, y0, x0), high=(z1, y1, x1))


def _fits_reversed(box: Box, label: Box, shape: tuple[int, ...]) -> bool:
    turned = _clipped(reversed_box(box), shape)
    return overlap(_clipped(box, shape), label) < FITS / 2 and overlap(turned, label) >= FITS


def _is_outside(box: Box, shape: tuple[int, ...]) -> bool:
    beyond: Any = [high > n for high, n in zip(box.high, shape, strict=True)]
    return any(beyond) or not 0 <= box.mid_slice < shape[0]


def _range(box: Box, axis: int) -> str:
    return f"{box.low[axis]}..{box.high[axis] - 1}"


def _text(box: Box) -> str:
    return " x ".join(_range(box, axis) for axis in range(3))


def _some(found: Sequence[str]) -> str:
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more
