"""Runs as pandas frames: one row per case, step or prompt of each method.

docs/report.md describes every column. Rows are in the order of the runs, then of the cases' names,
then of step and label.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from segbench.core import Box, Prompt, Settings, StepScore
from segbench.keywords import suggest_keywords
from segbench.report.compared_runs import read_runs
from segbench.report.derived_rows import DERIVED, DerivedOfCase
from segbench.report.method_facts import METHODS, method_row, time_limit_of
from segbench.report.modalities import modality_code
from segbench.report.private_text import without_machine
from segbench.results import CaseResult, CaseSummary, FailurePolicy, Policy
from segbench.runs.derived_json import StoredDerived, read_run_derived
from segbench.runs.run_folder import Run

Row = tuple[Any, ...]
MEASURES = {
    "dsc_auc": "DSC AUC",
    "nsd_auc": "NSD AUC",
    "dsc_final": "DSC Final",
    "nsd_final": "NSD Final",
}
CASES = {
    **dict.fromkeys(("method", "case", "modality", "dataset", "patient"), "str"),
    **{"has_boxes": "bool", "n_labels": "int64", "status": "str", "scored": "bool"},
    **dict.fromkeys((*MEASURES, "seconds"), "float64"),
    **{"over_time": "bool", "ranked": "bool"},
    **dict.fromkeys(("file_sha256", "reference_sha256", "reason"), "str"),
}
STEPS = {
    **{"method": "str", "case": "str", "label": "int64", "step": "int64"},
    **dict.fromkeys(("dsc", "nsd", "seconds"), "float64"),
    **{"failure": "str", "modality": "str", "has_boxes": "bool"},
}
PROMPTS = {
    **{"method": "str", "case": "str", "step": "int64", "kind": "str", "label": "int64"},
    "positive": "boolean",
    **dict.fromkeys(("z", "y", "x"), "Int64"),
    **dict.fromkeys(("z_low", "y_low", "x_low", "z_high", "y_high", "x_high"), "Int64"),
    "mid_slice": "Int64",
}
DerivedByCase = Mapping[str, Mapping[str, StoredDerived]]  # by method and case


@dataclass(frozen=True, eq=False)
class Results:
    """The results of one or more runs under one failure policy, as pandas frames.

    Attributes
    ----------
    cases : DataFrame
        One row per method and finished case: its scores, or why it has none.
    steps : DataFrame
        One row per method, case, step and label. Invalid cases have none.
    prompts : DataFrame
        One row per box and click.
    methods : DataFrame
        One row per method: how its run was made, and counts of its cases.
    policy : Policy
        How failed steps and slow cases are scored.
    settings : Settings
        The protocol of all runs.
    runs : mapping of str to Run
        The runs that the frames are made from, by method; empty if they come from elsewhere.
    derived : DataFrame
        One row per method, case, label, step and further metric, of what `segbench.rescore` has
        computed; without rows if it was never called.
    """

    cases: pd.DataFrame
    steps: pd.DataFrame
    prompts: pd.DataFrame
    methods: pd.DataFrame
    policy: Policy = Policy()
    settings: Settings = Settings()
    runs: Mapping[str, Run] = field(default_factory=dict, repr=False)
    derived: pd.DataFrame = field(default_factory=lambda: _frame(DERIVED, []))
    _stored: DerivedByCase = field(default_factory=dict, repr=False)

    def with_policy(self, policy: Policy) -> Results:
        """Return the results of the same runs under another policy."""
        return results_of(self.runs, policy, self._stored)


@suggest_keywords
def load(
    *runs: str | Path, failures: FailurePolicy = "zero", time_limit: float | None = None
) -> Results:
    """Read run folders as pandas frames.

    Parameters
    ----------
    *runs : path
        Run folders, finished or not, in the order that tables show them. A folder that contains
        run folders stands for all of them, in name order.
    failures : {"zero", "carry_forward"}
        Score of a failed step: 0, or that of the last prediction.
    time_limit : float, optional
        Seconds per label; a case above it scores 0 in all steps.

    Returns
    -------
    Results

    Raises
    ------
    RunError
        If no folder is given, a folder is given twice or is no run, or the protocols differ.
    """
    return load_results(list(map(Path, runs)), Policy(failures, time_limit))


def load_results(folders: Sequence[Path], policy: Policy = Policy()) -> Results:
    """Read run folders as `load` does, under a policy."""
    runs = read_runs(folders)
    derived = {method: read_run_derived(run) for method, run in runs.items()}
    return results_of(runs, policy, derived)


def results_of(runs: Mapping[str, Run], policy: Policy, derived: DerivedByCase) -> Results:
    """Return the frames of runs that share a protocol, under a policy."""
    entries = [
        _Entry(method, run, case, case.summary(policy, run.settings.n_clicks), policy)
        for method, run in runs.items()
        for case in run.case_results
    ]
    cases = _frame(CASES, map(_case_row, entries))
    facts = (method_row(method, run, policy, cases) for method, run in runs.items())
    return Results(
        cases=cases,
        steps=_frame(STEPS, chain.from_iterable(map(_step_rows, entries))),
        prompts=_frame(PROMPTS, chain.from_iterable(map(_prompt_rows, entries))),
        methods=_frame(METHODS, facts),
        policy=policy,
        settings=next(iter(runs.values())).settings,
        runs=runs,
        derived=_frame(DERIVED, _derived_rows(entries, derived)),
        _stored=derived,
    )


class _Entry(NamedTuple):
    """A finished case of a method; ``scores`` is None if the policy leaves it out."""

    method: str
    run: Run
    case: CaseResult
    scores: CaseSummary | None
    policy: Policy


def _frame(dtypes: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(dtypes)).astype(dict(dtypes))


def _case_row(entry: _Entry) -> Row:
    method, run, case, scores, policy = entry
    return (
        *(method, case.case, modality_code(case.modality), case.dataset, case.patient),
        *(case.has_boxes, len(case.labels), case.status, scores is not None),
        *((getattr(scores, name) for name in MEASURES) if scores else [math.nan] * len(MEASURES)),
        case.total_seconds,
        scores is not None and case.exceeds(time_limit_of(run, policy)),
        not run.adapter.sees_reference,
        *(case.file_sha256, case.reference_sha256),
        None if case.reason is None else without_machine(case.reason),
    )


def _step_rows(entry: _Entry) -> Iterator[Row]:
    case, modality = entry.case, modality_code(entry.case.modality)
    failures = {
        step.step: without_machine(step.failure) for step in case.steps if step.failure is not None
    }
    for step, scores in _label_scores(entry).items():
        seconds, failure = case.seconds.get(step, 0.0), failures.get(step)
        for score in scores:
            yield (
                *(entry.method, case.case, score.label, step, score.dsc, score.nsd),
                *(seconds, failure, modality, case.has_boxes),
            )


def _label_scores(entry: _Entry) -> Mapping[int, Iterable[StepScore]]:
    if entry.scores is not None:
        return entry.scores.label_scores
    return {
        step.step: [StepScore(step.step, label, math.nan, math.nan) for label in entry.case.labels]
        for step in entry.case.steps
    }


def _prompt_rows(entry: _Entry) -> Iterator[Row]:
    for step, prompts in enumerate(entry.case.rounds):
        for prompt in prompts:
            yield (entry.method, entry.case.case, step, *_prompt_facts(prompt))


def _prompt_facts(prompt: Prompt) -> Row:
    if isinstance(prompt, Box):
        corners = (*prompt.low, *prompt.high, prompt.mid_slice)
        return ("box", prompt.label, None, None, None, None, *corners)
    return ("click", prompt.label, prompt.positive, *prompt.voxel, *[None] * 7)


def _derived_rows(entries: Iterable[_Entry], derived: DerivedByCase) -> Iterator[Row]:
    for method, _, case, scores, policy in entries:
        stored = derived.get(method, {}).get(case.case)
        if stored is not None and case.status != "invalid":
            yield from DerivedOfCase(case, scores, policy, stored).rows(method)
