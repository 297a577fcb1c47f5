"""What is in ``cases/<case>.json``, and how a `CaseResult` gets into such a file and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from segbench.core import MAX_LABEL, Box, Click, Prompt, StepScore, prompt_to_json
from segbench.results import CaseResult, StepResult
from segbench.runs.json_files import CONFIG, SCHEMA

Label = Annotated[int, Field(ge=1, le=MAX_LABEL, description="A foreground label.")]
Index = Annotated[int, Field(ge=0)]
Voxel = tuple[Index, Index, Index]
Score = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Step = Annotated[int, Field(ge=0, description="0: the boxes; 1 to n_clicks: that round of clicks.")]
StepKey = Annotated[str, Field(pattern="^(0|[1-9][0-9]*)$")]  # JSON has no other keys than text
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class StoredBox:
    """A box, half-open: low <= voxel < high."""

    kind: Literal["box"]
    """The kind of prompt."""
    label: Label
    low: Voxel
    """First voxel inside, (z, y, x)."""
    high: Voxel
    """First voxel past the box, (z, y, x)."""
    mid_slice: Index
    """The slice (index along z) on which the in-plane sides of the box are drawn."""


@dataclass(frozen=True)
class StoredClick:
    """A click."""

    kind: Literal["click"]
    """The kind of prompt."""
    label: Label
    voxel: Voxel
    """The clicked voxel, (z, y, x)."""
    positive: bool
    """Whether the reference contains the voxel for this label."""


StoredPrompt = Annotated[StoredBox | StoredClick, Field(discriminator="kind")]


@dataclass(frozen=True)
class StoredScore:
    """The scores of one label."""

    label: Label
    dsc: Score
    """Dice similarity coefficient."""
    nsd: Score
    """Normalised surface dice at the tolerance of the settings; 0 for all labels unless the mean
    DSC of the step is above the gate."""


@dataclass(frozen=True)
class StoredStep:
    """The raw facts of one step."""

    step: Step
    scores: tuple[StoredScore, ...]
    """One entry for each label, ascending; empty if the step failed."""
    failure: str | None
    """Why there is no prediction, with the last stderr lines of the worker if there are any; null
    if there is a prediction."""
    prediction_sha256: Sha256 | None
    """sha256 of the label map, see docs/results.md; null if the step failed."""
    unknown_labels: tuple[Label, ...]
    """Labels in the prediction that the case does not have; they only count as wrong voxels."""

    def __post_init__(self) -> None:
        """Refuse a step with both a prediction and a failure, or with neither."""
        succeeded = self.failure is None
        if (bool(self.scores), self.prediction_sha256 is not None) != (succeeded, succeeded):
            failure = self.failure and self.failure[:80]
            raise ValueError(
                "expected either scores and prediction_sha256, or failure; found "
                f"{len(self.scores)} scores, {self.prediction_sha256!r} and {failure!r}"
            )


class Cost(TypedDict):
    """Times and memory: the only part in which two equal runs may differ."""

    seconds: Annotated[
        dict[StepKey, Seconds], Field(json_schema_extra={"additionalProperties": False})
    ]
    """Seconds of the model by step, as its worker measured them; the first step includes
    set_image. Empty for an invalid case."""
    harness_seconds: NotRequired[float]
    """Seconds of the case that were not the model's. Absent for an invalid case."""
    peak_mb: NotRequired[Annotated[float, Field(ge=0)] | None]
    """Highest resident memory of the adapter's process so far, MiB; null if the system does not
    tell. Absent for an invalid case."""


@with_config(CONFIG)
@dataclass(frozen=True)
class StoredCase:
    """The raw facts of one finished case; what depends on a policy is computed when it is read."""

    schema: Literal[2]
    """Version of this schema."""
    # min_length itself would also refuse names that are not valid Unicode
    case: Annotated[str, Field(json_schema_extra={"minLength": 1})]
    """The case's name: its path below the data folder without .npz, with __ for /."""
    status: Literal["ok", "failed", "invalid"]
    """ok: every step has a prediction; failed: at least one step has none; invalid: refused before
    any model ran."""
    reason: str | None
    """The first failed step and its failure, or why the case was refused; null if ok."""
    modality: str
    """From index.csv, else the file name up to its first underscore."""
    patient: str
    """From index.csv, else empty."""
    dataset: str
    """From index.csv, else the second part of a file name with at least three, else empty."""
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(max_length=3)]
    """Voxels along (z, y, x); empty for an invalid case."""
    spacing: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(max_length=3)]
    """Voxel size in mm, (z, y, x); empty for an invalid case."""
    labels: tuple[Label, ...]
    """Foreground labels of the reference, ascending; empty for an invalid case."""
    has_boxes: bool
    """Whether the case has boxes, and so a step 0."""
    non_finite_voxels: Index
    """Voxels of the image that are NaN or infinite; 0 for an invalid case."""
    rounds: tuple[tuple[StoredPrompt, ...], ...]
    """All prompts: the boxes (possibly none), then the clicks of each step; a label without an
    error has no click. Empty for an invalid case."""
    steps: tuple[StoredStep, ...]
    """One entry for each step; empty for an invalid case."""
    file_sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    """sha256 of the case file, or of its arrays if it was given as arrays; empty if it could not
    be read."""
    reference_sha256: Sha256 | None
    """sha256 of the file of the reference; null if gts is in the case or that file is missing."""
    cost: Cost

    def __post_init__(self) -> None:
        """Refuse an empty name, a reason for ``ok``, and another status without a reason."""
        if not self.case:
            raise ValueError("case: expected at least 1 character, found ''")
        if (self.reason is None) != (self.status == "ok"):
            found = self.reason and self.reason[:80]
            raise ValueError(
                f"reason: expected null if status is 'ok', else text; found {found!r} for status "
                f"{self.status!r}"
            )


def case_facts(result: CaseResult) -> dict[str, Any]:
    """Return what the file of a case contains."""
    facts = {"schema": SCHEMA, **asdict(result)}
    facts["rounds"] = [[prompt_to_json(prompt) for prompt in round_] for round_ in result.rounds]
    for step in facts["steps"]:
        for score in step["scores"]:
            del score["step"]
    facts["cost"] = {"seconds": facts.pop("seconds"), **facts["cost"]}
    return facts


def case_result(stored: StoredCase) -> CaseResult:
    """Return the result that a file contains."""
    facts = {**vars(stored), "cost": dict(stored.cost)}
    del facts["schema"]
    facts["seconds"] = {int(step): value for step, value in facts["cost"].pop("seconds").items()}
    facts["rounds"] = tuple(tuple(map(_prompt, round_)) for round_ in stored.rounds)
    facts["steps"] = tuple(map(_step_result, stored.steps))
    return CaseResult(**facts)


def _prompt(stored: StoredBox | StoredClick) -> Prompt:
    if isinstance(stored, StoredBox):
        return Box(stored.label, stored.low, stored.high, stored.mid_slice)
    return Click(stored.label, stored.voxel, stored.positive)


def _step_result(stored: StoredStep) -> StepResult:
    scores = (StepScore(stored.step, **vars(score)) for score in stored.scores)
    return StepResult(**{**vars(stored), "scores": tuple(scores)})
