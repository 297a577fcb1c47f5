"""Scores of several methods on the same cases."""

import numpy as np
import pandas as pd
import pytest

from segbench.errors import RunError
from segbench.report.case_scores import case_scores, case_scores_by, ranked_only
from tests.report.score_frames import cases_frame


def test_a_row_is_the_same_case_for_all_methods():
    frame = cases_frame({"b": [0.1, 0.2], "a": [0.3, None]})
    scores = case_scores(frame, ["dsc_auc"])
    assert scores.methods == ("b", "a")
    assert np.array_equal(scores.values[:, :, 0], [[0.1, 0.3], [0.2, np.nan]], equal_nan=True)
    assert scores.common().values.ravel().tolist() == [0.1, 0.3]


def test_the_order_of_rows_changes_nothing():
    frame = cases_frame({"a": [0.1, 0.2, 0.3], "b": [0.4, 0.5, 0.6]})
    shuffled = frame.sample(frac=1, random_state=1)
    expected, found = (case_scores(each, methods=("a", "b")) for each in (frame, shuffled))
    assert np.array_equal(expected.values, found.values)
    assert expected.patients.tolist() == found.patients.tolist()


def test_other_content_under_the_same_name_is_another_case():
    frame = cases_frame({"a": [0.1], "b": [0.2]})
    frame["file_sha256"] = ["1", "2"]
    scores = case_scores(frame)
    assert (scores.n_cases, scores.common().n_cases) == (2, 0)


def test_a_case_without_a_score_is_missing():
    frame = cases_frame({"a": [0.1, np.nan], "b": [0.1, 0.2]})
    assert case_scores(frame).present.tolist() == [[True, True], [False, True]]


def test_a_patient_may_be_stated_in_one_run_only():
    frame = cases_frame({"a": [0.1, 0.2], "b": [0.1, 0.2]})
    frame.loc[frame["method"] == "b", "patient"] = "x"
    assert case_scores(frame).n_patients == 1


def test_two_rows_of_one_case_are_refused():
    frame = cases_frame({"a": [0.1]})
    with pytest.raises(RunError, match="a: expected one row for the case CT_000, found more"):
        case_scores(pd.concat([frame, frame]))


def test_a_frame_without_scores_has_no_cases():
    scores = case_scores(cases_frame({"a": [np.nan], "b": [np.nan]}))
    assert (scores.n_cases, scores.n_patients, scores.methods) == (0, 0, ("a", "b"))


def test_methods_that_see_the_reference_are_not_ranked():
    frame = cases_frame({"a": [0.1], "oracle": [1.0]}, unranked=["oracle"])
    assert ranked_only(frame)["method"].tolist() == ["a"]


def test_groups_are_sorted_and_named():
    frame = cases_frame({"a": [0.1, 0.2, 0.3]}, modality=["PET", "CT", "PET"])
    keys = [keys for keys, _ in case_scores_by(frame, ["modality", "has_boxes"])]
    assert keys == [{"modality": "CT", "has_boxes": False}, {"modality": "PET", "has_boxes": True}]
    assert [keys for keys, _ in case_scores_by(frame, [])] == [{}]


def test_the_scores_of_a_group_are_those_of_its_rows():
    patients = ["p1", "p1", "", "p2", "p3", "p2"]
    scores = {"a": [0.1, 0.2, None, 0.4, 0.5, np.nan], "b": [0.6, 0.5, 0.4, None, 0.2, 0.1]}
    frame = cases_frame(scores, modality=["CT", "MR"] * 3, patients=patients)
    for keys, found in case_scores_by(frame, ["modality"], ["dsc_auc"], methods=("b", "a")):
        rows = frame[frame["modality"] == keys["modality"]]
        expected = case_scores(rows, ["dsc_auc"], methods=("b", "a"))
        assert found.methods == expected.methods
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.patients.tolist() == expected.patients.tolist()
        assert found.modalities.tolist() == expected.modalities.tolist()
