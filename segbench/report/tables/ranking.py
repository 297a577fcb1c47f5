"""Ranks of the methods by the challenge's rule and by two others, with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isnan
from typing import Any

import pandas as pd

from segbench.report.comparison import common_cases
from segbench.report.frames import MEASURES, Results
from segbench.report.leaders import fewest_patients
from segbench.report.ranking import Missing, Ranking, rank_methods
from segbench.report.ranks import RULES, Ties
from segbench.report.resampling import Resampling
from segbench.report.statistics import short_sample_note
from segbench.report.tables.means import number_columns
from segbench.report.tables.notes import coverage_notes, missing_case_notes, policy_note
from segbench.report.tables.table import Cell, Column, Row, Table

NO_INTERVAL = " [–]"
CHALLENGE, BY_MEANS, BY_TESTS = RULES
RULE_NAMES = {
    (CHALLENGE, "micro"): "the challenge's rule",
    (CHALLENGE, "macro"): "macro rank",
    (BY_MEANS, "micro"): "means",
    (BY_MEANS, "macro"): "macro means",
    (BY_TESTS, "micro"): "tests",
}
TIES_TEXT = {"min": "the best of their ranks", "average": "the mean of their ranks"}

Key = tuple[str, str, str]  # rule, average, method


def rank_runs(
    results: Results,
    *,
    ties: Ties = "min",
    missing: Missing = "common",
    resampling: Resampling = Resampling(),
) -> Ranking:
    """Rank the methods that have a scored case; a run that has just started changes no rank.

    Parameters
    ----------
    ties, missing : as for ``rank_methods``
    """
    scored = results.cases[results.cases["scored"]]
    return rank_methods(scored, ties=ties, missing=missing, resampling=resampling)


def ranks_with_groups(ranking: Ranking) -> pd.DataFrame:
    """Return ``Ranking.table`` with the column group: 1 for the best method and those like it."""
    groups = _group_numbers(ranking)
    return ranking.table.assign(group=ranking.table["method"].map(groups).astype("int64"))


def ranking_table(
    results: Results,
    ranking: Ranking,
    *,
    ties: Ties = "min",
    resampling: Resampling = Resampling(),
) -> Table | None:
    """Return the ranks of every method by rule, None if there is no ranking.

    The rows are in the order of the challenge's rule, in groups that can be told apart.

    Parameters
    ----------
    ranking : from ``rank_runs`` of these results, with these ``ties`` and this ``resampling``
    """
    if ranking.table.empty:
        return None
    ranks = ranking.table
    if ranking.n_patients < fewest_patients(resampling):  # they would look certain
        ranks = ranks.assign(rank_low=math.nan, rank_high=math.nan)
    rows = {(row["rule"], row["average"], row["method"]): row for row in _records(ranks)}
    titles = ("Rank", "Macro rank", "By means", "Macro means")
    return Table(
        name="ranking",
        title="Ranking",
        columns=(
            *(Column("Method"), *number_columns("Group", "Mean rank")),
            *(Column(title, "r", intervals=True) for title in titles),
            *number_columns("Tests", "Won"),
        ),
        groups=tuple(
            tuple(_row(rows, method, number) for method in group)
            for number, group in _numbered(ranking)
        ),
        notes=(
            *_winner_notes(ranking),
            *_group_notes(ranking),
            *_definitions(ties, resampling),
            *ranking_notes(results, ranking, resampling),
        ),
    )


def ranking_notes(
    results: Results, ranking: Ranking, resampling: Resampling = Resampling()
) -> tuple[str, ...]:
    """Return the notes on the cases and methods of a ranking."""
    methods = results.methods
    scored = results.cases[results.cases["scored"]]
    unscored = methods[methods["ranked"] & ~methods["method"].isin(scored["method"])]
    return (
        *(note for note in ranking.notes if note != "The winner depends on the rule."),
        *(f"{name} has no scored case and is not ranked." for name in unscored["method"]),
        *(
            f"{name} sees the reference: an upper bound, not ranked."
            for name in methods.loc[~methods["ranked"], "method"]
        ),
        short_sample_note(_used_cases(results, ranking), resampling),
        *coverage_notes(results),
        policy_note(results.policy),
        *missing_case_notes(replace(results, methods=methods.drop(unscored.index))),
    )


def _used_cases(results: Results, ranking: Ranking) -> pd.DataFrame:
    cases = (common_cases(results) if ranking.n_left_out else results).cases
    return cases[cases["ranked"]]


def _row(rows: Mapping[Key, Mapping[Any, Any]], method: str, group: int) -> Row:
    challenge, tests = rows[CHALLENGE, "micro", method], rows[BY_TESTS, "micro", method]
    return (
        *(Cell(method), Cell(group), Cell(float(challenge["score"]), digits=2)),
        *(
            _rank_cell(rows[rule, average, method])
            for rule in (CHALLENGE, BY_MEANS)
            for average in ("micro", "macro")
        ),
        replace(_rank_cell(tests), suffix=""),
        Cell(float(tests["score"]), digits=2),
    )


def _rank_cell(row: Mapping[Any, Any]) -> Cell:
    rank, low, high = (float(row[name]) for name in ("rank", "rank_low", "rank_high"))
    if isnan(low):
        return Cell(rank, digits=0 if rank.is_integer() else 1, suffix=NO_INTERVAL)
    whole = all(number.is_integer() for number in (rank, low, high))
    return Cell(rank, digits=0 if whole else 1, interval=(low, high))


def _winner_notes(ranking: Ranking) -> Iterator[str]:
    """Say who wins by which rule; one sentence if it is the same for all."""
    rules: dict[frozenset[str], list[str]] = {}
    for key, winners in ranking.winners.items():
        rules.setdefault(winners, []).append(RULE_NAMES[key])
    without = rules.pop(frozenset(), [])
    none = f"by {', '.join(without)} no method wins" if without else ""
    if len(rules) == 1:
        first = f"First by every {'other ' if none else ''}rule: {_names(ranking, *rules)}"
        yield "; ".join(filter(None, (first, none))) + "."
        return
    parts = (f"{_names(ranking, who)} by {', '.join(names)}" for who, names in rules.items())
    yield f"The winner depends on the rule: {'; '.join(filter(None, (*parts, none)))}."


def _group_notes(ranking: Ranking) -> Iterator[str]:
    if len(ranking.groups) == 1:
        yield "No method can be told from the best; their order is not established."
    elif all(len(group) == 1 for group in ranking.groups):
        yield "Every two methods can be told apart."
    else:
        groups = (f"Group {number}: {', '.join(group)}." for number, group in _numbered(ranking))
        yield (
            f"{' '.join(groups)} The methods of a group cannot be told from its first; their order "
            "is not established."
        )


def _definitions(ties: Ties, resampling: Resampling) -> Iterator[str]:
    percent = f"{100 * resampling.confidence:g} %"
    yield (
        "Rank: the challenge's rule. Methods are ranked in each case by "
        f"{_and(MEASURES.values())}, and these ranks are averaged (mean rank). By means: the means "
        "over cases are ranked, and the ranks of the measures are averaged. Tests: rank by the "
        "share (won) of one-sided Wilcoxon tests against the others that a method wins, p < "
        f"{resampling.alpha:.3g} without correction."
    )
    yield (
        f"Macro: means over modalities instead of cases. Equal scores have {TIES_TEXT[ties]}. "
        f"Brackets: {percent} interval, bootstrap over patients, {resampling.draws:,} draws, seed "
        f"{resampling.seed}; [–]: none can be computed."
    )
    yield (
        "Group: two methods are told apart if the interval of their difference of mean ranks "
        "excludes 0 and the permutation test is significant after Holm over all pairs."
    )


def _group_numbers(ranking: Ranking) -> dict[str, int]:
    return {method: number for number, group in _numbered(ranking) for method in group}


def _numbered(ranking: Ranking) -> Iterator[tuple[int, tuple[str, ...]]]:
    yield from enumerate(ranking.groups, start=1)


def _names(ranking: Ranking, methods: frozenset[str]) -> str:
    """Join names in the order of the challenge's rule."""
    return " and ".join(name for name in _group_numbers(ranking) if name in methods)


def _and(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame.to_dict("records")
