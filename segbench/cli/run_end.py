"""What `segbench run` prints at its end, besides the table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from segbench.messages import counted
from segbench.overview import (
    common_failure,
    left_to_others_text,
    problem_lines,
    unknown_labels_text,
)

if TYPE_CHECKING:
    from segbench.runs.config import RunConfig
    from segbench.runs.runner import RunSummary

SHOWN = 10  # reasons of failed and invalid cases


def problems(config: RunConfig, summary: RunSummary) -> Iterator[str]:
    """Yield what a user must know of the cases: failures by reason, crashes, wrong labels."""
    lines = problem_lines(summary.results)
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"and {counted(len(lines) - SHOWN, 'further reason')}, see run.log"
    for case in summary.crashed:
        yield (
            f"crashed: {case.case}: {case.summary} (not done; a fault of segbench or of this "
            "machine, all of it in run.log)"
        )
    if summary.left_to_others:
        yield left_to_others_text(summary.left_to_others)
    if summary.all_done and common_failure(summary.results) is not None:
        yield f"every case failed for one reason; to test the model alone: {_check(config)}"
    unknown = unknown_labels_text(summary.run.method, summary.results)
    if unknown:
        yield unknown


def _check(config: RunConfig) -> str:
    """Return the command that checks the model of a run."""
    options = [word for pair in config.option.items() for word in ("--option", "=".join(pair))]
    python = ["--python", str(config.python)] if config.python else []
    return shlex.join(["segbench", "models", "check", config.model, *options, *python])


def asked_for(summary: RunSummary) -> str | None:
    """Return how many of the cases asked for are ok; None if the table says all of it."""
    n_asked_for, n_cases = len(summary.asked_for), summary.run.manifest.data.cases
    n_ok = sum(case.status == "ok" for case in summary.results)
    n_done = len(summary.run.case_results)
    if n_asked_for == n_cases == n_ok == n_done:
        return None
    return (
        f"asked for {n_asked_for} of {counted(n_cases, 'case')}: {n_ok} ok; the run folder has "
        f"{n_done}"
    )
