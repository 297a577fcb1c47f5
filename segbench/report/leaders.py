"""Which method leads a measure, and which methods cannot be told apart."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, count
from typing import Any

import numpy as np
import pandas as pd

from segbench.report.case_scores import (
    CaseScores,
    case_scores,
    case_scores_by,
    ranked_only,
)
from segbench.report.frames import MEASURES
from segbench.report.paired_tests import holm, smallest_p
from segbench.report.pairs import compare_differences, excludes_zero
from segbench.report.resampling import (
    AVERAGES,
    Floats,
    Resampling,
    bootstrap_means,
    means,
    percentile_intervals,
)

LEADER_COLUMNS = ("measure", "average", "best", "leads", "tied")
GROUP_COLUMNS = ("measure", "group", "method", "mean")


def leaders(
    cases: pd.DataFrame,
    *,
    measures: Collection[str] = MEASURES,
    by: Sequence[str] = (),
    resampling: Resampling = Resampling(),
) -> pd.DataFrame:
    """Return which ranked method leads each measure.

    The method with the largest mean leads if the bootstrap interval of its difference excludes 0
    against every other ranked method. That needs no correction for several comparisons, as all of
    them must hold at once (an intersection-union test).

    Parameters
    ----------
    by : columns that split the cases, such as modality or has_boxes

    Returns
    -------
    DataFrame, one row per group, average and measure, with the columns
        those of ``by``, measure
        average : micro (mean over cases) or macro (mean over modalities of their means)
        best : the method with the largest mean, also if it does not lead
        leads : whether it leads
        tied : tuple of the best and all methods that cannot be told from it, in the order of the
            frame; empty if it leads
        Nothing can be said, best is None and tied empty, if there are fewer than two ranked
        methods, if they do not all have the same cases, for macro if a modality has one patient,
        and with fewer than six patients (at the confidence 0.95): the permutation test of five
        cannot reach 0.05, and intervals of so few exclude 0 too often.

    References
    ----------
    Berger, Technometrics 24:295 (1982): intersection-union tests.
    """
    ranked = ranked_only(cases)
    methods = pd.unique(ranked["method"]).tolist()
    pattern = resampling.patient_pattern
    groups = case_scores_by(ranked, by, measures, patient_pattern=pattern, methods=methods)
    rows = [keys | row for keys, scores in groups for row in _leader_rows(scores, resampling)]
    frame = pd.DataFrame(rows, columns=[*by, *LEADER_COLUMNS])
    best = pd.Series([row["best"] for row in rows], dtype=object)  # a str column has no None
    return frame.assign(best=best)


def fewest_patients(resampling: Resampling = Resampling()) -> int:
    """Return how many patients are needed to say anything: with fewer, no test is significant."""
    return next(n for n in count(2) if smallest_p(n) <= resampling.alpha)


def measure_groups(
    cases: pd.DataFrame,
    *,
    measures: Collection[str] = MEASURES,
    resampling: Resampling = Resampling(),
) -> pd.DataFrame:
    """Return groups of methods that cannot be told apart, on the cases common to all ranked ones.

    Two methods are told apart if the interval of their difference excludes 0 and the permutation
    test is significant after Holm over all pairs of the measure. ``separate`` makes the groups.

    Returns
    -------
    DataFrame, one row per measure and method, best first, with the columns
        measure, method, mean
        group : 1 for the best method and all that cannot be told from it, and so on
        No rows without two methods and a case that they have in common.
    """
    pattern = resampling.patient_pattern
    scores = case_scores(ranked_only(cases), measures, patient_pattern=pattern).common()
    rows: list[tuple[str, int, str, float]] = []
    if len(scores.methods) < 2 or scores.n_cases == 0:
        return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))
    for at, measure in enumerate(scores.measures):
        values = scores.values[:, :, at]
        means_of = dict(zip(scores.methods, values.mean(axis=0).tolist(), strict=True))
        pairs = method_pairs(values, scores, resampling=resampling)
        order = sorted(means_of, key=lambda name: -means_of[name])
        groups = separate(order, told_apart(pairs, resampling.alpha))
        place = {name: i for i, group in enumerate(groups, start=1) for name in group}
        rows += [(measure, place[name], name, means_of[name]) for name in order]
    return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))


def method_pairs(values: Floats, scores: CaseScores, *, resampling: Resampling) -> pd.DataFrame:
    """Compare every two methods in one number per case.

    Parameters
    ----------
    values : float array, shape (cases, methods), higher is better, without NaN
    scores : the scores whose cases and methods these are

    Returns
    -------
    DataFrame, one row per pair, with the columns
        method_a, method_b, those of ``compare_differences``, and p_holm: after Holm over all rows
    """
    pairs = list(combinations(range(len(scores.methods)), 2))
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    differences = values[:, first] - values[:, second]
    frame = compare_differences(
        differences, scores.patients, scores.modalities, resampling=resampling
    )
    frame.insert(0, "method_a", [scores.methods[i] for i in first])
    frame.insert(1, "method_b", [scores.methods[j] for j in second])
    return frame.assign(p_holm=holm(frame["p"].to_numpy()))


def told_apart(pairs: pd.DataFrame, alpha: float) -> frozenset[frozenset[str]]:
    """Return the pairs of methods that differ: by interval, and by the test after Holm."""
    differ = pairs[excludes_zero(pairs) & (pairs["p_holm"] <= alpha)]
    return frozenset(map(frozenset, zip(differ["method_a"], differ["method_b"], strict=True)))


def separate(
    methods: Sequence[str], apart: frozenset[frozenset[str]]
) -> tuple[tuple[str, ...], ...]:
    """Split methods, best first, into groups that cannot be told from the first of the group.

    The best method and every method that cannot be told from it are the first group; the best of
    the rest starts the next one. Members of a group may differ from each other, and a method may
    be in an earlier group than one with a better mean, if its differences vary more.
    """
    groups, rest = [], list(methods)
    while rest:
        group = tuple(name for name in rest if frozenset((rest[0], name)) not in apart)
        groups.append(group)
        rest = [name for name in rest if name not in group]
    return tuple(groups)


def _leader_rows(scores: CaseScores, resampling: Resampling) -> Iterator[dict[str, Any]]:
    enough = scores.n_patients >= fewest_patients(resampling)
    comparable = len(scores.methods) > 1 and scores.present.all() and enough
    best = _best_methods(scores) if comparable else {}
    low = _lower_bounds(scores, best, resampling) if comparable else {}
    for average in AVERAGES:
        for at, measure in enumerate(scores.measures):
            row = {"measure": measure, "average": average, "best": None, "leads": False, "tied": ()}
            if comparable:
                row |= _leader(scores.methods, best[average][at], low[average][:, at])
            yield row


def _leader(methods: Sequence[str], best: int, low: Floats) -> dict[str, Any]:
    others = np.arange(len(methods)) != best
    if np.isnan(low[others]).any():
        return {}
    if (low[others] > 0).all():
        return {"best": methods[best], "leads": True}
    tied = tuple(name for i, name in enumerate(methods) if i == best or not low[i] > 0)
    return {"best": methods[best], "tied": tied}


def _best_methods(scores: CaseScores) -> dict[str, list[int]]:
    """Return the number of the best method by average and measure."""
    columns = means(scores.values.reshape(scores.n_cases, -1), scores.modalities)
    shape = scores.values.shape[1:]
    return {name: mean.reshape(shape).argmax(axis=0).tolist() for name, mean in columns.items()}


def _lower_bounds(
    scores: CaseScores, best: dict[str, list[int]], resampling: Resampling
) -> dict[str, Floats]:
    """Return by average the lower bounds of best - method, shape (methods, measures)."""
    distinct = {tuple(numbers) for numbers in best.values()}  # often the same for both averages
    found = {numbers: _bounds_of(scores, list(numbers), resampling) for numbers in distinct}
    return {average: found[tuple(numbers)][average] for average, numbers in best.items()}


def _bounds_of(scores: CaseScores, best: list[int], resampling: Resampling) -> dict[str, Floats]:
    top = scores.values[:, best, range(len(scores.measures))]
    # differences of cases, not of means: those of equal methods are exactly 0
    differences = (top[:, None] - scores.values).reshape(scores.n_cases, -1)
    draws = bootstrap_means(differences, scores.patients, scores.modalities, resampling=resampling)
    intervals = percentile_intervals(draws, resampling.confidence)
    shape = scores.values.shape[1:]
    return {average: low.reshape(shape) for average, (low, _) in intervals.items()}
