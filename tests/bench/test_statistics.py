"""Whether intervals and tests keep what they promise, by simulation, and what they cost."""

import time
import tracemalloc

import numpy as np
import pytest

from segbench.report.leaders import leaders, measure_groups
from segbench.report.paired_tests import holm, permutation_test, sums_by_patient
from segbench.report.pairs import compare_pairs
from segbench.report.ranking import rank_methods
from segbench.report.resampling import Resampling, bootstrap_means, percentile_interval
from segbench.report.statistics import mean_intervals, sample_notes
from tests.report.score_frames import cases_frame, random_scores

pytestmark = pytest.mark.slow

SEED = 20260101  # fixed before the first result was seen
N_PATIENTS = 50
COVERAGE = 0.90, 0.97  # at nominal 0.95
FALSE_POSITIVES = 0.057
SECONDS, MODELS, CASES = 20, 6, 500


def sample(rng, *, n_patients, n_modalities, n_columns, skewed):
    """Return scores of scans of patients in columns that are independent, and their truth.

    A patient has 1 to 4 scans of one modality, and an effect that all scans share.
    """
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 5, n_patients))
    modality = patient % n_modalities
    shape = n_patients, n_columns
    effect = 0.5 * rng.beta(5, 1.5, shape) if skewed else rng.normal(0, 0.1, shape)
    truth_of_effect = 0.5 * 5 / 6.5 if skewed else 0.0
    noise = rng.normal(0, 0.05, (len(patient), n_columns))
    of_modality = np.linspace(0, 0.3, n_modalities)
    values = effect[patient] + noise + of_modality[modality][:, None]
    truth = {
        "micro": truth_of_effect + of_modality[modality].mean(),
        "macro": truth_of_effect + of_modality.mean(),
    }
    return values, patient.astype(str), modality.astype(str), truth


def coverage(*, by_patient=True, **options):
    """Return how many of 10,000 intervals contain the truth, for both averages."""
    rng, inside = np.random.default_rng(SEED), {"micro": [], "macro": []}
    for block in range(50):
        values, patients, modalities, truth = sample(rng, n_columns=200, **options)
        if not by_patient:
            patients = np.arange(len(patients)).astype(str)
        settings = Resampling(draws=4000, seed=block)
        draws = bootstrap_means(values, patients, modalities, resampling=settings)
        for average, hits in inside.items():
            low, high = percentile_interval(draws[average], 0.95)
            hits.append((low <= truth[average]) & (truth[average] <= high))
    return {average: float(np.mean(hits)) for average, hits in inside.items()}


@pytest.mark.parametrize("n_modalities", [1, 5, 25])
@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_cover_the_truth(n_modalities, skewed, show):
    options = {"n_patients": N_PATIENTS, "n_modalities": n_modalities, "skewed": skewed}
    found = coverage(**options)
    by_case = coverage(by_patient=False, **options)
    show(
        f"{N_PATIENTS} patients, {n_modalities:2} modalities, {'skewed' if skewed else 'normal'}: "
        f"micro {found['micro']:.3f}, macro {found['macro']:.3f} of 95 % intervals contain the "
        f"truth; if cases were resampled: {by_case['micro']:.3f}, {by_case['macro']:.3f}"
    )
    for share in found.values():
        assert COVERAGE[0] <= share <= COVERAGE[1]


def test_intervals_of_few_patients_exclude_0_too_often(show):
    """Why no method leads with fewer than six patients."""
    rng, shares = np.random.default_rng(SEED), {}
    for n in (2, 5, 6, 10, 20, 30):
        each, one = np.arange(n).astype(str), np.array(["CT"] * n)
        draws = bootstrap_means(rng.normal(size=(n, 4000)), each, one, resampling=Resampling(4000))
        low, high = percentile_interval(draws["micro"], 0.95)
        shares[n] = float(((low > 0) | (high < 0)).mean())
        show(f"{n:2} patients: {shares[n]:.3f} of 95 % intervals of equal methods exclude 0")
    assert shares[2] > shares[5] > 2 * 0.05
    assert shares[30] < FALSE_POSITIVES + 0.01


def null_differences(rng, *, n_patients, n_comparisons):
    """Return sums by patient of differences of two methods that are equally good.

    Patients have 1 to 4 scans and a shared, heavy-tailed difference.
    """
    patient = np.repeat(np.arange(n_patients), rng.integers(1, 5, n_patients))
    shared = rng.standard_t(3, (n_patients, n_comparisons))[patient]
    differences = shared + rng.normal(0, 0.5, (len(patient), n_comparisons))
    return sums_by_patient(differences, patient.astype(str))[0]


