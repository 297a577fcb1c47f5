"""Permutation test, Holm, effect size, false claims."""

from itertools import product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segbench.report.paired_tests import (
    false_claim_probability,
    holm,
    permutation_test,
    rank_biserial,
    sums_by_patient,
    wilcoxon_greater,
)


def plain_permutation_p(sums):
    """Enumerate all swaps in plain Python."""
    observed = abs(sum(sums))
    swaps = list(product((1, -1), repeat=len(sums)))
    values = [abs(sum(s * x for s, x in zip(swap, sums, strict=True))) for swap in swaps]
    return sum(value >= observed - 1e-9 for value in values) / len(swaps)


def p_of(sums, draws=10_000, seed=0):
    return permutation_test(np.asarray(sums, dtype=float)[:, None], draws=draws, seed=seed)


@settings(max_examples=50)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_the_exact_p_value_counts_all_swaps(sums):
    test = p_of(sums)
    assert test.p[0] == pytest.approx(plain_permutation_p(sums))
    assert test.exact[0]
    assert test.p_min[0] <= test.p[0]


def test_twelve_patients_are_exact_and_thirteen_are_drawn():
    twelve, thirteen = p_of([1.0] * 12), p_of([1.0] * 13)
    assert (twelve.p[0], twelve.p_min[0], twelve.exact[0]) == (2**-11, 2**-11, True)
    assert thirteen.p_min[0] == 1 / 10_001
    assert not thirteen.exact[0]
    assert thirteen.p[0] == pytest.approx(2**-12, abs=0.0008)


def test_patients_without_a_difference_do_not_matter():
    test = p_of([1.0, 2.0, 3.0] + [0.0] * 40)
    assert (test.p[0], test.p_min[0], test.exact[0]) == (0.25, 0.25, True)


def test_two_equal_methods_have_a_p_value_of_1():
    test = p_of([0.0] * 20)
    assert (test.p[0], test.p_min[0]) == (1.0, 1.0)


def test_drawn_p_values_are_near_the_exact_ones_and_never_0():
    sums = np.random.default_rng(0).normal(0.3, 1, size=(13, 3))
    test = permutation_test(sums, draws=20_000, seed=1)
    exact = [plain_permutation_p(column.tolist()) for column in sums.T]
    assert test.p == pytest.approx(exact, abs=0.01)
    assert p_of([1.0] * 100).p[0] == 1 / 10_001


def test_the_test_depends_on_its_seed_only(monkeypatch):
    sums = np.random.default_rng(0).normal(size=(20, 3))
    first = permutation_test(sums, draws=500, seed=1).p
    monkeypatch.setattr("segbench.report.paired_tests._BLOCK", 999)
    assert np.array_equal(first, permutation_test(sums, draws=500, seed=1).p)


def test_scipy_agrees_where_each_case_is_a_patient():
    differences = np.random.default_rng(4).normal(0.4, 1, 10)
    oracle = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert p_of(differences).p[0] == pytest.approx(oracle.pvalue)


def test_sums_by_patient():
    sums, n_cases = sums_by_patient(np.array([[1.0], [2.0], [5.0]]), np.array(["b", "b", "a"]))
    assert sums.tolist() == [[5.0], [3.0]]
    assert n_cases.tolist() == [1, 2]


def test_holm_by_hand():
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_equals_statsmodels(p_values):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    with mock.patch("gc.collect"):  # it is called each time, and takes nearly all of the time
        _, expected, _, _ = multitest.multipletests(p_values, method="holm")
    assert holm(np.array(p_values)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("differences", "effect"),
    [([1, 2, 3], 1), ([-1, -2], -1), ([0, 0], 0), ([0, 1, -2], -1 / 3), ([1, -1], 0)],
)
def test_rank_biserial_by_hand(differences, effect):
    assert rank_biserial(np.array(differences, dtype=float)) == pytest.approx(effect)


def test_rank_biserial_from_the_rank_sums_of_scipy():
    differences = np.random.default_rng(5).normal(0.2, 1, 30)
    positive = stats.wilcoxon(differences, alternative="greater").statistic
    total = 30 * 31 / 2
    assert rank_biserial(differences) == pytest.approx(2 * positive / total - 1)


def test_the_false_claim_probability_is_half_the_p_value_of_a_paired_t_test():
    means = np.random.default_rng(6).normal(0.3, 1, (25, 2))
    expected = stats.ttest_1samp(means, 0).pvalue / 2
    assert false_claim_probability(means, np.ones(25)) == pytest.approx(expected)
    assert false_claim_probability(-means, np.ones(25)) == pytest.approx(expected)
    three_each = false_claim_probability(3 * means, np.full(25, 3.0))
    assert three_each == pytest.approx(expected)


def test_the_false_claim_probability_is_about_the_mean_over_cases():
    """One patient with 40 cases decides the mean; the claim is never less likely than a half."""
    sums = np.array([[40 * 0.1], [-0.3], [-0.3], [-0.3], [-0.3]])
    (found,) = false_claim_probability(sums, np.array([40.0, 1, 1, 1, 1]))
    assert 0 < found < 0.5
    assert false_claim_probability(-sums, np.array([40.0, 1, 1, 1, 1])) == pytest.approx(found)


def test_false_claims_without_variation_without_difference_and_of_one_patient():
    sums = np.array([[0.5, -0.5, 0.0], [0.5, -0.5, 0.0]])
    assert false_claim_probability(sums, np.ones(2)).tolist() == [0, 0, 0.5]
    assert np.isnan(false_claim_probability(sums[:1], np.ones(1))).all()


def test_wilcoxon_as_in_r():
    """wilcox.test(c(1, 2, -1, 0, 3, 4, -2), alternative = "greater", exact = FALSE), by hand."""
    ranks = {1: 1.5, 2: 3.5, 3: 5, 4: 6}
    statistic = ranks[1] + ranks[2] + ranks[3] + ranks[4]
    variance = 6 * 7 * 13 / 24 - (2 * (2**3 - 2)) / 48
    z = (statistic - 6 * 7 / 4 - 0.5) / variance**0.5
    found = wilcoxon_greater(np.array([1.0, 2, -1, 0, 3, 4, -2]))
    assert found == pytest.approx(stats.norm.sf(z))
    assert wilcoxon_greater(np.zeros(4)) == 1.0
