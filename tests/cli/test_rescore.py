"""`segbench rescore` as it is typed: what it prints, and its exit status."""

import pytest
from click.testing import CliRunner

import segbench
from segbench.cli import cli
from segbench.data.challenge_npz import write_case
from segbench.runs.job import close_models


@pytest.fixture
def runs(data, tmp_path):
    for model in ("boxfill", "ellipsoid"):
        out = tmp_path / "runs" / model
        segbench.evaluate(model, data, out=out, in_process=True, progress=False)
    close_models()
    return tmp_path / "runs"


def call(*words):
    return CliRunner().invoke(cli, ["rescore", *map(str, words)])


def test_a_folder_of_runs_is_rescored(runs):
    done = call(runs, "--metric", "hd95", "--metric", "nsd@1mm")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("2 runs, 3 cases: ")
    assert done.stdout.endswith(" values computed, 0 refused\n")
    derived = segbench.load(runs).derived
    assert set(derived["method"]) == {"boxfill", "ellipsoid"}
    again = call(runs, "--metric", "nsd@1.0", "--metric", "hd95")
    assert again.stdout == "2 runs, 3 cases: 0 values computed, 0 refused\n"


def test_what_cannot_be_rescored_is_named_and_the_exit_status_says_so(runs, data, make_case):
    write_case(data / "CT_Toy_001.npz", make_case("CT_Toy_001", seed=5))
    done = call(runs, "--metric", "hd95")
    assert done.exit_code == 1
    assert "expected the data of case CT_Toy_001, found another file" in done.stderr
    assert done.stdout.endswith(" values computed, 1 refused\n")


def test_many_reasons_are_cut(runs, tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def own(prediction, reference, spacing):\n    return 'no number'\n")
    done = call(runs, "--metric", f"{file}:own")
    lines = done.stderr.splitlines()
    assert len(lines) == 21
    assert "own: expected a number, found ValueError: could not convert string" in lines[0]
    assert lines[-1].startswith("and ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metric", "nds@1"], "did you mean 'nsd'?"),
        (["--metric", "hd95", "--jobs", "0"], "--jobs"),
        ([], "--metric"),
    ],
)
def test_wrong_words_are_refused_in_one_line(runs, words, message):
    done = call(runs, *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (runs / "boxfill" / "derived").exists()
