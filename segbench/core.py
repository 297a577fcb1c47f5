"""The nouns of the benchmark, and the arithmetic that all packages share.

Conventions, everywhere in segbench
-----------------------------------
* Arrays are indexed ``(z, y, x)``; so are voxel coordinates, boxes and spacings.
* Spacing is in millimetres.
* A label map holds unsigned integers, 0 is background; a mask is ``bool``; an image keeps the
  dtype of its file.
* Step 0 is the boxes, steps 1 to 5 are the clicks. A case without boxes has no step 0.

This module imports only the standard library and numpy and keeps to the syntax of Python 3.9:
adapters import it inside foreign environments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

LabelMap = NDArray[np.unsignedinteger[Any]]
Mask = NDArray[np.bool_]
Voxel = tuple[int, int, int]
Roi = tuple[slice, ...]  # region of interest: one slice per axis
Spacing = tuple[float, float, float]

MAX_LABEL = 65535  # the largest value a label map may hold


@dataclass(frozen=True)
class Image:
    """What a model may see of a case before the first prompt."""

    voxels: NDArray[Any]  # (z, y, x), as stored
    spacing: Spacing  # mm, (z, y, x)

    def __repr__(self) -> str:
        """Return shape, dtype and spacing, not the voxels."""
        return f"Image({self.voxels.dtype} {self.voxels.shape}, spacing={self.spacing})"


@dataclass(frozen=True)
class Box:
    """An axis-aligned box, half-open like slices: ``low <= voxel < high``."""

    label: int
    low: Voxel
    high: Voxel
    mid_slice: int  # along z; the challenge draws the in-plane sides of the box on this slice


@dataclass(frozen=True)
class Click:
    """One voxel that does (positive) or does not (negative) belong to ``label``."""

    label: int
    voxel: Voxel
    positive: bool


Prompt = Union[Box, Click]


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt as JSON has it, with its kind: ``box`` or ``click``."""
    return {"kind": "box" if isinstance(prompt, Box) else "click", **asdict(prompt)}


def prompt_from_json(raw: Mapping[str, Any]) -> Prompt:
    """Return the prompt of a JSON object.

    Raises
    ------
    ValueError
        If its kind is neither ``box`` nor ``click``.
    """
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()
    }
    kind = fields.pop("kind", None)
    if kind not in ("box", "click"):
        raise ValueError(f"expected a prompt of kind 'box' or 'click', found {kind!r}")
    return Box(**fields) if kind == "box" else Click(**fields)


@dataclass(frozen=True)
class Grid:
    """The voxel grid of the file that a case was converted from, without its path."""

    affine: tuple[tuple[float, ...], ...]  # 4 x 4, voxel of the source to mm in RAS
    axes: str  # orientation of the source's axes, such as "LPS"
    shape: tuple[int, int, int]
    source_sha256: str
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)  # how values were changed


@dataclass(frozen=True)
class Case:
    """An image, its reference and the boxes of step 0 (no boxes: no step 0)."""

    name: str
    image: Image
    reference: LabelMap
    boxes: tuple[Box, ...]
    labels: tuple[int, ...]  # foreground labels of the reference, ascending
    modality: str = ""
    patient: str = ""
    dataset: str = ""
    grid: Grid | None = None  # only of a converted case

    def __repr__(self) -> str:
        """Return the case in one line, without its arrays."""
        boxes = f"{len(self.boxes)} box{'es' * (len(self.boxes) > 1)}" if self.boxes else "no boxes"
        return f"Case({self.name!r}, {self.image!r}, labels={self.labels}, {boxes})"


@dataclass(frozen=True)
class Interactions:
    """All prompts so far, and the last label map (zeros before the first prediction).

    ``rounds[0]`` holds the boxes and may be empty; ``rounds[s]`` holds the clicks of step ``s``,
    at most one per label, in ascending label order; a label without an error has none.
    """

    rounds: tuple[tuple[Prompt, ...], ...]
    previous_segmentation: LabelMap

    @property
    def step(self) -> int:
        """The current step: 0 for the boxes, then the number of click rounds."""
        return len(self.rounds) - 1

    @property
    def new(self) -> tuple[Prompt, ...]:
        """The prompts of the current step."""
        return self.rounds[-1]

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes, in ascending label order."""
        return tuple(prompt for prompt in self.rounds[0] if isinstance(prompt, Box))

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All clicks, oldest first."""
        prompts = (prompt for prompts in self.rounds[1:] for prompt in prompts)
        return tuple(prompt for prompt in prompts if isinstance(prompt, Click))


@dataclass(frozen=True)
class StepOutput:
    """What a model returned in one step: a label map, or the reason why there is none."""

    segmentation: LabelMap | None
    seconds: float  # measured in the worker; the first step of a case includes set_image
    failure: str | None = None
    peak_mb: float | None = None  # highest resident memory of the worker so far


@dataclass(frozen=True)
class StepScore:
    """How good one label was after one step; NSD is 0 unless the step's mean DSC is above 0.2."""

    step: int
    label: int
    dsc: float
    nsd: float


@dataclass(frozen=True)
class AdapterInfo:
    """Name, version and properties of an adapter; part of a run's identity."""

    name: str
    """Its name."""
    version: str = "0"
    """Its version; raise it when predictions may differ."""
    licence: str = "not stated"
    """The licence of model and weights."""
    weights_sha256: str | None = None
    """sha256 of its weights; null if it has none or does not state it."""
    prompts: tuple[str, ...] = ("box", "click")
    """The kinds of prompt that it uses."""
    deterministic: bool = True
    """Whether equal inputs give equal predictions."""
    sees_reference: bool = False
    """Whether it sees the reference; such a run is shown but never ranked."""
    note: str = ""
    """Anything else that a reader should know."""


@dataclass(frozen=True)
class Settings:
    """The evaluation protocol: everything that moves a number, with a name and a version."""

    protocol: str = "segfm3d-2025"
    """The protocol's name."""
    version: int = 1
    """The protocol's version."""
    n_clicks: int = 5
    """Rounds of clicks."""
    nsd_tolerance_mm: float = 2.0
    """Tolerance of NSD, in mm."""
    seed: int = 42
    """Seed of the choice between equally deep voxels, set again for every click."""
    nsd_gate: float = 0.2
    """NSD counts only when the step's mean DSC is above this."""
    seconds_per_label: float = 90.0
    """The protocol's time limit; raw scores do not depend on it."""

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of the settings as canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def mean_scores(scores: Sequence[StepScore]) -> tuple[float, float]:
    """Return the mean DSC and NSD over labels, as numpy sums them (PROTOCOL 5, 6.2).

    Without labels DSC is NaN and NSD 0, as in the official table (PROTOCOL 1.2).
    """
    if not scores:
        return float("nan"), 0.0
    dsc = float(np.mean([score.dsc for score in scores]))
    nsd = float(np.mean([score.nsd for score in scores]))
    return dsc, nsd


def sum_in_order(values: Iterable[float]) -> float:
    """Add floats from left to right and round after each, as the official script does.

    The built-in ``sum`` compensates rounding from Python 3.12 on and gives other last bits.
    """
    total = 0.0
    for value in values:
        total += value
    return total