@pytest.mark.parametrize("n_patients", [8, 12, 20, 50])
def test_equal_methods_are_rarely_told_apart(n_patients, show):
    rng, n = np.random.default_rng(SEED), 10_000
    sums = null_differences(rng, n_patients=n_patients, n_comparisons=n)
    test = permutation_test(sums, draws=10_000, seed=SEED)
    share = float((test.p <= 0.05).mean())
    kind = "exact" if test.exact.all() else "10,000 draws"
    show(f"{n_patients} patients, {kind}: {share:.4f} of {n} comparisons have p <= 0.05")
    assert share <= FALSE_POSITIVES


def test_holm_keeps_the_family_wise_error(show):
    """Six equally good methods: all 15 pairs of 4 measures are one family of 60 tests."""
    rng, n_families, n_patients = np.random.default_rng(SEED), 2000, 20
    first, second = np.triu_indices(MODELS, 1)
    any_found = {"single tests": 0, "Holm": 0}
    for block in range(n_families // 100):
        shape = n_patients, 100, MODELS, 4
        scores = rng.standard_t(3, (n_patients, 100, 1, 4)) + rng.standard_t(3, shape)
        sums = (scores[:, :, first] - scores[:, :, second]).reshape(n_patients, -1)
        p = permutation_test(sums, draws=10_000, seed=block).p.reshape(100, -1)
        any_found["single tests"] += (p <= 0.05).any(axis=1).sum()
        any_found["Holm"] += sum((holm(of_family) <= 0.05).any() for of_family in p)
    shares = {name: float(count) / n_families for name, count in any_found.items()}
    show(
        f"{n_families} families of 60 tests, {n_patients} patients: some p <= 0.05 in "
        f"{shares['single tests']:.3f} without correction, {shares['Holm']:.3f} after Holm"
    )
    assert shares["Holm"] <= FALSE_POSITIVES


def test_equal_methods_rarely_have_a_leader(show):
    rng, n = np.random.default_rng(SEED), 400
    found = np.zeros(4)
    for _ in range(n):
        frame = cases_frame(random_scores(rng, n_cases=N_PATIENTS, n_methods=MODELS))
        rows = leaders(frame, resampling=Resampling(draws=1000))
        found += rows[rows["average"] == "micro"]["leads"].to_numpy()
    share = found.sum() / (4 * n)
    show(f"{MODELS} equally good methods, {N_PATIENTS} cases: {share:.4f} of {4 * n} have a leader")
    assert share <= 0.05


def test_all_statistics_of_a_large_comparison_are_quick(show):
    rng = np.random.default_rng(SEED)
    modality = [("CT", "MR", "Microscopy", "PET", "US")[i % 5] for i in range(CASES)]
    patients = [f"p{i // 2}" for i in range(CASES)]
    scores = random_scores(rng, n_cases=CASES, n_methods=MODELS, step=0.003)
    frame = cases_frame(scores, modality=modality, patients=patients)
    parts = {
        "means": lambda: mean_intervals(frame),
        "means by modality and box": lambda: mean_intervals(frame, by=["modality", "has_boxes"]),
        "pairs": lambda: compare_pairs(frame, equivalence_margin=0.01),
        "leaders": lambda: leaders(frame),
        "leaders by modality and box": lambda: leaders(frame, by=["modality", "has_boxes"]),
        "groups": lambda: measure_groups(frame),
        "ranking": lambda: rank_methods(frame),
        "notes": lambda: sample_notes(frame),
    }
    seconds = {}
    for name, part in parts.items():
        start = time.process_time()
        part()
        seconds[name] = time.process_time() - start
    for name, spent in seconds.items():
        show(f"{spent:6.2f} CPU s {name}")
    total = sum(seconds.values())
    show(
        f"{total:6.2f} CPU s together: {CASES} cases x {MODELS} models, 10,000 draws; "
        f"{peak_mb(parts.values()):.0f} MB at most"
    )
    assert total <= SECONDS


def peak_mb(parts):
    """Return the most memory in MB that the parts allocate at a time, arrays included."""
    tracemalloc.start()
    try:
        for part in parts:
            part()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
