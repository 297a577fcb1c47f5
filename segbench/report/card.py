"""A card of a run: what was run, on which cases, with which result, and what it is good for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pandas as pd

from segbench.messages import are, counted
from segbench.report.card_text import card_markdown
from segbench.report.frames import Results
from segbench.report.private_text import file_stems, option_text, without_machine
from segbench.report.resampling import Resampling
from segbench.report.statistics import mean_intervals, sample_notes
from segbench.results import CaseResult
from segbench.runs.manifest_json import Call
from segbench.runs.run_folder import Run

SCHEMA = 1
MAX_REASONS = 10
INTENDED_USE = (
    "To compare methods of interactive 3D segmentation under the same protocol, in research. "
    "It is no evidence that a method is fit for clinical use."
)

Card = dict[str, Any]


def card_files(results: Results, resampling: Resampling = Resampling()) -> dict[str, bytes]:
    """Return ``card-METHOD.md`` and ``card-METHOD.json`` of every run."""
    files = {}
    for stem, method in zip(file_stems(list(results.runs)), results.runs, strict=True):
        card = run_card(results, method, resampling)
        text = json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        files[f"card-{stem}.md"] = card_markdown(card).encode("utf-8", "backslashreplace")
        files[f"card-{stem}.json"] = text.encode("utf-8", "backslashreplace")
    return files


def run_card(results: Results, method: str, resampling: Resampling = Resampling()) -> Card:
    """Return the card of one run as values of JSON; docs/report.md describes its fields."""
    run = results.runs[method]
    (facts,) = results.methods[results.methods["method"] == method].to_dict("records")
    cases = results.cases[results.cases["method"] == method]
    card: Card = {
        "schema": SCHEMA,
        "method": method,
        "protocol": asdict(run.manifest.protocol) | {"settings": asdict(run.settings)},
        "adapter": _adapter(run),
        "boxes": run.manifest.boxes,
        "exact_sum": run.manifest.exact_sum,
        "data": _data(run, cases),
        "policy": asdict(results.policy),
        "scores": _scores(cases, resampling),
        "failures": _failures(facts, cases),
        "time": _time(run.case_results),
        "hardware": _distinct(_hardware(call) for call in run.manifest.calls),
        "software": _distinct(_software(call) for call in run.manifest.calls),
        "intended_use": INTENDED_USE,
        "limits": _limits(facts, cases, resampling),
    }
    return {key: _without_machine(value) for key, value in card.items()}


def data_sha256(cases: Sequence[CaseResult]) -> str | None:
    """Return one hash for the content of all cases that could be read; None if there are none.

    The sha256 of the sorted lines ``FILE_SHA256`` or ``FILE_SHA256 REFERENCE_SHA256`` (where the
    reference has a file of its own), each with a line feed. Names and order do not matter.
    """
    lines = [
        " ".join(filter(None, (case.file_sha256, case.reference_sha256))) + "\n"
        for case in cases
        if case.file_sha256
    ]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() if lines else None


def _adapter(run: Run) -> Card:
    source = {"source_sha256": run.manifest.adapter_source_sha256}
    return (
        asdict(run.adapter)
        | source
        | {"options": {key: option_text(key, text) for key, text in run.manifest.options.items()}}
    )


def _data(run: Run, cases: pd.DataFrame) -> Card:
    by_modality = cases["modality"].value_counts().sort_index()
    return {
        "name": Path(run.manifest.data.path).name,
        "n_cases": run.manifest.data.cases,
        "sha256": data_sha256(run.case_results),
        "n_cases_in_sha256": sum(bool(case.file_sha256) for case in run.case_results),
        "cases_by_modality": {str(name): int(n) for name, n in by_modality.items()},
        "datasets": sorted(set(cases["dataset"]) - {""}),
    }


def _scores(cases: pd.DataFrame, resampling: Resampling) -> Card:
    frame = mean_intervals(cases, resampling=resampling).drop(columns="method")
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return {
        "confidence": resampling.confidence,
        "draws": resampling.draws,
        "seed": resampling.seed,
        "means": rows,
    }


def _failures(facts: Mapping[Any, Any], cases: pd.DataFrame) -> Card:
    names = ("n_done", "n_ok", "n_failed", "n_invalid", "n_scored", "n_over_time")
    reasons = cases["reason"].dropna().value_counts().head(MAX_REASONS)
    return {
        **{name: int(facts[name]) for name in names},
        "failed_steps": int(facts["failed_steps"]),
        "steps_with_unknown_labels": int(facts["steps_with_unknown_labels"]),
        "reasons": {str(reason): int(n) for reason, n in reasons.items()},
    }


def _time(cases: Sequence[CaseResult]) -> Card:
    per_case = [case.total_seconds for case in cases if case.seconds]
    per_step = [seconds for case in cases for seconds in case.seconds.values()]
    peaks = (case.cost.get("peak_mb") for case in cases)
    return {
        "seconds": sum(per_case),
        "mean_seconds_per_case": fmean(per_case) if per_case else None,
        "median_seconds_per_step": median(per_step) if per_step else None,
        "max_peak_mb": max((peak for peak in peaks if peak is not None), default=None),
    }


def _hardware(call: Call) -> Card:
    return {
        "device": call.worker.get("device"),
        "processors": call.processors,
        "jobs": call.jobs,
        "threads": call.threads,
        "platform": call.platform,
    }


def _software(call: Call) -> Card:
    return {
        "segbench": call.versions,
        "worker": call.worker["versions"],
        "git": asdict(call.git) if call.git else None,
    }


def _without_machine(value: Any) -> Any:
    """Return a value of JSON in which no text names a path, a user or this host."""
    if isinstance(value, Mapping):
        return {_without_machine(key): _without_machine(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_without_machine, value))
    return without_machine(value) if isinstance(value, str) else value


def _distinct(facts: Iterable[Card]) -> list[Card]:
    found: list[Card] = []
    for each in facts:
        if each not in found:
            found.append(each)
    return found


def _limits(facts: Mapping[Any, Any], cases: pd.DataFrame, resampling: Resampling) -> list[str]:
    limits = [
        "The user is simulated: real users click elsewhere and stop earlier or later.",
        "The scores hold for these cases; other scanners, organs or sites may give others.",
    ]
    if not facts["ranked"]:
        limits.append("The adapter sees the reference: an upper bound, never ranked.")
    if facts["n_done"] < facts["n_cases"]:
        limits.append(
            f"{facts['n_done']} of {counted(facts['n_cases'], 'case')} {are(facts['n_done'])} done."
        )
    if facts["n_invalid"]:
        n = facts["n_invalid"]
        were = "case was" if n == 1 else "cases were"
        limits.append(f"{n} {were} refused as invalid and not scored.")
    if facts["boxes"] == "none":
        limits.append("The boxes were withheld.")
    return [*limits, *sample_notes(cases, resampling)]
