"""Which cases are one patient, and which patients are resampled together."""

import numpy as np
import pandas as pd
import pytest

from segbench.report.clusters import (
    patient_ids,
    patient_strata,
    patients_note,
    patients_per_modality,
)
from tests.report.score_frames import cases_frame


def frame(patients=None, n=4, **fields):
    return cases_frame({"a": [0.5] * n, "b": [0.5] * n}, patients=patients, **fields)


def test_the_column_says_who_the_patient_is():
    assert patient_ids(frame(["x", "x", "y", "y"])).nunique() == 2


def test_without_a_patient_each_case_is_its_own_and_the_note_says_so():
    assert patient_ids(frame()).nunique() == 4
    assert patients_note(frame()) == (
        "4 cases, each counted as a patient of its own: no patient is stated."
    )


def test_cases_without_a_patient_are_their_own_next_to_stated_ones():
    cases = frame(["x", "x", "", ""])
    assert patient_ids(cases).nunique() == 3
    assert patients_note(cases) == (
        "4 cases of 3 patients, by the column patient. "
        "2 cases without a patient count as patients of their own."
    )


def test_a_patient_that_one_run_states_is_the_patient_of_all():
    cases = frame()
    cases.loc[cases["method"] == "b", "patient"] = ["x", "x", "y", "y"]
    assert patients_note(cases) == "4 cases of 2 patients, by the column patient."


def test_a_patient_that_is_called_like_a_case_is_not_that_case():
    assert patient_ids(frame(["CT_001", "", "", ""])).nunique() == 4


def test_a_missing_value_is_no_patient():
    assert patient_ids(frame([None, np.nan, "x", "x"])).nunique() == 3


def test_equal_names_in_two_datasets_are_two_patients():
    cases = pd.concat([frame(["1"] * 4, dataset="A"), frame(["1"] * 4, dataset="B")])
    assert patient_ids(cases).nunique() == 2


@pytest.mark.parametrize(("pattern", "n"), [(r"CT_(\d)", 1), (r"CT_\d\d\d", 4), (r"_(x)?", 4)])
def test_a_pattern_finds_the_patient_in_the_name(pattern, n):
    assert patient_ids(frame(["x"] * 4), pattern).nunique() == n


def test_the_note_says_where_a_pattern_does_not_match():
    cases = frame(["x"] * 4)
    assert patients_note(cases, "no") == (
        "4 cases, each counted as a patient of its own: no case matches the pattern no."
    )
    assert patients_note(cases, "_00[0-2]") == (
        "4 cases of 4 patients, by the pattern _00[0-2]. "
        "1 case without a patient counts as a patient of its own."
    )


def test_a_stratum_is_a_set_of_modalities():
    patients = np.array([0, 0, 1, 1, 2, 3, 4, 5])
    modalities = np.array([0, 1, 1, 0, 0, 0, 1, 1])
    strata = patient_strata(patients, modalities)
    assert len(set(strata)) == 3
    assert strata[0] == strata[1]
    assert strata[2] == strata[3]
    assert strata[4] == strata[5]
    assert patients_per_modality(patients, modalities).tolist() == [4, 4]


def test_no_stratum_has_one_patient():
    each = np.arange(5)
    assert len(set(patient_strata(each, each))) == 1
    one_more = patient_strata(each, np.array([0, 0, 0, 1, 1]))
    assert len(set(one_more)) == 2
    alone = patient_strata(each, np.array([1, 0, 0, 2, 2]))
    assert sorted(np.unique(alone, return_counts=True)[1]) == [2, 3]
