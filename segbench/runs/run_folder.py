"""A run folder on disk: how it was made, one file per case, its predictions.

``run.json`` records how the run was made; a continued run must agree with it;
``cases/<case>.json`` holds the raw facts of one case, appears whole or not at all, and its
presence means done; ``predictions/<case>.npz`` holds the label maps. docs/results.md explains
every field, docs/schema/ holds them as JSON Schema.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segbench.core import AdapterInfo, Settings, StepScore, prompt_from_json, prompt_to_json
from segbench.errors import RunError
from segbench.files import write_text
from segbench.results import CaseResult, StepResult

SCHEMA = 2


@dataclass(frozen=True)
class Run:
    """A run folder, read: its manifest and its finished cases in name order."""

    folder: Path
    manifest: dict[str, Any]
    case_results: tuple[CaseResult, ...]

    @property
    def method(self) -> str:
        """The name in tables: ``--name`` of the run, or the adapter's own."""
        return str(self.manifest["name"])

    @property
    def adapter(self) -> AdapterInfo:
        """Name, version and properties of the adapter."""
        facts = dict(self.manifest["adapter"])
        return AdapterInfo(**{**facts, "prompts": tuple(facts["prompts"])})

    @property
    def settings(self) -> Settings:
        """The protocol the run was made under."""
        return Settings(**self.manifest["settings"])


# ---- reading ---------------------------------------------------------------------------------


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    RunError
        If it is no run folder, or one of its files is damaged or of another schema.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise RunError(f"{folder}: expected a run folder, found no run.json in it")
    files = sorted((folder / "cases").glob("[!.]*.json"))
    return Run(folder, manifest, tuple(read_case_result(file) for file in files))


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a run folder, None if there is none yet."""
    file = folder / "run.json"
    return _read_json(file) if file.exists() else None


def read_case_result(file: Path) -> CaseResult:
    """Read one case file of a run."""
    facts = _read_json(file)
    try:
        return _case_from_json(facts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{file}: expected a case of schema {SCHEMA}: {error!r}") from None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{file}: cannot be read as JSON: {error}") from None
    found = facts.get("schema") if isinstance(facts, dict) else None
    if found == 1:
        raise RunError(
            f"{file}: expected schema {SCHEMA}, found 1, an early format whose prompts have other "
            "names; run the cases again into another folder"
        )
    if found != SCHEMA:
        raise RunError(f"{file}: expected schema {SCHEMA}, found {found}")
    return dict(facts)


def _case_from_json(facts: Mapping[str, Any]) -> CaseResult:
    cost = dict(facts["cost"])
    seconds = {int(step): float(value) for step, value in cost.pop("seconds", {}).items()}
    plain = (
        "case",
        "status",
        "reason",
        "modality",
        "patient",
        "dataset",
        "has_boxes",
        "non_finite_voxels",
    )
    return CaseResult(
        **{key: facts[key] for key in plain},
        shape=tuple(facts["shape"]),
        spacing=tuple(facts["spacing"]),
        labels=tuple(facts["labels"]),
        rounds=tuple(tuple(map(prompt_from_json, prompts)) for prompts in facts["rounds"]),
        steps=tuple(map(_step_from_json, facts["steps"])),
        file_sha256=facts["file_sha256"],
        reference_sha256=facts["reference_sha256"],
        seconds=seconds,
        cost=cost,
    )


def _step_from_json(raw: Mapping[str, Any]) -> StepResult:
    scores = (StepScore(raw["step"], s["label"], s["dsc"], s["nsd"]) for s in raw["scores"])
    return StepResult(
        step=raw["step"],
        scores=tuple(scores),
        failure=raw["failure"],
        prediction_sha256=raw["prediction_sha256"],
        unknown_labels=tuple(raw["unknown_labels"]),
    )


# ---- writing ---------------------------------------------------------------------------------


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write ``run.json``."""
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    write_text(folder / "run.json", _dump({"schema": SCHEMA, **facts}))


def write_case_result(folder: Path, result: CaseResult) -> None:
    """Write one finished case; its file appears whole or not at all."""
    write_text(case_file(folder, result.case), _dump(_case_to_json(result)))


def case_file(folder: Path, case: str) -> Path:
    """Return the file of a case's result."""
    return folder / "cases" / f"{case}.json"


def prediction_file(folder: Path, case: str) -> Path:
    """Return the file of a case's label maps, in the challenge's format."""
    return folder / "predictions" / f"{case}.npz"


def remove_leftovers(folder: Path, case: str) -> None:
    """Remove the files of earlier attempts at a case: its predictions, and half-written files.

    Only for the runner that holds the lock of the case.
    """
    prediction_file(folder, case).unlink(missing_ok=True)
    for file in (case_file(folder, case), prediction_file(folder, case)):
        for partial in file.parent.glob(f".{glob.escape(file.name)}.*.partial"):
            partial.unlink(missing_ok=True)


def _dump(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, indent=1, allow_nan=False) + "\n"


def _case_to_json(result: CaseResult) -> dict[str, Any]:
    facts = {"schema": SCHEMA, **asdict(result)}
    seconds = facts.pop("seconds")
    cost = facts.pop("cost")
    facts["rounds"] = [[prompt_to_json(prompt) for prompt in round_] for round_ in result.rounds]
    for step in facts["steps"]:
        for score in step["scores"]:
            del score["step"]
    return {**facts, "cost": {"seconds": seconds, **cost}}
