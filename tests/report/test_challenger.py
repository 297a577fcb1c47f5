"""The table for challengeR, by hand."""

import pandas as pd
import pytest

import segbench
from segbench.errors import RunError
from segbench.report import write_export
from segbench.report.challenger import COLUMNS, challenger_frame
from segbench.results import CaseResult
from tests.report.small_runs import RISING, case

FILE = """\
task,algorithm,case,value
DSC AUC,ours,CT_1,2.0
DSC AUC,other,CT_1,2.4
DSC AUC,ours,CT_2,0.0
DSC AUC,other,CT_2,NA
NSD AUC,ours,CT_1,1.0
NSD AUC,other,CT_1,1.2
NSD AUC,ours,CT_2,0.0
NSD AUC,other,CT_2,NA
DSC Final,ours,CT_1,0.5
DSC Final,other,CT_1,0.8
DSC Final,ours,CT_2,0.0
DSC Final,other,CT_2,NA
NSD Final,ours,CT_1,0.25
NSD Final,other,CT_1,0.4
NSD Final,ours,CT_2,0.0
NSD Final,other,CT_2,NA
"""
ALL_FAILED = case("CT_2", failed=range(6))


def test_failed_cases_have_the_value_of_the_policy_and_missing_ones_na(run, tmp_path):
    runs = run("ours", [case("CT_1"), ALL_FAILED]), run("other", [case("CT_1", RISING)])
    (file,) = write_export(segbench.load(*runs), tmp_path / "out", format="challenger")
    assert file.name == "challenger.csv"
    assert file.read_text() == FILE


def test_a_case_that_the_policy_leaves_out_is_missing(run):
    runs = run("ours", [case("CT_1"), ALL_FAILED]), run("other", [case("CT_1"), case("CT_2")])
    frame = challenger_frame(segbench.load(*runs, failures="carry_forward"))
    value = frame.set_index(["task", "algorithm", "case"])["value"]
    assert pd.isna(value["DSC Final", "ours", "CT_2"])
    assert value["DSC Final", "other", "CT_2"] == 0.5


def test_every_method_has_every_case_once_in_every_task(run):
    frame = challenger_frame(
        segbench.load(
            run("a", [case("CT_1"), CaseResult("CT_9", "invalid", reason="no box")]),
            run("b", [case("CT_2")]),
            run("c", []),
        )
    )
    assert tuple(frame.columns) == COLUMNS
    sizes = frame.groupby(["task", "case", "algorithm"]).size()
    assert len(sizes) == 4 * 2 * 2  # c has not started, CT_9 has no score anywhere
    assert set(sizes) == {1}


def test_equal_names_of_different_files_are_different_cases(run):
    frame = challenger_frame(
        segbench.load(
            run("a", [case("CT_1", file_sha256="aa" * 32), case("CT_2", file_sha256="cc" * 32)]),
            run("b", [case("CT_1", file_sha256="bb" * 32), case("CT_2", file_sha256="cc" * 32)]),
        )
    )
    assert sorted(set(frame["case"])) == ["CT_1 (aaaaaaaa)", "CT_1 (bbbbbbbb)", "CT_2"]


def test_a_run_that_sees_the_reference_is_left_out(run):
    oracle = run("oracle", [case("CT_1", RISING)], sees_reference=True)
    frame = challenger_frame(segbench.load(run("ours", [case("CT_1")]), oracle))
    assert set(frame["algorithm"]) == {"ours"}
    with pytest.raises(RunError, match="expected a ranked run with a scored case, found none"):
        challenger_frame(segbench.load(oracle))
