"""`segbench rank` and `segbench compare`, as a user types them."""

import csv
import shutil

import pytest
from click.testing import CliRunner

import segbench as package
from segbench.cli import cli
from segbench.core import AdapterInfo
from segbench.report import rank_runs
from segbench.report.resampling import Resampling
from segbench.runs.run_folder import write_case_result, write_manifest
from tests.manifests import manifest
from tests.report.small_runs import case


def segbench(*words):
    return CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)


@pytest.fixture
def runs(tmp_path):
    """Return three runs of 8 cases: the DSC of ``old`` is 0.5, of ``new`` 0.48, of ``best`` 0.7."""
    for name, score in {"old": 0.5, "new": 0.48, "best": 0.7}.items():
        out = tmp_path / "runs" / name
        write_manifest(out, manifest(AdapterInfo(name), n_cases=8))
        for i in range(8):
            shift = 0.01 * i if name == "new" else 0.0
            write_case_result(out, case(f"CT_{i}", (score + shift - 0.035 * bool(shift),) * 6))
    return tmp_path / "runs"


def test_rank_prints_the_ranks_and_writes_them(runs, tmp_path):
    file = tmp_path / "ranks.csv"
    words = ["--seed", 3, "--draws", 1000, "--out", file]
    result = segbench("rank", *sorted(runs.iterdir()), *words)
    assert result.exit_code == 0, result.output
    assert "Ranking of 3 methods over 8 cases of 8 patients" in result.output
    assert max(map(len, result.stdout.splitlines())) <= 100
    ranking = rank_runs(
        package.load(*sorted(runs.iterdir())), resampling=Resampling(draws=1000, seed=3)
    )
    with file.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["method"] for row in rows] == ranking.table["method"].tolist()
    assert [float(row["rank"]) for row in rows] == ranking.table["rank"].tolist()


@pytest.mark.parametrize(
    "words",
    [
        ("rank", "--draws", 1000),
        ("report", "--out", "rep", "--draws", 1000),
        ("export", "--out", "exp"),
    ],
    ids=lambda words: words[0],
)
def test_what_fresh_moved_away_is_left_out_of_what_the_shell_gives(runs, words, monkeypatch):
    monkeypatch.chdir(runs.parent)
    shutil.copytree(runs / "old", runs / "old.old-1")
    names = sorted(str(folder.relative_to(runs.parent)) for folder in runs.iterdir())
    assert "runs/old.old-1" in names
    done = segbench(words[0], *names, *words[1:])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stderr.splitlines() if line.startswith("left out")]
    assert lines == [
        "left out runs/old.old-1, which --fresh moved away; "
        "`segbench compare runs/old.old-1 runs/old` compares the two"
    ]
    assert "old (old" not in done.stdout
    assert "left out runs" not in segbench("rank", runs / "best", runs / "old.old-1").stderr


