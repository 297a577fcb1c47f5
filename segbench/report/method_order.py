"""The order of methods by the challenge's rule, and whether its first two can be told apart.

The numbers are those of ``ranking`` for the same cases; the other rules are not computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from segbench.report.case_scores import CaseScores, case_scores, ranked_only
from segbench.report.leaders import fewest_patients
from segbench.report.ranks import case_ranks
from segbench.report.resampling import (
    Floats,
    Resampling,
    bootstrap_means,
    means,
    percentile_interval,
)


@dataclass(frozen=True)
class MethodOrder:
    """Methods by their mean rank over the cases that all of them have."""

    ranks: Mapping[str, float]
    """The rank of every method, the best first; methods of equal mean rank have the same."""
    n_cases: int
    n_patients: int
    difference: float
    """Mean rank of the second method less that of the first, with its bootstrap interval."""
    low: float
    high: float
    told_apart: bool | None
    """Whether the interval of the difference excludes 0; None with too few patients to say."""

    @property
    def leaders(self) -> tuple[str, ...]:
        """The method of the best rank; several if they share it."""
        return tuple(name for name, rank in self.ranks.items() if rank == 1)

    @property
    def text(self) -> str:
        """All methods, such as ``a > b = c``."""
        names, ranks = list(self.ranks), list(self.ranks.values())
        signs = [" = " if a == b else " > " for a, b in zip(ranks, ranks[1:], strict=False)]
        return "".join(map("".join, zip(["", *signs], names, strict=True)))


def order_methods(
    cases: pd.DataFrame, *, resampling: Resampling = Resampling()
) -> MethodOrder | None:
    """Order the ranked methods of a frame ``cases``, None without two and a case of both."""
    frame, pattern = ranked_only(cases), resampling.patient_pattern
    scores = case_scores(frame, patient_pattern=pattern).common()
    if len(scores.methods) < 2 or scores.n_cases == 0:
        return None
    mean_ranks = case_ranks(scores.values).mean(axis=2)
    averages = means(mean_ranks, scores.modalities)["micro"]
    ranks = case_ranks(-averages[None, :, None]).ravel()
    first, second, *_ = order = np.argsort(ranks, kind="stable").tolist()
    differences = mean_ranks[:, [second]] - mean_ranks[:, [first]]
    low, high = _interval(differences, scores, resampling)
    enough = scores.n_patients >= fewest_patients(resampling)
    return MethodOrder(
        ranks={scores.methods[i]: float(ranks[i]) for i in order},
        n_cases=scores.n_cases,
        n_patients=scores.n_patients,
        difference=float(differences.mean()),
        low=low if enough else nan,
        high=high if enough else nan,
        told_apart=(low > 0 or high < 0) if enough else None,
    )


def kendall_tau(order: MethodOrder, other: MethodOrder) -> float:
    """Return Kendall's tau-b of two orders over the methods of both.

    1 is the same order, -1 the reverse; NaN with fewer than two methods in both, or if all of them
    have one rank.
    """
    from scipy.stats import kendalltau  # takes a second to import

    shared = [name for name in order.ranks if name in other.ranks]
    if len(shared) < 2:
        return nan
    pair = ([each.ranks[name] for name in shared] for each in (order, other))
    return float(kendalltau(*pair).statistic)


def same_order(order: MethodOrder, other: MethodOrder) -> bool:
    """Whether every two methods of both orders are in the same order, or tied, in both."""
    shared = [name for name in order.ranks if name in other.ranks]
    ranks = (np.array([each.ranks[name] for name in shared]) for each in (order, other))
    signs = [np.sign(each[:, None] - each) for each in ranks]
    return bool((signs[0] == signs[1]).all())


def _interval(
    differences: Floats, scores: CaseScores, resampling: Resampling
) -> tuple[float, float]:
    draws = bootstrap_means(differences, scores.patients, scores.modalities, resampling=resampling)[
        "micro"
    ]
    low, high = percentile_interval(draws, resampling.confidence)
    return float(low[0]), float(high[0])
