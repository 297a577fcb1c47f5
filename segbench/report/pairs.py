"""Every two methods compared on the cases that both have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.errors import RunError
from segbench.report.case_scores import CaseScores, case_scores, ranked_only
from segbench.report.frames import MEASURES
from segbench.report.paired_tests import (
    false_claim_probability,
    holm,
    permutation_test,
    rank_biserial,
    sums_by_patient,
)
from segbench.report.resampling import Floats, Resampling, bootstrap_means, percentile_interval

Margins = float | Mapping[str, float]
Pair = tuple[int, int]
PAIR_COLUMNS = (
    *("measure", "method_a", "method_b", "n_cases", "n_patients", "n_left_out"),
    *("mean_a", "mean_b", "difference", "low", "high", "wins", "ties", "losses", "effect"),
    *("p", "p_min", "exact", "p_holm", "n_family", "false_claim"),
    *("margin", "margin_low", "margin_high", "equivalent"),
)


def compare_pairs(
    cases: pd.DataFrame,
    *,
    measures: Collection[str] = MEASURES,
    tie_margin: Margins = 0.0,
    equivalence_margin: Margins | None = None,
    resampling: Resampling = Resampling(),
) -> pd.DataFrame:
    """Compare every two ranked methods in every measure, on the cases that both have.

    Parameters
    ----------
    cases : the frame ``cases``
    tie_margin : a case is a tie if its difference is not larger, for all measures or by measure
    equivalence_margin : the difference up to which two methods count as equivalent, for all
        measures or by measure; without one nothing is said about equivalence

    Returns
    -------
    DataFrame, one row per measure and pair, with the columns
        measure, method_a, method_b
        n_cases, n_patients : that both methods have
        n_left_out : cases that only one of them has
        mean_a, mean_b : means over the common cases
        difference, low, high : mean_a - mean_b and its bootstrap interval
        wins, ties, losses : cases in which a is better, neither is, b is
        effect : matched-pairs rank-biserial correlation, positive if a is better
        p, p_min, exact : permutation test that swaps whole patients, the smallest p-value that
            was possible, and whether all permutations were enumerated
        p_holm, n_family : p-value after Holm over all rows of this frame, and their number
        false_claim : probability that the method with the larger mean is not truly better
        margin : the equivalence margin, NaN without one
        margin_low, margin_high : the interval of the difference at the confidence 1 - 2 alpha
        equivalent : whether that interval is inside the margin, which is a TOST at the level
            alpha; None without a margin or an interval

    Raises
    ------
    RunError
        If a margin is out of its range or of an unknown measure.

    References
    ----------
    Schuirmann, J Pharmacokinet Biopharm 15:657 (1987): TOST.
    """
    ties = _by_measure(tie_margin, measures, "tie_margin", default=0.0)
    margins = _by_measure(equivalence_margin, measures, "equivalence_margin", default=np.nan)
    scores = case_scores(ranked_only(cases), measures, patient_pattern=resampling.patient_pattern)
    frames = [
        _pairs_frame(scores, pairs, ties=ties, margins=margins, resampling=resampling)
        for pairs in _pairs_with_same_cases(scores)
    ]
    if not frames:
        return pd.DataFrame(columns=list(PAIR_COLUMNS))
    return _with_family(_in_order(pd.concat(frames), scores))


def compare_differences(
    differences: Floats,
    patients: NDArray[np.str_],
    modalities: NDArray[np.str_],
    *,
    resampling: Resampling,
) -> pd.DataFrame:
    """Compare the mean of each column of paired differences with 0.

    Parameters
    ----------
    differences : float array, shape (cases, comparisons), positive if the first method is better
    patients, modalities : str arrays, shape (cases,)

    Returns
    -------
    DataFrame, one row per column of ``differences``
        difference, low, high, effect, p, p_min, exact, false_claim, margin_low, margin_high as
        ``compare_pairs`` has them.
    """
    mean = differences.mean(axis=0)
    draws = bootstrap_means(differences, patients, modalities, resampling=resampling)["micro"]
    low, high = percentile_interval(draws, resampling.confidence)
    margin_low, margin_high = percentile_interval(draws, max(0.0, 1 - 2 * resampling.alpha))
    sums, n_cases = sums_by_patient(differences, patients)
    test = permutation_test(sums, draws=resampling.draws, seed=resampling.seed)
    columns = {
        "difference": mean,
        "low": low,
        "high": high,
        "effect": [rank_biserial(column) for column in differences.T],
        "p": test.p,
        "p_min": test.p_min,
        "exact": test.exact,
        "false_claim": false_claim_probability(sums, n_cases),
        "margin_low": margin_low,
        "margin_high": margin_high,
    }
    return pd.DataFrame(columns)


def excludes_zero(pairs: pd.DataFrame) -> pd.Series[bool]:
    """Return for each row whether its interval of the difference excludes 0."""
    return (pairs["low"] > 0) | (pairs["high"] < 0)


def _pairs_with_same_cases(scores: CaseScores) -> Iterator[list[Pair]]:
    """Yield lists of pairs that have the same common cases, and at least one."""
    present, lists = scores.present, dict[bytes, list[Pair]]()
    for a, b in combinations(range(len(scores.methods)), 2):
        both = present[:, a] & present[:, b]
        if both.any():
            lists.setdefault(both.tobytes(), []).append((a, b))
    yield from lists.values()


def _pairs_frame(
    scores: CaseScores,
    pairs: list[Pair],
    *,
    ties: Mapping[str, float],
    margins: Mapping[str, float],
    resampling: Resampling,
) -> pd.DataFrame:
    first, second = (list(side) for side in zip(*pairs, strict=True))
    present = scores.present
    common = scores.select(present[:, first[0]] & present[:, second[0]])
    shape = common.n_cases, len(pairs) * len(scores.measures)
    a, b = (common.values[:, side].reshape(shape) for side in (first, second))
    frame = compare_differences(a - b, common.patients, common.modalities, resampling=resampling)
    either = [int((present[:, i] | present[:, j]).sum()) for i, j in pairs]
    frame["measure"] = list(scores.measures) * len(pairs)
    frame["method_a"] = np.repeat([scores.methods[i] for i in first], len(scores.measures))
    frame["method_b"] = np.repeat([scores.methods[j] for j in second], len(scores.measures))
    frame["n_cases"], frame["n_patients"] = common.n_cases, common.n_patients
    frame["n_left_out"] = np.repeat(either, len(scores.measures)) - common.n_cases
    frame["mean_a"], frame["mean_b"] = a.mean(axis=0), b.mean(axis=0)
    tie = frame["measure"].map(ties).to_numpy() + 1e-12  # as equal as in a ranking
    frame["wins"], frame["losses"] = (a - b > tie).sum(axis=0), (b - a > tie).sum(axis=0)
    frame["ties"] = common.n_cases - frame["wins"] - frame["losses"]
    frame["margin"] = frame["measure"].map(margins)
    frame["equivalent"] = _equivalent(frame)
    return frame


def _equivalent(frame: pd.DataFrame) -> pd.Series[bool]:
    inside = (frame["margin_low"] > -frame["margin"]) & (frame["margin_high"] < frame["margin"])
    known = frame[["margin", "margin_low"]].notna().all(axis=1)
    return inside.astype(object).where(known, None)


def _in_order(frame: pd.DataFrame, scores: CaseScores) -> pd.DataFrame:
    """Sort rows by measure, then by the order of the methods."""
    places = {name: i for i, name in enumerate((*scores.measures, *scores.methods))}
    keys = ["measure", "method_a", "method_b"]
    return frame.sort_values(keys, key=lambda column: column.map(places), ignore_index=True)


def _with_family(frame: pd.DataFrame) -> pd.DataFrame:
    frame["p_holm"] = holm(frame["p"].to_numpy())
    frame["n_family"] = len(frame)
    return frame[list(PAIR_COLUMNS)]


def _by_measure(
    margins: Margins | None, measures: Collection[str], name: str, *, default: float
) -> dict[str, float]:
    """Return the margin of every measure, ``default`` where none is given."""
    given = margins if isinstance(margins, Mapping) else {}
    if margins is not None and not isinstance(margins, Mapping):
        given = dict.fromkeys(measures, margins)
    unknown = sorted(set(given) - set(measures))
    if unknown:
        raise RunError(f"{name}: expected measures of {', '.join(measures)}, found {unknown[0]}")
    for measure, margin in given.items():
        if not 0 <= margin < np.inf:
            raise RunError(f"{name}: {measure}: expected a number of 0 or more, found {margin}")
    return {measure: given.get(measure, default) for measure in measures}
