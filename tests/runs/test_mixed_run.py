"""Every adapter that can run here, each with its smallest network, on the same cases: one report.

Those with an environment of their own take part if ``SEGBENCH_TEST_PYTHON_<NAME>`` names an
interpreter, or is ``uv``: then uv builds it from header and lock, as for a user.
"""

import json
from dataclasses import asdict

import pandas as pd
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.models.registry import adapter_names, find_adapter, has_own_environment
from segbench.runs.run_folder import read_run
from tests.peers.smallest import smallest

pytestmark = pytest.mark.slow

CASES = 3


def segbench(*words):
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    segbench("phantoms", folder / "val", "--cases", CASES, "--seed", 3)
    return folder


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    """Run every adapter that can; return its run by its name."""
    made = {}
    for name in adapter_names():
        try:
            file, options, python = smallest(name, folder / "val", tmp_path_factory.mktemp(name))
        except pytest.skip.Exception as reason:
            print(f"left out: {reason}")  # noqa: T201
            continue
        words = ["run", "--model", file, "--data", folder / "val", "--out", folder / "runs" / name]
        words += [word for pair in options.items() for word in ("--option", "=".join(pair))]
        segbench(*words, *(["--python", python] if python else []), "--name", name)
        made[name] = read_run(folder / "runs" / name)
    return made


def test_each_answers_every_step_of_every_case(runs):
    for name, run in runs.items():
        assert [case.status for case in run.case_results] == ["ok"] * CASES, name
        assert all(step.failure is None for case in run.case_results for step in case.steps), name


def test_environments_that_exclude_each_other_are_in_one_report(runs):
    both = [name for name in ("nninteractive", "nninteractive_challenge") if name in runs]
    if len(both) < 2:
        pytest.skip("needs interpreters for both releases of nnInteractive")
    notes = [json.dumps(asdict(runs[name].adapter)) for name in both]
    assert "2.6.0" in notes[0]
    assert "1.0.1" in notes[1]


def test_one_report_has_a_row_for_each(runs, folder):
    segbench("report", *(folder / "runs").iterdir(), "--out", folder / "report")
    facts = pd.read_csv(folder / "report" / "facts.csv")
    print(facts.to_string())  # noqa: T201
    assert sorted(name.split(" (")[0] for name in facts.columns[1:]) == sorted(runs)
    in_this_interpreter = [
        name for name in adapter_names() if not has_own_environment(find_adapter(name))
    ]
    assert set(runs) >= set(in_this_interpreter)
