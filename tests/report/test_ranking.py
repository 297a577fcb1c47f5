"""Rankings, against plain Python (the functions ``plain_*``: lists and loops) and by hand."""

import math
from itertools import combinations
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from segbench.report.frames import MEASURES
from segbench.report.ranking import RANK_COLUMNS, rank_methods
from segbench.report.ranks import RULES, case_ranks
from segbench.report.resampling import Resampling
from tests.report.score_frames import cases_frame, random_scores

FEW = Resampling(draws=200)
CHALLENGE, AGGREGATE, TEST = RULES


def ranking(scores, *, fields=None, **options):
    return rank_methods(cases_frame(scores, **(fields or {})), **({"resampling": FEW} | options))


def column(found, rule, name="score", average="micro"):
    table = found.table
    rows = table[(table["rule"] == rule) & (table["average"] == average)]
    return dict(zip(rows["method"], rows[name].tolist(), strict=True))


def plain_rank(values, value, ties):
    better = sum(other > value for other in values)
    equal = sum(other == value for other in values)
    return better + 1 if ties == "min" else better + (equal + 1) / 2


def plain_case_ranks(values, ties):
    """Rank a list of scores, higher is better; None gets the last rank + 1."""
    present = [value for value in values if value is not None]
    ranks = [None if v is None else plain_rank(present, v, ties) for v in values]
    last = max(rank for rank in ranks if rank is not None)
    return [last + 1 if rank is None else rank for rank in ranks]


def plain_cases(scores, missing):
    n_cases = len(next(iter(scores.values())))
    need = all if missing == "common" else any
    numbers = range(n_cases)
    return [i for i in numbers if need(scores[name][i] is not None for name in scores)]


def plain_challenge(scores, ties, missing):
    """Return the mean rank of each method over cases and measures."""
    ranks = {name: [] for name in scores}
    for i in plain_cases(scores, missing):
        for k in range(4):
            values = [None if x[i] is None else x[i][k] for x in scores.values()]
            for name, rank in zip(scores, plain_case_ranks(values, ties), strict=True):
                ranks[name].append(rank)
    return {name: fmean(of_it) for name, of_it in ranks.items()}


def plain_aggregate(scores, ties, missing):
    """Return the mean over measures of the ranks of means; a missing case scores 0."""
    used = plain_cases(scores, missing)
    means = [[fmean((x[i] or [0] * 4)[k] for i in used) for x in scores.values()] for k in range(4)]
    ranks = [[plain_rank(of_measure, mean, ties) for mean in of_measure] for of_measure in means]
    return dict(zip(scores, map(fmean, zip(*ranks, strict=True)), strict=True))


# eighths, so that ties occur
four_scores = st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=4, max_size=4)
runs = st.integers(1, 8).flatmap(
    lambda n: st.fixed_dictionaries(
        {name: st.lists(four_scores | st.none(), min_size=n, max_size=n) for name in "abcd"}
    )
)


@settings(max_examples=60, deadline=None)
@given(runs, st.sampled_from(["min", "average"]), st.sampled_from(["common", "last"]))
def test_both_rules_equal_plain_python_with_ties_failed_and_missing_cases(scores, ties, missing):
    """A failed case scores 0, as the policy has it; a missing one has no row."""
    present = [name for name in scores if any(x is not None for x in scores[name])]
    scores = {name: scores[name] for name in present}
    found = ranking(scores, ties=ties, missing=missing, resampling=Resampling(draws=5))
    if len(present) < 2 or not plain_cases(scores, "common"):
        assert found.table.empty
        return
    for rule, plain in ((CHALLENGE, plain_challenge), (AGGREGATE, plain_aggregate)):
        expected = plain(scores, ties, missing)
        assert column(found, rule) == pytest.approx(expected)
        goodness = [-round(mean_rank, 12) for mean_rank in expected.values()]
        ranks = {name: plain_rank(goodness, -round(x, 12), ties) for name, x in expected.items()}
        assert column(found, rule, "rank") == ranks


