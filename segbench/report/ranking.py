"""Rankings of methods by three rules, with intervals of ranks.

``rank_then_aggregate`` is the challenge's rule: methods are ranked in every case and measure, and
the ranks are averaged over measures and cases. ``aggregate_then_rank`` ranks the means of each
measure and averages these ranks over measures. ``test_then_rank`` counts significant one-sided
paired Wilcoxon tests; like its original it treats cases as independent and corrects for nothing.
The definitions are those of challengeR; the bootstrap is not, see ``resampling``.

Methods that see the reference are not in a ranking and change nobody's rank.

References
----------
Wiesenfarth et al., Sci Rep 11:2369 (2021), doi:10.1038/s41598-021-82017-6: challengeR.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import permutations
from math import nan
from typing import Any, Literal

import numpy as np
import pandas as pd

from segbench.messages import are, counted
from segbench.report.case_scores import CaseScores, case_scores, ranked_only
from segbench.report.frames import MEASURES
from segbench.report.leaders import method_pairs, separate, told_apart
from segbench.report.paired_tests import wilcoxon_greater
from segbench.report.ranks import RULES, RankDraws, Ties, case_ranks, rank_along, rank_draws
from segbench.report.resampling import AVERAGES, Floats, Resampling

Missing = Literal["common", "last"]
RANK_COLUMNS = ("rule", "average", "method", "score", "rank", "rank_low", "rank_high")


@dataclass(frozen=True)
class Ranking:
    """Ranks of methods by every rule, and which methods cannot be told apart."""

    table: pd.DataFrame
    """One row per rule, average (micro, macro) and method, best first: rule, average, method;
    score (the mean rank, lower is better; for test_then_rank the share of tests won, higher is
    better); rank; rank_low and rank_high (bootstrap interval; NaN for test_then_rank, for fewer
    than two patients, and for macro with a modality of one patient)."""
    pairs: pd.DataFrame
    """Every two methods by mean rank in the cases, with the columns of ``method_pairs``; a
    positive difference means that method_a has the better rank."""
    groups: tuple[tuple[str, ...], ...]
    """Methods in the order of the challenge's rule, split where they can be told apart."""
    n_cases: int
    n_patients: int
    n_left_out: int
    """Cases that a ranked method lacks; they are not in the ranking."""
    n_filled: int
    """Missing cases of single methods that got the last rank."""

    @property
    def winners(self) -> dict[tuple[str, str], frozenset[str]]:
        """The methods with the best rank, by rule and average; none if no test is won."""
        groups = self.table.groupby(["rule", "average"], sort=False)
        return {(str(rule), str(by)): _winners_of(str(rule), rows) for (rule, by), rows in groups}

    @property
    def winner_changes(self) -> bool:
        """Whether rules or averages have different winners, apart from rules without any."""
        return len(set(filter(None, self.winners.values()))) > 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the ranks must know about missing cases and winners."""
        if self.table.empty:
            return ("No ranking: it needs two ranked methods with a common case.",)
        notes = []
        if self.n_left_out:
            total = self.n_cases + self.n_left_out
            notes.append(
                f"{self.n_left_out} of {counted(total, 'case')} {are(self.n_left_out)} left out: "
                f"a ranked method lacks {'it' if self.n_left_out == 1 else 'them'}."
            )
        if self.n_filled:
            have = "has" if self.n_filled == 1 else "have"
            notes.append(
                f"{counted(self.n_filled, 'missing case')} of single methods {have} the last rank."
            )
        if self.winner_changes:
            notes.append("The winner depends on the rule.")
        return tuple(notes)


def _winners_of(rule: str, rows: pd.DataFrame) -> frozenset[str]:
    best = rows[rows["rank"] == rows["rank"].min()]
    if rule == RULES[2]:  # a share of tests: equal shares of nothing are no victory
        best = best[best["score"] > 0]
    return frozenset(map(str, best["method"]))


def rank_methods(
    cases: pd.DataFrame,
    *,
    measures: Collection[str] = MEASURES,
    ties: Ties = "min",
    missing: Missing = "common",
    resampling: Resampling = Resampling(),
) -> Ranking:
    """Rank the methods of a frame ``cases`` by every rule.

    Failed cases have the scores of the policy with which the frame was made.

    Parameters
    ----------
    ties : the rank of equal scores: the best of theirs (min) or the mean of theirs (average)
    missing : only cases that all ranked methods have (common), or all cases; then a method that
        lacks a case has the rank after the last one there, and scores 0 where a rule needs a score.
        Groups, tests and intervals then follow from missing cases, too; without any common case
        there is no ranking
    """
    pattern = resampling.patient_pattern
    scores = case_scores(ranked_only(cases), measures, patient_pattern=pattern)
    kept = scores.common() if missing == "common" else scores
    n_left_out = scores.n_cases - kept.n_cases
    if len(kept.methods) < 2 or scores.common().n_cases == 0:
        empty = pd.DataFrame(columns=list(RANK_COLUMNS))
        return Ranking(empty, pd.DataFrame(), (), kept.n_cases, kept.n_patients, n_left_out, 0)
    drawn = rank_draws(kept, ties, resampling)
    rows = [row for each in drawn for row in _rule_rows(each, ties, resampling.confidence)]
    rows += _test_then_rank(kept, ties, resampling)
    table = pd.DataFrame(rows, columns=list(RANK_COLUMNS))
    ranks = case_ranks(kept.values, ties).mean(axis=2)
    pairs = method_pairs(-ranks, kept, resampling=resampling)
    challenge = table[(table["rule"] == RULES[0]) & (table["average"] == AVERAGES[0])]
    groups = separate(challenge["method"].tolist(), told_apart(pairs, resampling.alpha))
    n_filled = int((~kept.present).sum())
    return Ranking(table, pairs, groups, kept.n_cases, kept.n_patients, n_left_out, n_filled)


def _test_then_rank(
    scores: CaseScores, ties: Ties, resampling: Resampling
) -> Iterator[dict[str, Any]]:
    shares = _shares_of_tests_won(np.nan_to_num(scores.values, nan=0.0), resampling.alpha)
    no_draws = np.full((1, len(shares)), nan)
    ranks = RankDraws(RULES[2], AVERAGES[0], scores.methods, -shares, no_draws)
    for row in _rule_rows(ranks, ties, resampling.confidence):
        yield row | {"score": abs(row["score"])}


def _shares_of_tests_won(values: Floats, alpha: float) -> Floats:
    """Return for each method the share of tests against the others, in all measures, it wins."""
    n_methods, n_measures = values.shape[1:]
    won = np.zeros(n_methods)
    for a, b in permutations(range(n_methods), 2):
        differences = values[:, a] - values[:, b]
        won[a] += sum(wilcoxon_greater(column) < alpha for column in differences.T)
    shares: Floats = won / (n_measures * (n_methods - 1))
    return shares


def _rule_rows(found: RankDraws, ties: Ties, confidence: float) -> Iterator[dict[str, Any]]:
    """Yield the rows of one rule, best first."""
    ranks = rank_along(found.scores, ties, axis=0)
    tail = (1 - confidence) / 2
    # ranks that occurred, not numbers between two ranks
    low = np.quantile(found.ranks, tail, axis=0, method="lower")
    high = np.quantile(found.ranks, 1 - tail, axis=0, method="higher")
    for i in np.argsort(ranks, kind="stable"):
        yield {
            "rule": found.rule,
            "average": found.average,
            "method": found.methods[i],
            "score": found.scores[i],
            "rank": ranks[i],
            "rank_low": low[i],
            "rank_high": high[i],
        }
