"""Tests and effect sizes of paired differences, with the patient as the unit.

A column of differences is one comparison (one pair of methods and one measure). No function here
knows of methods or frames. scipy.stats is imported where it is used: it takes a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MAX_EXACT = 12  # patients: 2048 distinct permutations
_BLOCK = 4_000_000  # numbers in one block of signs or statistics: 32 MB


class PermutationTest(NamedTuple):
    """Two-sided p-values, the smallest ones that were possible, and which are exact."""

    p: Floats
    p_min: Floats
    exact: NDArray[np.bool_]


def sums_by_patient(differences: Floats, patients: NDArray[np.str_]) -> tuple[Floats, Floats]:
    """Return the sums of each column by patient, (patients, columns), and their case numbers."""
    _, patient, n_cases = np.unique(patients, return_inverse=True, return_counts=True)
    sums = np.zeros((len(n_cases), differences.shape[1]))
    np.add.at(sums, patient, differences)
    return sums, n_cases.astype(np.float64)


def permutation_test(sums: Floats, *, draws: int, seed: int) -> PermutationTest:
    """Test whether two methods could be swapped, for a whole patient at once.

    The statistic is the absolute difference of means. Swapping the methods of a patient changes
    the sign of the patient's sum of differences. All permutations are enumerated for up to 12
    patients that have a sum other than 0, which alone matter; otherwise ``draws`` random ones are
    drawn and the p-value is (k + 1) / (draws + 1), never 0.

    Parameters
    ----------
    sums : float array, shape (patients, comparisons), sums of differences by patient

    References
    ----------
    Phipson and Smyth, Stat Appl Genet Mol Biol 9:39 (2010).
    """
    n_moved = (sums != 0).sum(axis=0)
    exact = n_moved <= MAX_EXACT
    p = np.ones(sums.shape[1])
    for column in np.flatnonzero(exact & (n_moved > 0)):
        p[column] = _exact_p(sums[sums[:, column] != 0, column])
    if not exact.all():
        p[~exact] = _random_p(sums[:, ~exact], draws, seed)
    of_enumeration = [smallest_p(n) for n in n_moved.tolist()]
    p_min = np.where(exact, of_enumeration, 1 / (draws + 1))
    return PermutationTest(p, p_min, exact)


def smallest_p(n_patients: int) -> float:
    """Return the smallest p-value of all permutations: that of patients who agree in sign."""
    return min(1.0, 2.0 ** (1 - n_patients))


def holm(p_values: Floats) -> Floats:
    """Return p-values adjusted for all of them together, by Holm's step-down procedure.

    References
    ----------
    Holm, Scand J Stat 6:65 (1979).
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1)
    return adjusted


def rank_biserial(differences: Floats) -> float:
    """Return the matched-pairs rank-biserial correlation of one column of differences.

    The rank sum of positive differences less that of negative ones, divided by the sum of all
    ranks: 1 if every case is better, -1 if every case is worse, 0 if no case differs. Ranks are
    those of the Wilcoxon signed-rank test, cases without a difference are left out.

    References
    ----------
    Kerby, Compr Psychol 3 (2014), doi:10.2466/11.IT.3.1.
    """
    moved = differences[differences != 0]
    if not len(moved):
        return 0.0
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(moved))
    return float((np.sign(moved) * ranks).sum() / ranks.sum())


def false_claim_probability(sums: Floats, n_cases: Floats) -> Floats:
    """Return the probability that the method with the larger mean is not truly better.

    With n patients and a flat prior it is t_{n-1}(-|d| / error) for the mean difference d over
    cases and its standard error. The error is that of a ratio of sums over patients; if all
    patients have equally many cases, d / error is sqrt(n) times the mean of the patients'
    differences over their standard deviation, as in the paper.

    Parameters
    ----------
    sums : float array, shape (patients, comparisons), sums of differences by patient
    n_cases : float array, shape (patients,)

    Returns
    -------
    float array, shape (comparisons,)
        0.5 if the means are equal, NaN for fewer than two patients.

    References
    ----------
    Christodoulou et al., "False promises in medical imaging AI?", arXiv 2505.04720.
    """
    from scipy.stats import t

    n_patients = len(sums)
    if n_patients < 2:
        return np.full(sums.shape[1], np.nan)
    mean = sums.sum(axis=0) / n_cases.sum()
    residuals = sums - n_cases[:, None] * mean
    squares = (residuals**2).sum(axis=0) * n_patients / (n_patients - 1)
    error = np.sqrt(squares) / n_cases.sum()
    certain = np.where(mean != 0, np.inf, 0.0)
    statistic = np.divide(np.abs(mean), error, out=certain, where=error > 1e-15)
    probability: Floats = t.cdf(-statistic, n_patients - 1)
    return probability


def wilcoxon_greater(differences: Floats) -> float:
    """Return the one-sided p-value of Wilcoxon's signed-rank test that differences are positive.

    The normal approximation with continuity correction, as R's ``wilcox.test(exact = FALSE)``
    has it; 1 if no case differs.
    """
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    test = wilcoxon(differences, alternative="greater", method="approx", correction=True)
    return float(test.pvalue)


@lru_cache(maxsize=MAX_EXACT)
def _all_signs(n_patients: int) -> Floats:
    """Return all patterns of signs with the first one positive; the others mirror them."""
    numbers = np.arange(2 ** (n_patients - 1))[:, None]
    return _as_signs((numbers >> np.arange(n_patients)) & 1)


def _exact_p(sums: Floats) -> float:
    statistics = np.abs(_all_signs(len(sums)) @ sums)
    return float((statistics >= _threshold(sums[:, None])).mean())


def _random_p(sums: Floats, draws: int, seed: int) -> Floats:
    threshold, extreme = _threshold(sums), np.zeros(sums.shape[1])
    for signs in _random_signs(sums.shape, draws, np.random.default_rng(seed)):
        extreme += (np.abs(signs @ sums) >= threshold).sum(axis=0)
    return (extreme + 1) / (draws + 1)


def _random_signs(shape: tuple[int, ...], draws: int, rng: np.random.Generator) -> Iterator[Floats]:
    block = max(1, _BLOCK // max(shape))
    for start in range(0, draws, block):
        size = min(block, draws - start), shape[0]
        yield _as_signs(rng.integers(2, size=size, dtype=np.int8))


def _as_signs(bits: NDArray[Any]) -> Floats:
    return 1.0 - 2.0 * bits.astype(np.float64)


def _threshold(sums: Floats) -> Floats:
    """Return the observed statistics, less what rounding may add to an equal one."""
    observed: Floats = np.abs(sums.sum(axis=0)) - 1e-12 * np.abs(sums).sum(axis=0)
    return observed
