"""Means with intervals, and the notes on a sample."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from segbench import report
from segbench.report.resampling import Resampling
from segbench.report.statistics import MEAN_COLUMNS, mean_intervals, sample_notes
from tests.report.score_frames import cases_frame, random_scores

FEW = Resampling(draws=300)


def test_micro_and_macro_means_by_hand():
    frame = cases_frame({"a": [0.2, 0.4, 0.9]}, modality=["CT", "CT", "MR"])
    found = mean_intervals(frame, measures=["dsc_auc"], resampling=FEW).set_index("average")
    assert found.loc["micro", "mean"] == pytest.approx(0.5)
    assert found.loc["macro", "mean"] == pytest.approx(0.6)
    assert (found["n_cases"] == 3).all()
    assert (found["n_modalities"] == 2).all()
    assert found.loc["micro", "low"] < 0.5 < found.loc["micro", "high"]
    assert np.isnan(found.loc["macro", "low"])  # one patient with MR


def test_each_method_has_the_mean_over_its_own_cases():
    frame = cases_frame({"a": [0.2, 0.4, 0.6], "b": [None, 0.4, 0.6], "c": [0.2, 0.4, 0.6]})
    found = mean_intervals(frame, measures=["dsc_auc"], resampling=FEW)
    micro = found[found["average"] == "micro"]
    assert micro["method"].tolist() == ["a", "b", "c"]
    assert micro["n_cases"].tolist() == [3, 2, 3]
    assert micro["mean"].tolist() == pytest.approx([0.4, 0.5, 0.4])
    assert tuple(found.columns) == MEAN_COLUMNS


def test_an_interval_does_not_depend_on_other_methods_or_the_order_of_rows():
    scores = random_scores(np.random.default_rng(0), n_cases=20, n_methods=3)
    scores["m1"][4] = None
    frame = cases_frame(scores, patients=[f"{i // 2}" for i in range(20)])
    together = mean_intervals(frame, resampling=FEW)
    for method, rows in together.groupby("method"):
        alone = frame[frame["method"] == method].sample(frac=1, random_state=0)
        expected = mean_intervals(alone, resampling=FEW)
        pd.testing.assert_frame_equal(rows.reset_index(drop=True), expected)


def test_cases_of_one_patient_widen_the_interval():
    scores = {"a": np.repeat(np.random.default_rng(1).uniform(size=20), 5).tolist()}
    frames = cases_frame(scores), cases_frame(scores, patients=[f"{i // 5}" for i in range(100)])
    widths = [mean_intervals(frame, measures=["dsc_auc"]).eval("high - low")[0] for frame in frames]
    assert widths[1] == pytest.approx(widths[0] * 5**0.5, rel=0.1)


def test_means_of_groups():
    modality = ["CT", "MR"] * 4
    frame = cases_frame({"a": [0.1, 0.2] * 4, "b": [0.3, 0.4] * 4}, modality=modality)
    found = mean_intervals(frame, measures=["dsc_auc"], by=["modality"], resampling=FEW)
    micro = found[found["average"] == "micro"]
    assert micro["modality"].tolist() == ["CT", "CT", "MR", "MR"]
    assert micro["mean"].tolist() == pytest.approx([0.1, 0.3, 0.2, 0.4])


def test_other_columns_of_numbers_have_means_too():
    frame = cases_frame({"a": [0.1, 0.2, 0.3]}).assign(seconds=[1.0, np.nan, 3.0])
    found = mean_intervals(frame, measures=["seconds"], resampling=FEW)
    assert found["mean"].tolist() == [2.0, 2.0]
    assert found["n_cases"].tolist() == [2, 2]


def test_methods_that_see_the_reference_have_means():
    frame = cases_frame({"o": [1.0, 1.0]}, unranked=["o"])
    assert set(mean_intervals(frame, resampling=FEW)["method"]) == {"o"}


def test_a_frame_without_scores_has_no_rows():
    assert mean_intervals(cases_frame({"a": [np.nan]}), resampling=FEW).empty


def test_small_samples_are_noted():
    notes = sample_notes(cases_frame({"a": [0.5] * 10}))
    assert notes == (
        "10 cases, each counted as a patient of its own: no patient is stated.",
        "10 cases: intervals of fewer than 50 are unreliable.",
        "10 patients: intervals of fewer than 20 are unreliable.",
    )


def test_large_samples_have_one_note():
    patients = [f"{i % 25}" for i in range(50)]
    notes = sample_notes(cases_frame({"a": [0.5] * 50}, patients=patients))
    assert notes == ("50 cases of 25 patients, by the column patient.",)
    by_name = sample_notes(cases_frame({"a": [0.5] * 50}), Resampling(patient_pattern=r"_0(\d)"))
    assert by_name[0] == "50 cases of 5 patients, by the pattern _0(\\d)."


def test_different_cases_of_ranked_methods_are_noted():
    scores = {"a": [0.5] * 60, "b": [None] * 2 + [0.5] * 58, "o": [1.0] * 3}
    notes = sample_notes(cases_frame(scores, unranked=["o"]))
    assert notes[1:] == (
        "The methods have different cases: of 60, b lacks 2. 58 are common to all ranked methods.",
    )


def test_modalities_of_one_patient_are_one_note():
    modality = ["CT"] * 48 + ["MR", "US"]
    notes = sample_notes(cases_frame({"a": [0.5] * 50}, modality=modality))
    assert notes[1:] == (
        "MR, US have one patient each: no interval of a mean over modalities is given.",
    )


def test_a_single_case_is_counted_as_one():
    notes = sample_notes(cases_frame({"a": [0.5]}))
    assert notes[1].startswith("1 case: ")
    assert notes[2].startswith("1 patient: ")


def test_a_modality_of_one_patient_is_noted():
    modality = ["CT"] * 49 + ["US"]
    notes = sample_notes(cases_frame({"a": [0.5] * 50}, modality=modality))
    assert notes[1:] == ("US has one patient: no interval of a mean over modalities is given.",)


def test_no_scores_are_noted():
    assert sample_notes(cases_frame({"a": [np.nan]})) == ("No case has scores.",)


def test_the_statistics_are_public_and_import_no_scipy_before_they_are_used():
    code = (
        "import sys, segbench.report as report\n"
        "assert not any(name.startswith('scipy') for name in sys.modules)\n"
        "import segbench.report.leaders\n"
        "assert callable(report.leaders)\n"  # not the module of that name
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    names = {"mean_intervals", "rank_methods", "compare_pairs", "leaders", "measure_groups"}
    assert names | {"Resampling", "sample_notes"} <= set(report.__all__)
