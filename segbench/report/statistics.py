"""Means with intervals, and the sentences that belong to them.

``pairs`` compares methods, ``leaders`` finds the ones that are better than all others. Medians
have no interval here: the common bootstrap intervals of a median fail (Andre et al., BRIDGE 2025,
openreview WNwyvxo4zI).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from segbench.messages import counted
from segbench.report.case_scores import (
    CaseScores,
    case_scores,
    case_scores_by,
    ranked_only,
)
from segbench.report.clusters import patients_note
from segbench.report.frames import MEASURES
from segbench.report.resampling import (
    AVERAGES,
    Resampling,
    bootstrap_means,
    means,
    percentile_intervals,
)

FEW_CASES, FEW_PATIENTS = 50, 20
MEAN_COLUMNS = (
    *("method", "measure", "average", "n_cases", "n_patients", "n_modalities"),
    *("mean", "low", "high"),
)


def mean_intervals(
    cases: pd.DataFrame,
    *,
    measures: Collection[str] = MEASURES,
    by: Sequence[str] = (),
    resampling: Resampling = Resampling(),
) -> pd.DataFrame:
    """Return the mean of every method over its own cases, with bootstrap intervals.

    Parameters
    ----------
    cases : the frame ``cases``, or one with other columns of numbers and the same columns
        method, case, file_sha256, reference_sha256, modality, dataset, patient
    measures : columns of numbers; rows with NaN in any of them are left out
    by : columns that split the cases, such as modality, dataset or has_boxes

    Returns
    -------
    DataFrame, one row per group, average, measure and method that has cases, with the columns
        those of ``by``, method, measure
        average : micro (mean over cases) or macro (mean over modalities of their means)
        n_cases, n_patients, n_modalities
        mean, low, high : low and high are NaN where no interval can be computed: with fewer than
            two patients, or for macro with a modality of one patient
    """
    groups = case_scores_by(cases, by, measures, patient_pattern=resampling.patient_pattern)
    rows = [keys | row for keys, scores in groups for row in _group_rows(scores, resampling)]
    return pd.DataFrame(rows, columns=[*by, *MEAN_COLUMNS])


def sample_notes(cases: pd.DataFrame, resampling: Resampling = Resampling()) -> tuple[str, ...]:
    """Return what a reader of intervals and tests must know about the cases of a frame.

    Who the patients are, where ranked methods have different cases, and where numbers are small:
    below 50 cases or 20 patients percentile intervals are too narrow more often than they claim.
    """
    scored = cases[cases["scored"].astype(bool)]
    if scored.empty:
        return ("No case has scores.",)
    scores = case_scores(scored, patient_pattern=resampling.patient_pattern)
    notes = [patients_note(scored, resampling.patient_pattern)]
    notes += _difference_notes(ranked_only(cases))
    if scores.n_cases < FEW_CASES:
        few = f"intervals of fewer than {FEW_CASES} are unreliable."
        notes.append(f"{counted(scores.n_cases, 'case')}: {few}")
    if scores.n_patients < FEW_PATIENTS:
        few = f"intervals of fewer than {FEW_PATIENTS} are unreliable."
        notes.append(f"{counted(scores.n_patients, 'patient')}: {few}")
    notes += _single_patient_notes(scores)
    return tuple(notes)


def short_sample_note(cases: pd.DataFrame, resampling: Resampling = Resampling()) -> str:
    """Return who the patients are and whether numbers are small, for the foot of a table."""
    scored = cases[cases["scored"].astype(bool)]
    if scored.empty:
        return "No case has scores."
    scores = case_scores(scored, patient_pattern=resampling.patient_pattern)
    counts = {"cases": (scores.n_cases, FEW_CASES), "patients": (scores.n_patients, FEW_PATIENTS)}
    few = [f"{limit} {noun}" for noun, (n, limit) in counts.items() if n < limit]
    note = patients_note(scored, resampling.patient_pattern)
    if few:
        return f"{note} All intervals are unreliable: fewer than {' and '.join(few)}."
    return (
        f"{note} Intervals in rows of fewer than {FEW_CASES} cases or {FEW_PATIENTS} patients are "
        "unreliable."
    )


def _group_rows(scores: CaseScores, resampling: Resampling) -> Iterator[dict[str, Any]]:
    found = {
        (row["average"], row["measure"], row["method"]): row
        for methods, part in _methods_with_same_cases(scores)
        for row in _mean_rows(part, methods, resampling)
    }
    for average in AVERAGES:
        for measure in scores.measures:
            keys = ((average, measure, method) for method in scores.methods)
            yield from (found[key] for key in keys if key in found)


def _methods_with_same_cases(scores: CaseScores) -> Iterator[tuple[list[int], CaseScores]]:
    """Yield methods that have the same cases, with the scores of these cases."""
    present = scores.present
    for pattern in np.unique(present[:, present.any(axis=0)], axis=1).T:
        methods = np.flatnonzero((present == pattern[:, None]).all(axis=0))
        yield methods.tolist(), scores.select(pattern)


def _mean_rows(
    scores: CaseScores, methods: list[int], resampling: Resampling
) -> Iterator[dict[str, Any]]:
    values = scores.values[:, methods].reshape(scores.n_cases, -1)
    mean = means(values, scores.modalities)
    draws = bootstrap_means(values, scores.patients, scores.modalities, resampling=resampling)
    columns = [(scores.methods[i], name) for i in methods for name in scores.measures]
    for average, (low, high) in percentile_intervals(draws, resampling.confidence).items():
        for i, (method, measure) in enumerate(columns):
            yield {
                "method": method,
                "measure": measure,
                "average": average,
                "n_cases": scores.n_cases,
                "n_patients": scores.n_patients,
                "n_modalities": len(np.unique(scores.modalities)),
                "mean": mean[average][i],
                "low": low[i],
                "high": high[i],
            }


def _difference_notes(ranked: pd.DataFrame) -> Iterator[str]:
    scores = case_scores(ranked)
    present, n_common = scores.present, scores.common().n_cases
    if len(scores.methods) < 2 or n_common == scores.n_cases:
        return
    lacking = zip(scores.methods, (~present).sum(axis=0).tolist(), strict=True)
    who = ", ".join(f"{method} lacks {n}" for method, n in lacking if n)
    yield (
        f"The methods have different cases: of {scores.n_cases}, {who}. "
        f"{n_common} are common to all ranked methods."
    )


def _single_patient_notes(scores: CaseScores) -> Iterator[str]:
    alone = [
        modality
        for modality in np.unique(scores.modalities).tolist()
        if scores.select(scores.modalities == modality).n_patients == 1
    ]
    if alone:
        have = "has one patient" if len(alone) == 1 else "have one patient each"
        yield f"{', '.join(alone)} {have}: no interval of a mean over modalities is given."