def test_the_ranks_of_challenger_by_hand():
    """Three methods, three cases, one measure, as challengeR's definitions have it.

    Ranks with ties "min": case 1: a 1, b 2, c 3. Case 2: a and b 1, c 3. Case 3: a 3, b 2, c 1.
    """
    scores = {"a": [0.9, 0.8, 0.1], "b": [0.8, 0.8, 0.5], "c": [0.1, 0.2, 0.6]}
    found = ranking(scores, measures=["dsc_auc"])
    assert column(found, CHALLENGE) == pytest.approx({"a": 5 / 3, "b": 5 / 3, "c": 7 / 3})
    assert column(found, CHALLENGE, "rank") == {"a": 1, "b": 1, "c": 3}
    assert column(found, AGGREGATE) == {"b": 1, "a": 2, "c": 3}  # means .7, .6, .3
    assert column(found, TEST) == {"a": 0, "b": 0, "c": 0}
    assert found.winners == {
        (CHALLENGE, "micro"): {"a", "b"},
        (CHALLENGE, "macro"): {"a", "b"},
        (AGGREGATE, "micro"): {"b"},
        (AGGREGATE, "macro"): {"b"},
        (TEST, "micro"): frozenset(),  # no test is won
    }
    assert found.winner_changes
    assert found.notes == ("The winner depends on the rule.",)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [("min", [1, 1, 3, 4]), ("average", [1.5, 1.5, 3, 4])],
)
def test_missing_scores_get_the_last_rank_and_one(ties, expected):
    values = np.array([0.9, 0.9, 0.5, np.nan]).reshape(1, 4, 1)
    assert case_ranks(values, ties).ravel().tolist() == expected


def test_two_missing_scores_share_the_rank_after_the_last():
    """As challengeR has it, after the largest rank given, which ties may make smaller."""
    values = np.array([0.9, 0.9, np.nan, np.nan]).reshape(1, 4, 1)
    assert case_ranks(values).ravel().tolist() == [1, 1, 2, 2]


def test_the_test_rule_counts_one_sided_tests():
    scores = random_scores(np.random.default_rng(0), n_cases=30, n_methods=4, step=0.03)
    found = ranking(scores)
    won = dict.fromkeys(scores, 0)
    for a, b in combinations(scores, 2):
        for k in range(4):
            difference = np.array(scores[a])[:, k] - np.array(scores[b])[:, k]
            for name, side in ((a, "greater"), (b, "less")):
                test = wilcoxon(difference, alternative=side, method="approx", correction=True)
                won[name] += test.pvalue < 0.05
    expected = {name: n / 12 for name, n in won.items()}
    assert column(found, TEST) == pytest.approx(expected)
    assert column(found, TEST, "rank")["m3"] == 1
    assert all(math.isnan(x) for x in column(found, TEST, "rank_low").values())


def test_a_known_order_has_narrow_rank_intervals_and_groups_of_one():
    scores = random_scores(np.random.default_rng(1), n_cases=40, n_methods=4, step=0.1)
    found = ranking(scores)
    for rule in RULES:
        assert list(column(found, rule, "rank").items()) == [
            ("m3", 1), ("m2", 2), ("m1", 3), ("m0", 4),
        ]  # fmt: skip
    for rule in (CHALLENGE, AGGREGATE):
        assert column(found, rule, "rank_low") == column(found, rule, "rank_high")
    assert found.groups == (("m3",), ("m2",), ("m1",), ("m0",))
    assert not found.winner_changes
    assert found.notes == ()
    assert tuple(found.table.columns) == RANK_COLUMNS


def test_methods_that_do_not_differ_share_a_group_and_have_wide_intervals():
    scores = random_scores(np.random.default_rng(2), n_cases=40, n_methods=4)
    found = ranking(scores)
    assert [set(group) for group in found.groups] == [set(scores)]
    spread = np.subtract(
        list(column(found, CHALLENGE, "rank_high").values()),
        list(column(found, CHALLENGE, "rank_low").values()),
    )
    assert (spread >= 1).all()


def test_the_rank_interval_contains_the_rank_and_is_of_ranks_that_occur():
    scores = random_scores(np.random.default_rng(3), n_cases=15, n_methods=5, step=0.01)
    table = ranking(scores).table
    for rule in (CHALLENGE, AGGREGATE):
        rows = table[table["rule"] == rule]
        assert (rows["rank_low"] <= rows["rank"]).all()
        assert (rows["rank"] <= rows["rank_high"]).all()
        assert rows["rank_low"].isin(range(1, 6)).all()


