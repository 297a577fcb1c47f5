"""The bootstrap over patients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from segbench.errors import RunError
from segbench.report.clusters import patient_strata
from segbench.report.resampling import (
    Resampling,
    bootstrap_means,
    means,
    patient_weights,
    percentile_interval,
)


def names(numbers):
    return np.array([f"p{number}" for number in numbers])


def draws_of(values, patients, modalities, **fields):
    values = np.asarray(values, dtype=float).reshape(len(patients), -1)
    return bootstrap_means(
        values, names(patients), names(modalities), resampling=Resampling(**fields)
    )


@pytest.mark.parametrize(
    "fields", [{"draws": 0}, {"confidence": 1.0}, {"confidence": 0}, {"patient_pattern": "("}]
)
def test_settings_out_of_range_are_refused(fields):
    with pytest.raises(RunError, match=next(iter(fields))):
        Resampling(**fields)


def test_means_over_cases_and_over_modalities():
    found = means(np.array([[1.0], [1.0], [4.0]]), np.array(["CT", "CT", "MR"]))
    assert found["micro"].tolist() == [2.0]
    assert found["macro"].tolist() == [2.5]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=30), st.integers(0, 100))
def test_every_stratum_keeps_its_weight_in_every_resample(strata, seed):
    strata = np.array([stratum for stratum in strata if strata.count(stratum) > 1], dtype=np.intp)
    weights = patient_weights(strata, 7, np.random.default_rng(seed))
    assert weights.shape == (7, len(strata))
    for stratum in np.unique(strata):
        of_it = weights[:, strata == stratum]
        assert of_it.sum(axis=1) == pytest.approx(of_it.shape[1])


def test_a_patient_that_is_drawn_m_times_weighs_m_times_in_each_draw():
    """The draws, made again with copies of the patients' cases."""
    rng = np.random.default_rng(0)
    patients, modalities = np.array([0, 0, 1, 2, 2, 2, 3]), np.array([0, 0, 0, 1, 1, 1, 1])
    values = rng.normal(size=7)
    found = draws_of(values, patients, modalities, draws=50, seed=3)["micro"][:, 0]
    strata = patient_strata(patients, modalities)
    weights = patient_weights(strata, 50, np.random.default_rng(3))
    for drawn, expected in zip(weights, found, strict=True):
        copies = [np.repeat(values[patients == p], round(drawn[p])) for p in range(4)]
        assert np.concatenate(copies).mean() == pytest.approx(expected)


def test_the_draws_have_the_unbiased_variance_of_the_mean():
    """Also with two patients per stratum, where drawing n of n would give half of it."""
    rng = np.random.default_rng(1)
    values, modality = rng.normal(size=20), np.repeat(np.arange(10), 2)
    draws = draws_of(values, np.arange(20), modality, draws=100_000)["micro"]
    expected = sum(values[modality == m].var(ddof=1) * 2 for m in range(10)) / 20**2
    assert draws.var() == pytest.approx(expected, rel=0.02)


def test_the_interval_is_nearly_that_of_scipy_where_each_case_is_a_patient():
    values = np.random.default_rng(2).normal(size=200)
    draws = draws_of(values, np.arange(200), [0] * 200, draws=20_000)["micro"]
    (low,), (high,) = percentile_interval(draws, 0.95)
    oracle = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=5)
    assert (low, high) == pytest.approx(tuple(oracle.confidence_interval), abs=0.01)


def test_equal_seeds_give_equal_draws_and_blocks_are_not_seen(monkeypatch):
    arrays = np.random.default_rng(3).normal(size=(30, 2)), np.arange(30), [0] * 30
    first = draws_of(*arrays, draws=100, seed=1)["micro"]
    assert np.array_equal(first, draws_of(*arrays, draws=100, seed=1)["micro"])
    assert not np.array_equal(first, draws_of(*arrays, draws=100, seed=2)["micro"])
    monkeypatch.setattr("segbench.report.resampling._BLOCK", 7 * 30)
    assert np.allclose(first, draws_of(*arrays, draws=100, seed=1)["micro"], atol=1e-12)


def test_one_patient_has_no_interval():
    draws = draws_of([1.0, 2.0], [0, 0], [0, 0], draws=5)
    assert np.isnan(draws["micro"]).all()
    assert np.isnan(draws["macro"]).all()


def test_a_modality_of_one_patient_leaves_the_macro_mean_without_interval():
    draws = draws_of([1.0, 2.0, 3.0], [0, 1, 2], [0, 0, 1], draws=5)
    assert not np.isnan(draws["micro"]).any()
    assert np.isnan(draws["macro"]).all()


def test_macro_draws_are_means_over_the_modalities():
    patients, modalities = np.arange(6), [0, 0, 0, 0, 1, 1]
    draws = draws_of([1, 1, 1, 1, 5, 5], patients, modalities, draws=20)
    assert draws["macro"] == pytest.approx(3)
    assert draws["micro"] == pytest.approx(14 / 6)


def test_macro_goes_over_the_modalities_that_a_resample_has():
    """Four patients, each alone with its set of modalities: one stratum for all."""
    patients = np.array([0, 1, 2, 2, 3, 3, 3])
    modalities = np.array([0, 1, 0, 1, 0, 1, 2])
    values, modalities = np.append(modalities, 2.0), np.append(modalities, 2)
    patients = np.append(patients, 1)
    draws = draws_of(values, patients, modalities, draws=500)["macro"]
    assert not np.isnan(draws).any()
    assert {round(value, 6) for value in draws.ravel()} <= {0.0, 0.5, 1.0, 1.5}


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_adding_a_number_to_all_cases_moves_the_draws_by_it(seed):
    rng = np.random.default_rng(seed)
    values, patients, modalities = rng.normal(size=12), rng.integers(6, size=12), [0, 1] * 6
    before = draws_of(values, patients, modalities, draws=20, seed=seed)
    after = draws_of(values + 3, patients, modalities, draws=20, seed=seed)
    for average in before:
        assert after[average] == pytest.approx(before[average] + 3, nan_ok=True)
