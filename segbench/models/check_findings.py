"""What `segbench models check` says about one rule, and the words for what it compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segbench.core import Case, LabelMap, StepOutput

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What was found about one rule, in one line."""

    status: Status
    rule: str
    text: str  # of a step that raised an exception with its traceback in further lines

    @property
    def is_failure(self) -> bool:
        """Whether the rule is broken."""
        return self.status == "failed"

    @property
    def line(self) -> str:
        """The finding as a terminal shows it."""
        return f"{self.status:8} {self.rule:23} " + self.text.replace("\n", "\n    ")


def difference_of(one: StepOutput, other: StepOutput, *, exact: bool) -> str | None:
    """Return how two answers to one question differ; without ``exact`` both must only be valid."""
    for answer in (one, other):
        if answer.failure is not None:
            return first_line(answer.failure)
    voxels = int((label_map_of(one) != label_map_of(other)).sum())
    return f"{voxels} of {label_map_of(one).size} voxels differ" if exact and voxels else None


def foreign_labels(maps: Sequence[LabelMap], case: Case) -> str | None:
    """Return in words which labels there are that a case does not have."""
    foreign = [label for label in labels_in(maps) if label not in (0, *case.labels)]
    if not foreign:
        return None
    advice = "use the labels of boxes and clicks: other voxels count as wrong"
    return f"expected 0, {listed(case.labels)}, found {listed(foreign)}; {advice}"


def labels_in(maps: Sequence[LabelMap]) -> list[int]:
    """Return all labels of some label maps, ascending."""
    return sorted({int(label) for label_map in maps for label in np.unique(label_map)})


def listed(labels: Sequence[int]) -> str:
    """Return labels in words, the first ten."""
    shown = ", ".join(map(str, labels[:10]))
    return shown if len(labels) <= 10 else f"{shown} and {len(labels) - 10} more"


def label_map_of(answer: StepOutput) -> LabelMap:
    """Return the label map of an answer that is valid."""
    assert answer.segmentation is not None
    return answer.segmentation


def described(case: Case) -> str:
    """Return dtype and shape of a case's image in words."""
    return f"an image of {case.image.voxels.dtype}, shape {case.image.voxels.shape}"


def first_line(text: str) -> str:
    """Return a text without its traceback."""
    return text.partition("\n")[0]