def test_a_patient_drawn_twice_counts_twice_and_is_not_ranked_as_one_case():
    """Two draws of a case joined to one would give rank r the rank 2 (r - 1) + 1."""
    rng = np.random.default_rng(4)
    scores = random_scores(rng, n_cases=6, n_methods=3)
    patients = ["x", "x", "y", "y", "z", "z"]
    found = ranking(scores, fields={"patients": patients}, resampling=Resampling(draws=2000))
    ranks = case_ranks(np.array(list(scores.values())).transpose(1, 0, 2)).mean(axis=2)
    by_patient = ranks.reshape(3, 2, 3).mean(axis=1)
    resampled = {
        tuple(np.round(by_patient[[i, j]].mean(axis=0), 12)) for i in range(3) for j in range(3)
    }
    places = {method: set() for method in scores}
    for means in resampled:
        for method, mean in zip(scores, means, strict=True):
            places[method].add(1 + sum(other < mean for other in means))
    assert column(found, CHALLENGE, "rank_low") == {m: min(p) for m, p in places.items()}
    assert column(found, CHALLENGE, "rank_high") == {m: max(p) for m, p in places.items()}


def test_cases_that_a_method_lacks_are_left_out_or_last():
    scores = {"a": [0.9, 0.9, 0.9], "b": [0.5, None, 0.5], "c": [0.4, 0.4, None]}
    common = ranking(scores)
    assert (common.n_cases, common.n_left_out, common.n_filled) == (1, 2, 0)
    assert common.notes[0] == "2 of 3 cases are left out: a ranked method lacks them."
    last = ranking(scores, missing="last")
    assert (last.n_cases, last.n_left_out, last.n_filled) == (3, 0, 2)
    assert last.notes[0] == "2 missing cases of single methods have the last rank."
    assert column(last, CHALLENGE) == pytest.approx({"a": 1, "b": 7 / 3, "c": 8 / 3})


def test_a_method_that_sees_the_reference_has_no_rank_and_changes_none():
    scores = random_scores(np.random.default_rng(5), n_cases=10, n_methods=3)
    alone = ranking(scores)
    scores["oracle"] = [1.0] * 9 + [None]
    beside = ranking(scores, fields={"unranked": ["oracle"]})
    pd.testing.assert_frame_equal(alone.table, beside.table)
    assert beside.n_left_out == 0


def test_macro_averages_modalities():
    modality = ["CT"] * 3 + ["MR"]
    scores = {"a": [0.9, 0.9, 0.9, 0.1], "b": [0.5, 0.5, 0.5, 0.5]}
    found = ranking(scores, fields={"modality": modality})
    assert column(found, CHALLENGE) == {"a": 1.25, "b": 1.75}
    assert column(found, CHALLENGE, average="macro") == {"a": 1.5, "b": 1.5}
    assert all(
        math.isnan(x) for x in column(found, CHALLENGE, "rank_low", average="macro").values()
    )


@pytest.mark.parametrize("scores", [{"a": [0.5]}, {"a": [0.5, None], "b": [None, 0.5]}])
def test_no_ranking_without_two_methods_and_a_common_case(scores):
    found = ranking(scores)
    assert found.table.empty
    assert found.groups == ()
    assert found.winners == {}
    assert not found.winner_changes
    assert found.notes == ("No ranking: it needs two ranked methods with a common case.",)


def test_one_case_is_ranked_without_interval_and_tells_nobody_apart():
    found = ranking({"a": [0.5], "b": [0.6]})
    assert column(found, CHALLENGE, "rank") == {"b": 1, "a": 2}
    assert found.table["rank_low"].isna().all()
    assert found.groups == (("b", "a"),)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_rows_changes_no_ranking(seed):
    scores = random_scores(np.random.default_rng(seed), n_cases=6, n_methods=3)
    frame = cases_frame(scores, modality=["CT", "MR"] * 3)
    shuffled = frame.sample(frac=1, random_state=seed)
    expected, found = (rank_methods(each, resampling=FEW).table for each in (frame, shuffled))
    keys = ["rule", "average", "method"]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True)
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(list(MEASURES)))
def test_a_better_score_never_worsens_a_rank(seed, measure):
    scores = random_scores(np.random.default_rng(seed), n_cases=5, n_methods=3)
    frame = cases_frame(scores)
    better = frame.copy()
    better.loc[better["method"] == "m1", measure] += 0.1
    few = Resampling(draws=2)
    before, after = (rank_methods(each, resampling=few) for each in (frame, better))
    for rule in RULES:
        assert column(after, rule, "rank")["m1"] <= column(before, rule, "rank")["m1"]
