"""How the run of each method was made, and counts of its cases: the rows of ``Results.methods``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from segbench.report.private_text import option_text, without_machine
from segbench.results import Policy
from segbench.runs.run_folder import Run

_COUNTS = ("n_cases", "n_done", "n_ok", "n_failed", "n_invalid", "n_scored", "n_over_time")
METHODS = {
    **dict.fromkeys(("method", "adapter", "version", "note", "options", "boxes"), "str"),
    **dict.fromkeys(("weights_sha256", "licence", "prompts"), "str"),
    **{"ranked": "bool", "protocol": "str", "protocol_version": "int64", "protocol_hash": "str"},
    **{"data": "str", **dict.fromkeys(_COUNTS, "int64")},
    **{"failed_steps": "int64", "steps_with_unknown_labels": "int64", "unknown_labels": "str"},
    **{"failures": "str", "time_limit": "float64", "seconds_per_label": "float64"},
}


def method_row(method: str, run: Run, policy: Policy, cases: pd.DataFrame) -> tuple[Any, ...]:
    """Return a row of ``Results.methods``, with the counts of the method's rows in ``cases``."""
    manifest, adapter, protocol = run.manifest, run.adapter, run.manifest.protocol
    return (
        *(method, adapter.name, adapter.version, without_machine(adapter.note), _options(run)),
        *(manifest.boxes, adapter.weights_sha256, adapter.licence, ", ".join(adapter.prompts)),
        *(not adapter.sees_reference, protocol.name, protocol.version, protocol.hash),
        *(Path(manifest.data.path).name, manifest.data.cases),
        *_case_counts(cases[cases["method"] == method]),
        *_step_counts(run),
        *(policy.failures, policy.time_limit, time_limit_of(run, policy)),
    )


def time_limit_of(run: Run, policy: Policy) -> float:
    """Return the limit in seconds per label: the policy's, or the protocol's if that has none."""
    limit = policy.time_limit
    return run.settings.seconds_per_label if limit is None else limit


def _options(run: Run) -> str:
    return ", ".join(
        f"{key}={option_text(key, text)}" for key, text in run.manifest.options.items()
    )


def _case_counts(cases: pd.DataFrame) -> tuple[int, ...]:
    by_status = (int((cases["status"] == status).sum()) for status in ("ok", "failed", "invalid"))
    return len(cases), *by_status, int(cases["scored"].sum()), int(cases["over_time"].sum())


def _step_counts(run: Run) -> tuple[int, int, str]:
    steps = [step for case in run.case_results for step in case.steps]
    unknown = [step.unknown_labels for step in steps if step.unknown_labels]
    labels = sorted({label for labels in unknown for label in labels})
    n_failed = sum(step.failure is not None for step in steps)
    return n_failed, len(unknown), ", ".join(map(str, labels))
