"""One thing that a check has found, and what is kept of a checked case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segbench.core import Spacing
from segbench.data.check.codes import CODES, LEVELS, Level

SECONDS_PER_CASE, SECONDS_PER_MILLION_VOXELS = 0.13, 0.035  # of a run without its model


@dataclass(frozen=True)
class Finding:
    """One thing that may be wrong.

    Attributes
    ----------
    code : str
        A key of `segbench.data.check.codes.CODES`.
    case : str
        The case, or the group of cases, such as ``CT AMOS``.
    what : str
        The thing, what was expected and what was found.
    numbers : mapping
        The values in it, for programs.
    """

    code: str
    case: str
    what: str
    numbers: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def level(self) -> Level:
        """error: run refuses it; warning: numbers would mislead; note: worth knowing."""
        return CODES[self.code].level

    @property
    def message(self) -> str:
        """The whole message: case, thing, expectation, finding, and what to do."""
        return f"{self.case}: {self.what}; {CODES[self.code].cure}"

    @property
    def order(self) -> tuple[int, int, str]:
        """Sorts findings: by level, then by code as in the table, then by case."""
        return LEVELS.index(self.level), list(CODES).index(self.code), self.case


@dataclass(frozen=True)
class AxisEvidence:
    """Whether shape and smoothness agree that an axis is the one with the odd spacing.

    Attributes
    ----------
    odd_axis : int
        0 or 2: its spacing differs from the two others, which are equal.
    size : float
        Logarithm: how much more alike the sides of the two other axes are than they would be if
        the spacing were reversed; negative if the reversed one fits better.
    reversed_size : float
        Logarithm of the ratio of the two sides in plane if the spacing were reversed.
    smoothness : float
        Logarithm: above 0 if the image changes between neighbours as its spacing says.
    """

    odd_axis: int
    size: float
    reversed_size: float
    smoothness: float


@dataclass(frozen=True)
class CaseFacts:
    """What is kept of a case that was read, to compare it with others."""

    name: str
    modality: str
    dataset: str
    patient: str
    shape: tuple[int, ...] = ()
    spacing: Spacing | None = None
    labels: tuple[int, ...] = ()
    n_boxes: int = 0
    image_sha256: str = ""
    reference_sha256: str = ""
    axes: AxisEvidence | None = None
    memory_mb: float = 0.0  # arrays of one job of a run

    @property
    def group(self) -> str:
        """The modality and dataset, whose cases are compared with each other."""
        return f"{self.modality} {self.dataset}".strip()

    @property
    def run_seconds(self) -> float:
        """Processor seconds that a run is expected to need for the case, without its model."""
        n_voxels = math.prod(self.shape) if self.shape else 0
        return SECONDS_PER_CASE + SECONDS_PER_MILLION_VOXELS * n_voxels / 1e6


@dataclass(frozen=True)
class CheckedCase:
    """The findings on one case, and its facts."""

    facts: CaseFacts
    findings: tuple[Finding, ...]
