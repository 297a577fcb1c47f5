"""A run compared with a baseline on the cases that both have scored.

Every difference is run - baseline: positive means that the run is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import isnan

import pandas as pd

from segbench.errors import RunError
from segbench.messages import counted
from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.modalities import TABLE_3_STYLE
from segbench.report.pairs import Margins, compare_pairs
from segbench.report.resampling import Resampling
from segbench.report.statistics import short_sample_note
from segbench.report.tables.by_label import label_scores
from segbench.report.tables.means import mean
from segbench.report.tables.notes import coverage_notes, missing_case_notes, policy_note

ALL_CASES = "All cases"
_CHECKED = ("difference", "low", "high")
ROUNDING = 1e-12  # 0.70 - 0.72 is a little more than -0.02


@dataclass(frozen=True, eq=False)
class RunComparison:
    """A run compared with a baseline."""

    baseline: str
    method: str
    measures: pd.DataFrame
    """One row per measure, with the columns of ``compare_pairs``; method_a is the run, method_b the
    baseline."""
    by_box: pd.DataFrame
    """Mean differences by modality and box, then over all cases: modality, has_boxes (of the
    baseline; missing for all cases), n and the four measures."""
    by_label: pd.DataFrame
    """One row per case and label, the largest gain first: case, modality, dataset, label, baseline,
    run, difference, all in ``label_measure``."""
    label_measure: str
    resampling: Resampling
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LossCheck:
    """Whether the mean of the run is below that of the baseline by more than is allowed."""

    measure: str
    allowed: float
    difference: float
    low: float
    high: float

    @property
    def failed(self) -> bool:
        """Whether difference < -allowed, but for rounding."""
        return self.difference < -self.allowed - ROUNDING

    @property
    def interval_agrees(self) -> bool | None:
        """Whether all differences of the interval give the same answer; None without interval."""
        if isnan(self.low):
            return None
        return self.high < -self.allowed if self.failed else self.low >= -self.allowed


def compare_runs(
    results: Results,
    *,
    tie_margin: Margins = 0.0,
    equivalence_margin: Margins | None = None,
    label_measure: str = "dsc_final",
    resampling: Resampling = Resampling(),
) -> RunComparison:
    """Compare the second of two runs with the first, the baseline.

    Parameters
    ----------
    results : of exactly two runs, the baseline first
    tie_margin, equivalence_margin : as for ``compare_pairs``
    label_measure : the measure of ``by_label``

    Raises
    ------
    RunError
        If there are not two runs, one of them sees the reference, or no case is common.
    """
    baseline, method = _two_ranked(results)
    common = common_cases(results)
    if common.cases["method"].nunique() < 2:
        raise RunError(
            f"{baseline} and {method}: expected a case that both have scored, found none; a case "
            "is the same if its name and its files are"
        )
    of_run = results.cases["method"] == method
    measures = compare_pairs(
        pd.concat([results.cases[of_run], results.cases[~of_run]]),
        tie_margin=tie_margin,
        equivalence_margin=equivalence_margin,
        resampling=resampling,
    )
    differences = _case_differences(common.cases, baseline, method)
    return RunComparison(
        baseline=baseline,
        method=method,
        measures=measures,
        by_box=_by_box(differences),
        by_label=_by_label(label_scores(common), baseline, method, label_measure),
        label_measure=label_measure,
        resampling=resampling,
        notes=(*_notes(results, resampling), *_box_notes(differences, baseline, method)),
    )


def check_losses(comparison: RunComparison, allowed: Mapping[str, float]) -> tuple[LossCheck, ...]:
    """Return for some measures whether the run is worse by more than the allowed loss."""
    rows = {row["measure"]: row for row in comparison.measures.to_dict("records")}
    return tuple(
        LossCheck(measure, loss, *(float(rows[measure][name]) for name in _CHECKED))
        for measure, loss in allowed.items()
    )


def _two_ranked(results: Results) -> tuple[str, str]:
    methods = results.methods
    if len(methods) != 2:
        raise RunError(f"compare: expected two runs, found {len(methods)}")
    for name in methods.loc[~methods["ranked"], "method"]:
        raise RunError(
            f"compare: expected runs that do not see the reference, found {name}, which is an "
            "upper bound"
        )
    baseline, method = methods["method"]
    return baseline, method


def _case_differences(cases: pd.DataFrame, baseline: str, method: str) -> pd.DataFrame:
    """Return the differences of every common case; ``has_boxes`` is that of the baseline."""
    columns = ["modality", "has_boxes", *MEASURES]
    old, new = (
        cases[cases["method"] == name].set_index("case")[columns] for name in (baseline, method)
    )
    new = new.reindex(old.index)
    differences = new[list(MEASURES)] - old[list(MEASURES)]
    return differences.assign(
        modality=old["modality"],
        has_boxes=old["has_boxes"],
        same_boxes=old["has_boxes"] == new["has_boxes"],
    )


def _by_box(differences: pd.DataFrame) -> pd.DataFrame:
    rows = [(*keys, len(group), *_means(group)) for keys, group in _box_groups(differences)]
    frame = pd.DataFrame(rows, columns=["modality", "has_boxes", "n", *MEASURES])
    return frame.astype({"has_boxes": "boolean"})


def _box_groups(
    differences: pd.DataFrame,
) -> Iterator[tuple[tuple[str, bool | None], pd.DataFrame]]:
    for code, box in product(TABLE_3_STYLE.sort(differences["modality"]), (True, False)):
        group = differences[(differences["modality"] == code) & (differences["has_boxes"] == box)]
        if len(group):
            yield (code, box), group
    yield (ALL_CASES, None), differences


def _means(group: pd.DataFrame) -> list[float]:
    return [mean(group[measure]) for measure in MEASURES]


def _by_label(labels: pd.DataFrame, baseline: str, method: str, measure: str) -> pd.DataFrame:
    score, point = measure.split("_")
    keys = ["case", "modality", "dataset", "label"]
    rows = labels[labels["point"] == point].set_index(keys)
    old, new = (rows.loc[rows["method"] == name, score] for name in (baseline, method))
    frame = pd.DataFrame({"baseline": old, "run": new, "difference": new - old}).reset_index()
    order = ["difference", "case", "label"]
    return frame.sort_values(order, ascending=[False, True, True], ignore_index=True)


def _notes(results: Results, resampling: Resampling) -> tuple[str, ...]:
    return (
        short_sample_note(common_cases(results).cases, resampling),
        *coverage_notes(results),
        policy_note(results.policy),
        *missing_case_notes(results),
    )


def _box_notes(differences: pd.DataFrame, baseline: str, method: str) -> Iterator[str]:
    n_other = int((~differences["same_boxes"]).sum())
    if n_other:
        yield (
            f"{baseline} and {method} do not have the same boxes in "
            f"{counted(n_other, 'case')}; the column Box is that of the baseline."
        )
