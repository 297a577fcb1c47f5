"""Frames of small runs: their columns, rows and scores under each policy."""

import getpass
import math
import re
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import segbench
from segbench import report
from segbench.core import Box, Click, StepScore
from segbench.errors import RunError
from segbench.report.private_text import option_text, without_machine
from segbench.results import CaseResult, Policy, StepResult
from segbench.runs.run_folder import read_run
from tests.report.small_runs import FLAT, RISING, case

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
FRAMES = ("cases", "steps", "prompts", "methods", "derived")
SECTIONS = (
    *("scores_by_modality", "scores_by_box", "scores_by_step", "scores_by_dataset"),
    *("scores_by_label", "scores_over_own_cases", "scores_with_time_limit", "failures"),
    *("case_scores_by_step", "label_scores"),
)
INSIGHT = (
    *("clicks_to_reach", "gain_per_click", "click_effects", "step_seconds"),
    *("tolerance_saturation", "sensitivity"),
)


def labelled(name, scores, *, failed=(), **facts):
    """Several labels: ``scores`` has a tuple of DSC over the steps for each label."""
    base = case(name, FLAT, failed=failed, **facts)
    steps = [
        step
        if step.failure
        else replace(
            step,
            scores=tuple(
                StepScore(step.step, label, dsc[step.step], dsc[step.step] / 3)
                for label, dsc in scores.items()
            ),
        )
        for step in base.steps
    ]
    return replace(base, steps=tuple(steps), labels=tuple(scores))


def steps_of(results, **selection):
    found = results.steps
    for column, value in selection.items():
        found = found[found[column] == value]
    return found


# ---- the frames -------------------------------------------------------------------------------


