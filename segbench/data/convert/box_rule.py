"""The boxes of a case: one for each label, or none at all, as its format has it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segbench.core import Box, LabelMap, Mask
from segbench.data.convert.components import scattered
from segbench.data.convert.labels import CaseLabel
from segbench.protocol.boxes import draw_box

Kind = Literal["challenge", "exact", "none"]


@dataclass(frozen=True)
class BoxRule:
    """How boxes are drawn.

    Attributes
    ----------
    kind : str
        ``challenge``: exact in z, sides of the middle slice widened at random. ``exact``: the
        smallest box around all voxels. ``none``: no boxes.
    without : collection of str
        Labels that no box can stand for, such as vessels: by name, or by a value of the source.
    seed : int
        Of the widening; together with the names of case and label it gives the same boxes again.
    """

    kind: Kind = "challenge"
    without: Collection[str] = ()
    seed: int = 0


@dataclass(frozen=True)
class DrawnBoxes:
    """The boxes of a case, why there are none, and whether that was a guess."""

    boxes: tuple[Box, ...]
    reason: str = ""
    guessed: tuple[str, ...] = ()


def draw_boxes(
    label_map: LabelMap, labels: Sequence[CaseLabel], rule: BoxRule, name: str
) -> DrawnBoxes:
    """Draw the boxes of a case.

    A label without a box takes away those of the others: the challenge's format has a box for
    every label, or none.
    """
    if rule.kind == "none":
        return DrawnBoxes((), "no boxes were asked for")
    for label in labels:
        if any(is_called(label, word, labels) for word in rule.without):
            return DrawnBoxes((), f"--no-box names {label.name}, so no label has a box")
    boxes = []
    for label in labels:
        mask = label_map == label.label
        reason = scattered(mask)
        if reason:
            return _scattered(label.name, reason)
        boxes.append(_box(mask, label.label, rule, name))
    return DrawnBoxes(tuple(boxes))


def is_called(label: CaseLabel, word: str, labels: Sequence[CaseLabel]) -> bool:
    """Whether a word names a label, or is one of its values in the source.

    A number that is the name of a label stands for this one. The number that a label has in the
    case is not meant: it differs from case to case.
    """
    if any(word in (each.name, each.parent) for each in labels):
        return word in (label.name, label.parent)
    return word in map(str, label.values)


def _scattered(name: str, reason: str) -> DrawnBoxes:
    guess = f"{name} is scattered, so no label of the case has a box; --labels chooses others"
    # without numbers: cases of one text are shown together
    return DrawnBoxes((), f"{name} is scattered: {reason}; so no label has a box", (guess,))


def _box(mask: Mask, label: int, rule: BoxRule, name: str) -> Box:
    if rule.kind == "exact":
        return exact_box(mask, label)
    return draw_box(mask, label, np.random.default_rng([rule.seed, _number(name), label]))


def exact_box(mask: Mask, label: int) -> Box:
    """Return the smallest box around an object, with its middle occupied slice."""
    occupied = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    z0, y0, x0 = (int(at[0]) for at in occupied)
    z1, y1, x1 = (int(at[-1]) + 1 for at in occupied)
    middle = int(occupied[0][len(occupied[0]) // 2])
    return Box(label, (z0, y0, x0), (z1, y1, x1), middle)


def _number(name: str) -> int:
    """Return a number of a name that is the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8])
