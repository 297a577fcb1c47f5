"""Ranks of methods in each case and by two rules, and in every bootstrap resample.

``ranking`` makes the table of ranks of these. The third rule, test-then-rank, has no resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from segbench.report.case_scores import CaseScores
from segbench.report.resampling import AVERAGES, Floats, Resampling, bootstrap_means, means

Ties = Literal["min", "average"]
RULES = ("rank_then_aggregate", "aggregate_then_rank", "test_then_rank")


class RankDraws(NamedTuple):
    """What one rule and average says of the methods, and their ranks in every resample."""

    rule: str
    average: str
    methods: tuple[str, ...]
    scores: Floats  # (methods,), lower is better
    ranks: Floats  # (draws, methods), NaN where a mean has no interval


def rank_draws(scores: CaseScores, ties: Ties, resampling: Resampling) -> Iterator[RankDraws]:
    """Yield the mean ranks and the ranks in every resample, by rule and average.

    Parameters
    ----------
    scores : of cases that all methods have, or with missing ones that count as the worst
    """
    for rule, found in (
        (RULES[0], _rank_then_aggregate(scores, ties, resampling)),
        (RULES[1], _aggregate_then_rank(scores, ties, resampling)),
    ):
        for average, (mean_ranks, ranks) in zip(AVERAGES, found, strict=True):
            yield RankDraws(rule, average, scores.methods, mean_ranks, ranks)


def case_ranks(values: Floats, ties: Ties = "min") -> Floats:
    """Rank methods in each case and measure: 1 is the best, NaN gets the last rank + 1.

    Parameters
    ----------
    values : float array, shape (cases, methods, measures), higher is better, NaN where missing

    Returns
    -------
    float array, same shape
    """
    missing = np.isnan(values)
    ranks = rank_along(np.where(missing, np.inf, -values), ties, axis=1)
    last = np.where(missing, 0, ranks).max(axis=1, keepdims=True)
    return np.where(missing, last + 1, ranks)


def _rank_then_aggregate(
    scores: CaseScores, ties: Ties, resampling: Resampling
) -> Iterator[tuple[Floats, Floats]]:
    values = case_ranks(scores.values, ties).mean(axis=2)
    mean_ranks = means(values, scores.modalities)
    draws = bootstrap_means(values, scores.patients, scores.modalities, resampling=resampling)
    for average in AVERAGES:
        yield mean_ranks[average], rank_along(draws[average], ties, axis=1)


def _aggregate_then_rank(
    scores: CaseScores, ties: Ties, resampling: Resampling
) -> Iterator[tuple[Floats, Floats]]:
    values = np.nan_to_num(scores.values, nan=0.0).reshape(scores.n_cases, -1)
    shape = (-1, *scores.values.shape[1:])
    mean_scores = means(values, scores.modalities)
    draws = bootstrap_means(values, scores.patients, scores.modalities, resampling=resampling)
    for average in AVERAGES:
        (mean_ranks,) = _mean_ranks(mean_scores[average].reshape(shape), ties)
        ranks = _mean_ranks(draws[average].reshape(shape), ties)
        yield mean_ranks, rank_along(ranks, ties, axis=1)


def _mean_ranks(mean_scores: Floats, ties: Ties) -> Floats:
    """Return ranks by measure, averaged over measures: (..., methods, measures) -> (..., methods).

    Lower is better.
    """
    mean_ranks: Floats = rank_along(-mean_scores, ties, axis=1).mean(axis=2)
    return mean_ranks


def rank_along(values: Floats, ties: Ties, *, axis: int) -> Floats:
    """Rank along an axis, the lowest value first; values equal to 12 digits are ties.

    Means of equal numbers may differ in the last bits, as they are summed in another order.
    """
    from scipy.stats import rankdata  # takes a second to import

    ranks: Floats = rankdata(np.round(values, 12), method=ties, axis=axis).astype(np.float64)
    return ranks