def documented_columns(heading):
    """Return the first column of the table below a heading of docs/report.md."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n### ")[0].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.M)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("name", FRAMES)
def test_the_documentation_has_every_column_of_a_frame_in_order(run, name):
    results = segbench.load(run("ours", [case("CT_1")]))
    assert documented_columns(f"`{name}`") == list(getattr(results, name).columns)


@pytest.mark.parametrize("name", SECTIONS)
def test_the_documentation_has_every_column_of_a_section(run, name):
    results = segbench.load(run("ours", [case("CT_1")]))
    (line,) = re.findall(rf"^\| `{name}` \|.*\| (.+) \|$", PAGE, re.M)
    measures = "`dsc_auc`, `nsd_auc`, `dsc_final`, `nsd_final`"
    named = re.findall(r"`(\w+)`", line.replace("the four measures", measures))
    assert named == list(getattr(report, name)(results).columns)


@pytest.mark.parametrize("name", INSIGHT)
def test_the_documentation_has_every_column_of_insight_in_order(run, name):
    results = segbench.load(run("ours", [case("CT_1")]), run("other", [case("CT_1")]))
    assert documented_columns(f"`{name}`") == list(getattr(report, name)(results).columns)


@pytest.mark.parametrize("policy", [Policy(), Policy("carry_forward"), Policy(time_limit=50.0)])
def test_the_scores_of_cases_are_those_of_their_summaries(run, policy):
    dsc = (0.1, 1 / 3, 2 / 3, 0.1 + 0.2, 0.7, 1 / 7)
    many = {label: tuple(np.random.default_rng(label).random(6)) for label in range(1, 13)}
    folder = run(
        "ours",
        [
            case("CT_1", dsc, seconds=10.0),
            case("CT_2", RISING, failed=(0, 3)),
            case("MR_1", boxes=False),
            case("PET_1", failed=range(6)),
            labelled("PET_2", many, failed=(4,)),
            CaseResult("US_1", "invalid", reason="no spacing", modality="US"),
        ],
    )
    results = segbench.load(folder, failures=policy.failures, time_limit=policy.time_limit)
    curves = report.case_scores_by_step(results).set_index(["case", "step"])
    cases = results.cases.set_index("case")
    for result in read_run(folder).case_results:
        row, summary = cases.loc[result.case], result.summary(policy)
        assert row["scored"] == (summary is not None)
        for name in ("dsc_auc", "nsd_auc", "dsc_final", "nsd_final"):
            expected = getattr(summary, name) if summary else math.nan
            assert row[name] == expected or (math.isnan(row[name]) and summary is None)
        for step in result.steps if summary else ():
            assert curves.loc[(result.case, step.step), "dsc"] == summary.dsc[step.step]
            assert curves.loc[(result.case, step.step), "nsd"] == summary.nsd[step.step]


def test_cases_tell_why_they_have_no_score(run):
    refused = CaseResult("CT_2", "invalid", reason="no spacing", modality="MRI")
    folder = run("ours", [case("CT_1", failed=range(6)), refused])
    results = segbench.load(folder, failures="carry_forward")
    assert results.cases["status"].tolist() == ["failed", "invalid"]
    assert results.cases["scored"].tolist() == [False, False]
    assert results.cases["modality"].tolist() == ["CT", "MR"]
    assert results.cases["reason"].tolist()[1] == "no spacing"
    assert results.steps["dsc"].isna().all()
    assert set(results.steps["case"]) == {"CT_1"}


def test_failed_steps_score_zero_or_as_the_last_prediction_for_each_label(run):
    scores = {1: RISING, 4: (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)}
    folder = run("ours", [labelled("CT_1", scores, failed=(0, 3))])
    zero, carried = segbench.load(folder), segbench.load(folder, failures="carry_forward")
    assert steps_of(zero, label=4)["dsc"].tolist() == [0.0, 0.8, 0.7, 0.0, 0.5, 0.4]
    assert steps_of(carried, label=4)["dsc"].tolist() == [0.0, 0.8, 0.7, 0.7, 0.5, 0.4]
    assert steps_of(zero, label=1)["failure"].notna().tolist() == [
        True,
        *[False] * 2,
        True,
        *[False] * 2,
    ]


def test_a_case_above_the_time_limit_scores_zero_at_every_step(run):
    folder = run("ours", [case("CT_1", seconds=10.0), case("CT_2", seconds=1.0)])
    limited = segbench.load(folder, time_limit=50)
    assert limited.cases["over_time"].tolist() == [True, False]
    assert set(steps_of(limited, case="CT_1")["dsc"]) == {0.0}
    assert limited.cases["seconds"].tolist() == [60.0, 6.0]
    assert segbench.load(folder).cases["over_time"].tolist() == [False, False]


def test_prompts_have_every_box_and_click(run):
    rounds = ((Box(1, (1, 2, 3), (4, 5, 6), 2),), (Click(1, (7, 8, 9), False),), ())
    prompts = segbench.load(run("ours", [replace(case("CT_1"), rounds=rounds)])).prompts
    box, click = prompts.to_dict("records")
    assert (box["kind"], box["step"], box["z_low"], box["x_high"]) == ("box", 0, 1, 6)
    assert box["mid_slice"] == 2
    assert pd.isna([box["positive"], box["z"], click["z_low"]]).all()
    assert (click["kind"], click["step"], click["positive"]) == ("click", 1, False)
    assert (click["z"], click["y"], click["x"]) == (7, 8, 9)


def test_frames_without_rows_have_the_same_types(run):
    empty, full = segbench.load(run("a", [])), segbench.load(run("b", [case("CT_1")]))
    for name in FRAMES:
        assert (getattr(empty, name).dtypes == getattr(full, name).dtypes).all()
    for name in (*SECTIONS, *INSIGHT):
        function = getattr(report, name)
        assert list(function(empty).columns) == list(function(full).columns), name


def test_loading_refuses_what_a_report_refuses(run, tmp_path):
    folder = run("ours", [case("CT_1")])
    with pytest.raises(RunError, match="at least one run"):
        segbench.load()
    with pytest.raises(RunError, match="expected each run once, found it 2 times"):
        segbench.load(folder, str(folder))
    (tmp_path / "val").mkdir()
    with pytest.raises(RunError, match="val: expected a run folder or .*found an empty folder"):
        segbench.load(tmp_path / "val")
    with pytest.raises(RunError, match="failures: expected one of zero, carry_forward"):
        segbench.load(folder, failures="stale")


def test_runs_of_one_name_in_folders_of_one_name_are_numbered(run):
    runs = [run("ours", [case("CT_1")], folder=f"{place}/x") for place in ("a", "b")]
    assert segbench.load(*runs).methods["method"].tolist() == [
        "ours (x) (run 1)",
        "ours (x) (run 2)",
    ]


# ---- sections ---------------------------------------------------------------------------------


def test_scores_by_label_keep_the_labels_of_two_datasets_apart(run):
    folder = run(
        "ours",
        [
            labelled("CT_A_1", {1: RISING, 2: FLAT}, dataset="A"),
            labelled("CT_A_2", {1: FLAT}, dataset="A", boxes=False),
            labelled("CT_B_1", {1: (0.0,) * 6}, dataset="B"),
        ],
    )
    frame = report.scores_by_label(segbench.load(folder))
    keys = ["dataset", "label", "point"]
    assert frame.set_index(keys)["n"].loc[("A", 1)].to_dict() == {
        **{"box": 1, "first": 2, "final": 2, "auc": 2},
    }
    dsc = frame.set_index(keys)["dsc"]
    assert dsc.loc[("A", 1)].tolist() == pytest.approx([0.2, 0.45, 0.65, 2.2])
    assert dsc.loc[("A", 2)].tolist() == pytest.approx([0.5, 0.5, 0.5, 2.0])
    assert dsc.loc[("B", 1)].tolist() == [0.0] * 4


def test_the_scores_of_the_only_label_are_those_of_the_case(run):
    dsc = (0.1, 1 / 3, 2 / 3, 0.1 + 0.2, 0.7, 1 / 7)
    results = segbench.load(run("ours", [case("CT_1", dsc)]))
    labels = report.label_scores(results).set_index("point")
    assert labels.loc["auc", "dsc"] == results.cases["dsc_auc"].item()
    assert labels.loc["final", "nsd"] == results.cases["nsd_final"].item()


def test_scores_by_dataset_have_a_group_for_each_modality_of_a_dataset(run):
    cases = [case(name, dataset=name.split("_")[1]) for name in ("CT_A_1", "PET_A_1", "CT_B_1")]
    frame = report.scores_by_dataset(segbench.load(run("ours", cases)))
    pairs = list(frame[["modality", "dataset"]].itertuples(index=False, name=None))
    assert pairs == [("CT", "A"), ("CT", "B"), ("PET", "A")]


def test_sections_compare_common_cases_only(run):
    a = run("a", [case("CT_1", RISING), case("CT_2")])
    b = run("b", [case("CT_2"), case("CT_3", RISING)])
    results = segbench.load(a, b)
    common = report.common_cases(results)
    assert common.cases["case"].tolist() == ["CT_2", "CT_2"]
    assert set(common.steps["case"]) == {"CT_2"}
    assert set(report.scores_by_modality(results)["dsc_auc"]) == {2.0}
    own = report.scores_over_own_cases(results)
    assert (own["n"].tolist(), own["n_common"].tolist()) == ([2, 2], [1, 1])


# ---- no trace of the machine ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/alice/models/net.py:12: error", "net.py:12: error"),
        ("no such file: '/home/alice'", "no such file: '~'"),
        ('File "/usr/lib/python3/x.py", line 3', 'File "x.py", line 3'),
        ("key=/data/w.pt, /root/w.pt", "key=w.pt, w.pt"),
        (r"C:\Users\alice\x\y.py", "y.py"),
        ("file:///home/alice/x", "x"),
        ("alice@host-1.org: no route", "USER@HOST: no route"),
        ("a/b/c 1/2 n/a https://x.org/a/b", "a/b/c 1/2 n/a https://x.org/a/b"),
        ("crashed: exit 3\nlast lines of stderr:\nalice", "crashed: exit 3"),
        (f"lost {socket.gethostname()}.", "lost HOST."),
        (f"not allowed for {getpass.getuser()}!", "not allowed for USER!"),
    ],
)
def test_texts_keep_the_last_part_of_a_path_and_no_user_or_host(text, expected):
    assert without_machine(text) == expected


def test_no_frame_names_a_path_a_user_or_the_host(run, tmp_path):
    trace = f"{tmp_path}/ours/x.npz: {getpass.getuser()}@{socket.gethostname()} {Path.home()}/x"
    broken = StepResult(2, (), f"failed: {trace}\nlast lines of stderr:\n{trace}")
    steps = tuple(broken if step.step == 2 else step for step in case("CT_1").steps)
    folder = run(
        "ours",
        [
            replace(case("CT_1"), steps=steps, status="failed", reason=trace),
            CaseResult("CT_2", "invalid", reason=trace, modality="CT"),
        ],
        note=trace,
    )
    written = report.write_export(segbench.load(folder), tmp_path / "exported")
    text = "".join(file.read_text(encoding="utf-8") for file in written)
    assert "failed: x.npz" in text
    for secret in (str(tmp_path), str(Path.home()), socket.gethostname(), f"{getpass.getuser()}@"):
        assert secret not in text


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("weights", "My Data/alice/w.pt", "w.pt"),
        ("cfg", "runs/alice/x.yaml", "x.yaml"),
        ("model", "C:\\Users\\Alice Smith\\net", "net"),
        ("folder", "/home/alice/models/", "models"),
        ("weights", "s3://bucket/alice/k", "k"),
        ("image", "example.org/team/model:1", "example.org/team/model:1"),
        ("tta_flips", "8", "8"),
    ],
)
def test_of_a_path_in_an_option_the_last_part_is_kept(key, value, expected):
    assert option_text(key, value) == expected
