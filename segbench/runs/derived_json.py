"""What is in ``derived/<case>.json``: further metrics of the predictions of a case.

A value is found by what it was computed from: the sha256 of the prediction, together with the
clicks where these matter, or ``reference`` if it depends on no prediction. So values outlive a case
that is run again, and those of other predictions are never shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, with_config

from segbench.core import Click, Prompt, prompt_to_json
from segbench.errors import RunError
from segbench.files import write_text
from segbench.further_metrics.metric import is_current, kind_of
from segbench.messages import counted
from segbench.results import CaseResult, StepResult
from segbench.runs.case_json import Label, Sha256, Step
from segbench.runs.json_files import CONFIG, SCHEMA, read_json, to_json
from segbench.runs.run_folder import Run

OF_REFERENCE = "reference"
REFERENCE_STEP = -1  # of values that depend on no prediction
# JSON has no other keys than text, and a schema must name all of them
ValuesByKey = Annotated[
    dict[
        Annotated[str, Field(pattern="^([0-9a-f]{64}|reference)$")],
        tuple[float | None, ...],
    ],
    Field(json_schema_extra={"additionalProperties": False}),
]


@dataclass(frozen=True)
class StoredMetric:
    """The values of one metric."""

    definition: str
    """What decides a value beyond the metric's name and the masks: the version of the metric and
    the gate, or the sha256 of the file of a user's function."""
    values: ValuesByKey
    """The values of all labels, ascending, by what they were computed from: the prediction_sha256
    of a step, for obeyed the sha256 of that and the clicks, or reference. null: undefined."""


@with_config(CONFIG)
@dataclass(frozen=True)
class StoredDerived:
    """Further metrics of one case, as segbench rescore has computed them."""

    schema: Literal[2]
    """Version of this schema."""
    case: str
    """The case's name."""
    file_sha256: str
    """As in the file of the case: values of other data do not count."""
    reference_sha256: Sha256 | None
    """As in the file of the case."""
    labels: tuple[Label, ...]
    """The labels that the values are of, ascending."""
    steps: tuple[Step, ...]
    """The steps of which a prediction was kept when the values were computed."""
    metrics: Annotated[
        dict[Annotated[str, Field(pattern="^[^@]+(@[0-9.]+mm)?$")], StoredMetric],
        Field(json_schema_extra={"additionalProperties": False}),
    ]
    """Every metric that was asked for, by name."""


def derived_file(folder: Path, case: str) -> Path:
    """Return the file of a case's further metrics."""
    return folder / "derived" / f"{case}.json"


def read_derived(folder: Path, result: CaseResult, gate: float) -> StoredDerived | None:
    """Return the further metrics of a case; None if there are none, or only of other data.

    Metrics whose definition has changed are left out.

    Raises
    ------
    RunError
        If the file is not one of ``segbench rescore``, or damaged.
    """
    file = derived_file(folder, result.case)
    if not file.exists():
        return None
    try:
        stored = read_json(file, StoredDerived)
        _check(stored, result.case)
    except RunError as error:
        raise RunError(f"{error}; remove it and call segbench rescore again") from None
    data = stored.file_sha256, stored.reference_sha256, stored.labels
    if data != (result.file_sha256, result.reference_sha256, result.labels):
        return None
    current = {
        name: metric
        for name, metric in stored.metrics.items()
        if is_current(name, metric.definition, gate)
    }
    return StoredDerived(**{**vars(stored), "metrics": current})


def _check(stored: StoredDerived, case: str) -> None:
    if stored.case != case:
        raise RunError(f"derived/{case}.json: expected case {case}, found {stored.case}")
    for name, metric in stored.metrics.items():
        for values in metric.values.values():
            if len(values) != len(stored.labels):
                expected = counted(len(stored.labels), "value")
                raise RunError(
                    f"derived/{case}.json: {name}: expected {expected}, one for each label, found "
                    f"{len(values)}"
                )


def read_run_derived(run: Run) -> dict[str, StoredDerived]:
    """Return the further metrics of a run by case, of the cases that have some."""
    if not (run.folder / "derived").is_dir():
        return {}
    gate = run.settings.nsd_gate
    read = {result.case: read_derived(run.folder, result, gate) for result in run.case_results}
    return {case: stored for case, stored in read.items() if stored is not None}


def write_derived(folder: Path, stored: StoredDerived) -> None:
    """Write the further metrics of a case; the file appears whole or not at all."""
    file = derived_file(folder, stored.case)
    write_text(file, to_json({**asdict(stored), "schema": SCHEMA}, StoredDerived, file))


def refuse_foreign_files(folder: Path) -> None:
    """Raise a RunError if ``derived/`` has a file that is not of ``segbench rescore``."""
    derived = folder / "derived"
    names = sorted(file.name for file in derived.iterdir()) if derived.is_dir() else []
    for name in names:
        if not name.startswith(".") and not name.endswith(".json"):
            raise RunError(
                f"{derived}: expected only files of segbench rescore, found {name}; move it away"
            )


def value_key(metric: str, prediction_sha256: str, clicks: Sequence[Prompt]) -> str:
    """Return what a value is found by in a file."""
    depends_on = kind_of(metric).depends_on
    if depends_on == "reference":
        return OF_REFERENCE
    if depends_on == "prediction":
        return prediction_sha256
    facts = [prediction_sha256, *(prompt_to_json(click) for click in clicks)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def clicks_of(result: CaseResult, step: int) -> tuple[Click, ...]:
    """Return the clicks of a step."""
    prompts = result.rounds[step] if step < len(result.rounds) else ()
    return tuple(prompt for prompt in prompts if isinstance(prompt, Click))


def shown_predictions(result: CaseResult) -> Iterator[tuple[StepResult, str | None]]:
    """Yield each step with the sha256 of its label map.

    That of a failed step is the last prediction before it; None if there is none.
    """
    last: str | None = None
    for step in result.steps:
        last = step.prediction_sha256 or last
        yield step, last