@pytest.mark.parametrize("words", [("rank", "old", "new"), ("compare", "old", "new")])
def test_paragraphs_are_as_wide_as_the_terminal(runs, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = segbench(words[0], *(runs / word for word in words[1:]), "--draws", 1000)
    table, notes = done.stdout.split("Notes\n\n")
    assert 60 < max(map(len, notes.splitlines())) <= 80
    monkeypatch.setenv("COLUMNS", "300")
    done = segbench(words[0], *(runs / word for word in words[1:]), "--draws", 1000)
    assert done.stdout.split("Notes\n\n")[0].split() == table.split()
    assert 80 < max(map(len, done.stdout.splitlines())) <= 100


def test_rank_ranks_all_cases_if_asked(runs):
    (runs / "old" / "cases" / "CT_0.json").unlink()
    common = segbench("rank", runs / "old", runs / "best")
    assert "over 7 cases" in common.output
    assert "1 of 8 cases is left out: a ranked method lacks it." in common.output
    last = segbench("rank", runs / "old", runs / "best", "--missing", "last", "--ties", "average")
    assert "over 8 cases" in last.output
    assert "1 missing case of single methods has the last rank" in last.output
    assert "the mean of their ranks" in last.output


def test_rank_takes_the_patients_from_the_names(runs):
    pattern = ["--patient-pattern", "CT_[0-3]|CT_"]
    result = segbench("rank", runs / "old", runs / "best", *pattern)
    assert "8 cases of 5 patients" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rank", "old"], "ranking: expected at least two runs, found 1"),
        (["rank", "old", "old"], "expected each run once, found it 2 times"),
        (["compare", "old", "old"], "expected each run once, found it 2 times"),
        (
            ["compare", "old"],
            "compare: expected B, found none; for example: segbench compare runs/old",
        ),
        (
            ["rank", "old", "new", "--patient-pattern", "("],
            "patient_pattern: expected a regular expression, found '('",
        ),
        (["compare", "old", "new", "--fail-if-worse", "dsc_final"], "expected METRIC=DELTA"),
        (["compare", "old", "new", "--fail-if-worse", "dsc_finl=1"], "did you mean 'dsc_final'?"),
        (["compare", "old", "new", "--fail-if-worse", "dsc_final=-1"], "a number of 0 or more"),
        (["compare", "old", "new", "--fail-if-worse", "dsc_final=nan"], "a number of 0 or more"),
        (["compare", "old", "new", "--equivalence", "much"], "a number of 0 or more"),
        (
            ["compare", "old", "new", *["--tie-margin", "0.1"] * 2],
            "expected a number for dsc_auc once, found it 2 times",
        ),
        (
            ["compare", "old", "new", "--movers-by", "hd95"],
            "expected a metric, one of dsc_auc, nsd_auc",
        ),
    ],
)
def test_a_bad_request_is_exit_status_2(runs, words, message):
    words = [runs / word if word in ("old", "new") else word for word in words]
    result = segbench(*words)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([], 0),
        (["dsc_final=0.05"], 0),
        (["dsc_final=0.01"], 1),
        (["DSC-Final=0.01"], 1),
        (["dsc_final=0.05", "nsd_auc=0.1"], 0),
        (["dsc_final=0.05", "nsd_auc=0.01"], 1),
    ],
)
def test_compare_fails_if_the_mean_is_worse_by_more_than_allowed(runs, words, status):
    options = [word for text in words for word in ("--fail-if-worse", text)]
    result = segbench("compare", runs / "old", runs / "new", *options)
    assert result.exit_code == status, result.output
    assert "A  old  (baseline)" in result.output
    assert result.output.count("B - A is") == len(words)
    assert ("FAIL" in result.output) == bool(status)
    assert segbench("compare", runs / "new", runs / "old", *options).exit_code == 0


def test_compare_says_whether_the_interval_agrees(runs):
    result = segbench("compare", runs / "best", runs / "old", "--fail-if-worse", "dsc_final=0.1")
    assert result.exit_code == 1
    assert "FAIL dsc_final: B - A is -0.2000, below -0.1." in result.output
    assert "agrees: all of it is below -0.1." in " ".join(result.output.split())


def test_compare_tests_equivalence_and_ties_within_margins(runs):
    margins = ["--equivalence", "dsc_final=0.5", "--tie-margin", "0.5"]
    result = segbench("compare", runs / "old", runs / "new", *margins, "--movers", 0)
    assert result.exit_code == 0, result.output
    assert "0/8/0" in result.output
    assert [line.split()[-1] for line in result.output.splitlines() if "0.5  [" in line] == ["yes"]
    assert "Largest" not in result.output


def test_rank_takes_the_folder_of_the_runs(runs):
    words = ["--draws", 1000]
    together = segbench("rank", runs, *words)
    assert together.exit_code == 0, together.output
    assert together.output == segbench("rank", *sorted(runs.iterdir()), *words).output


@pytest.mark.parametrize("text", ["", None], ids=["empty", "earlier"])
def test_rank_replaces_an_earlier_ranking(runs, tmp_path, text):
    file, words = tmp_path / "ranks.csv", ["--draws", 1000, "--out", tmp_path / "ranks.csv"]
    if text is None:
        segbench("rank", runs / "old", runs / "best", *words)
    else:
        file.write_text(text)
    result = segbench("rank", runs, *words)
    assert result.exit_code == 0, result.output
    assert "new" in file.read_text()


@pytest.mark.parametrize("text", ["case,patient\n", "my thesis", "rule,average,method\n"])
def test_rank_replaces_no_other_file(runs, tmp_path, text):
    file = tmp_path / "index.csv"
    file.write_text(text)
    result = segbench("rank", runs, "--draws", 1000, "--out", file)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "index.csv: expected nothing or an earlier table with the columns rule," in result.stderr
    assert "another file; choose another name, or move this file" in result.stderr
    assert file.read_text() == text
