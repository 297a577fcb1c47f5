"""The command line, end to end: as a user types it."""

import contextlib
import getpass
import json
import os
import re
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.runs.job import close_models
from tests.processes import spawn

COMMANDS = sorted(cli.commands)


def segbench(*words, **options):
    """Run a command in this process."""
    words = [str(word) for word in words]
    result = CliRunner().invoke(cli, words, catch_exceptions=False, **options)
    close_models()
    return result


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    result = segbench(command, "--help")
    assert result.exit_code == 0
    assert f"segbench {command}" in result.output.replace("Usage: cli", "Usage: segbench")


def test_phantoms_run_report(tmp_path):
    assert segbench("phantoms", tmp_path / "val", "--cases", 5).exit_code == 0
    for model in ("empty", "boxfill"):
        result = segbench(
            "run", "--model", model, "--data", tmp_path / "val", "--out", tmp_path / "runs" / model
        )
        assert result.exit_code == 0, result.output
        assert model in result.output
    runs = sorted((tmp_path / "runs").iterdir())
    result = segbench("report", *runs, "--out", tmp_path / "report", "--published", "table3")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report" / "index.html").read_text()
    assert "boxfill" in page
    assert "SAM-Med3D" in page
    for suffix in ("md", "csv", "tex", "html"):
        assert (tmp_path / "report" / f"table3.{suffix}").exists()


EXPORTED = {
    "csv": ["cases.csv", "methods.csv", "prompts.csv", "steps.csv"],
    "challenger": ["challenger.csv"],
    "card": ["card-scripted.json", "card-scripted.md"],
}


@pytest.mark.parametrize("kind", sorted(EXPORTED))
def test_an_exported_run_has_no_trace_of_the_machine(data, tmp_path, scripted, kind):
    out = tmp_path / "runs" / "scripted"
    (data / "CT_Toy_000.npz").write_bytes(b"no archive")
    words = ["run", "--model", scripted, "--data", data, "--out", out, "--option", "at=2"]
    assert segbench(*words, "--option", "fail=exit").exit_code == 1
    result = segbench("export", out, "--format", kind, "--out", tmp_path / "exported")
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "exported").iterdir())
    assert [file.name for file in files] == sorted([*EXPORTED[kind], "segbench-export.json"])
    text = "".join(file.read_text() for file in files)
    assert "crashed: ended with" in text or kind == "challenger"
    words = re.split(r"[^\w.-]+", text)
    assert str(tmp_path) not in text
    assert not {getpass.getuser(), socket.gethostname()} & set(words)


def test_the_default_run_folder_is_named_after_the_model(data, tmp_path):
    with contextlib.chdir(tmp_path):
        result = segbench("run", "--model", "empty", "--data", data, "--in-process")
    assert result.exit_code == 0
    assert (tmp_path / "runs" / "empty" / "metrics.csv").exists()


def test_a_failed_case_gives_exit_status_1_and_its_reason(data, tmp_path, scripted):
    result = segbench(
        *("run", "--model", scripted, "--data", data, "--out", tmp_path / "run"),
        *("--option", "fail=exit", "--option", "at=1"),
    )
    assert result.exit_code == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("failed: "))
    assert line.startswith("failed: 3 cases: step 1: crashed: ended with exit status 3")
    assert line.endswith(": CT_Toy_001, MR_Toy_002, PET_Toy_003")


def test_the_failure_policy_moves_metrics_csv_and_not_the_facts(data, tmp_path, scripted):
    words = ["run", "--model", scripted, "--data", data, "--out", tmp_path / "run"]
    words += ["--option", "fail=raise", "--option", "at=5", "--in-process"]
    segbench(*words)
    zero = (tmp_path / "run" / "metrics.csv").read_text()
    segbench(*words, "--failures", "carry-forward")
    stale = (tmp_path / "run" / "metrics.csv").read_text()
    assert zero.splitlines()[1].split(",")[10] == "0.0"
    assert stale.splitlines()[1].split(",")[10] == "1.0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "boxfil"], "found none of that name; did you mean 'boxfill'?"),
        (
            ["--model", "boxfill", "--case", "XX*"],
            "--case XX*: expected a pattern that one of the 3 cases matches",
        ),
        (["--model", "boxfill", "--option", "a"], "expected KEY=VALUE, found 'a'"),
        (
            ["--model", "boxfill", "--option", "a=1"],
            "boxfill: --option: expected none, found 'a'; it has no options",
        ),
        (
            ["--model", "oracle"],
            "oracle: --option: expected references=VALUE (The folder of the files",
        ),
        (
            ["--model", "boxfill", "--step-timeout", "-1"],
            "a number of seconds above 0, at most 1000000, found '-1'",
        ),
        (
            ["--model", "boxfill", "--time-limit", "nan"],
            "a number of seconds above 0, at most 1000000, found 'nan'",
        ),
        (
            ["--model", "boxfill", "--in-process", "--jobs", "2"],
            "jobs: expected 1 for a model in this process",
        ),
        (["--model", "boxfil", "--dry-run"], "did you mean 'boxfill'?"),
        (["--model", "boxfill", "--out", "/dev/null/run"], "/dev/null"),
    ],
)
def test_a_bad_request_is_one_line_and_exit_status_2(data, tmp_path, words, message):
    result = segbench("run", "--data", data, "--out", tmp_path / "run", *words)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_dry_run_says_what_would_run_and_runs_nothing(data, tmp_path):
    result = segbench(
        *("run", "--model", "boxfill", "--data", data, "--out", tmp_path / "run", "--dry-run")
    )
    assert "would run CT_Toy_001" in result.output
    assert "3 to run, 0 invalid, 0 done: 3 of 3 cases asked for" in result.output
    assert "MB per job" in result.output
    assert not (tmp_path / "run").exists()


def test_options_may_come_from_the_environment(data, tmp_path):
    words = ["run", "--model", "empty", "--data", data, "--out", tmp_path / "run", "--in-process"]
    segbench(*words, env={"SEGBENCH_RUN_LIMIT": "1"})
    assert len(list((tmp_path / "run" / "cases").iterdir())) == 1


def test_plain_lines_where_there_is_no_terminal(data, tmp_path):
    process = spawn("run", "--model", "empty", "--data", data, "--out", tmp_path / "run")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    lines = err.splitlines()
    assert lines[0].startswith("empty 1/3 CT_Toy_001 ok, ")
    assert lines[2].endswith(" left")


SLOW_ADAPTER = """
import time
import numpy as np
from segbench.core import AdapterInfo
from segbench.models.prompt_painting import paint_prompts


class Slow:
    info = AdapterInfo("slow", version="1")

    def set_image(self, image, labels): ...

    def predict(self, interactions):
        time.sleep(0.1)
        return paint_prompts(interactions, lambda size: np.ones(size, bool))

    def close(self): ...


make_adapter = Slow
"""


def without_cost(out: Path) -> dict[str, str]:
    texts = {}
    for file in sorted((out / "cases").glob("[!.]*")):
        facts = json.loads(file.read_text())
        del facts["cost"]
        texts[file.name] = json.dumps(facts)
    return texts


PAUSING_ADAPTER = """
import time
from pathlib import Path

import numpy as np
from segbench.core import AdapterInfo
from segbench.models.prompt_painting import paint_prompts


class Pausing:
    info = AdapterInfo("pausing", version="1")
    here, images = Path(__file__).parent, 0

    def set_image(self, image, labels):
        self.images += 1

    def predict(self, interactions):
        is_inside = self.images == 2 and interactions.step == 3
        if is_inside and not (self.here / "goes on").exists():
            (self.here / "pauses").touch()
            time.sleep(60)
        return paint_prompts(interactions, lambda size: np.ones(size, bool))


make_adapter = Pausing
"""


def test_a_run_that_was_killed_and_continued_equals_an_unbroken_one(data, tmp_path):
    model = tmp_path / "pausing.py"
    model.write_text(PAUSING_ADAPTER)
    words = ["run", "--model", model, "--data", data]
    killed = spawn(*words, "--out", tmp_path / "killed", start_new_session=True)
    first = tmp_path / "killed" / "cases" / "CT_Toy_001.json"
    deadline = time.monotonic() + 60
    while not (tmp_path / "pauses").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)  # inside the second case
    killed.communicate()
    (tmp_path / "goes on").touch()
    assert first.exists()
    assert not (tmp_path / "killed" / "cases" / "PET_Toy_003.json").exists()
    done = first.read_bytes()
    assert segbench(*words, "--out", tmp_path / "killed").exit_code == 0
    assert segbench(*words, "--out", tmp_path / "unbroken").exit_code == 0
    assert first.read_bytes() == done
    assert without_cost(tmp_path / "killed") == without_cost(tmp_path / "unbroken")
    assert [file.name for file in (tmp_path / "killed" / "cases").glob(".*")] == []


def test_two_runners_share_one_folder_and_do_nothing_twice(data, tmp_path):
    model = tmp_path / "slow.py"
    model.write_text(SLOW_ADAPTER)
    words = ["run", "--model", model, "--data", data, "--out", tmp_path / "run"]
    runners = [spawn(*words) for _ in range(2)]
    for runner in runners:
        runner.communicate(timeout=120)
    assert [runner.returncode for runner in runners] == [0, 0]
    log = (tmp_path / "run" / "run.log").read_text().splitlines()
    assert sorted(line.split()[1] for line in log) == ["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"]


def test_report_and_export_take_the_folder_of_the_runs(data, tmp_path):
    for model in ("boxfill", "empty"):
        words = ["--data", data, "--out", tmp_path / "runs" / model, "--in-process"]
        assert segbench("run", "--model", model, *words).exit_code == 0
    for command, file in (("report", "facts.csv"), ("export", "methods.csv")):
        result = segbench(command, tmp_path / "runs", "--out", tmp_path / command)
        assert result.exit_code == 0, result.output
        text = (tmp_path / command / file).read_text()
        assert text.index("boxfill") < text.index("empty")
        again = segbench(command, tmp_path / "runs", "--out", tmp_path / command)
        assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("command", "name"),
    [("report", "index.html"), ("report", "steps.tex"), ("export", "cases.csv")],
)
def test_a_file_of_somebody_else_stays(data, tmp_path, command, name):
    run = tmp_path / "run"
    segbench("run", "--model", "empty", "--data", data, "--out", run, "--in-process")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("my thesis")
    result = segbench(command, run, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"segbench: {tmp_path / 'out' / name}: expected nothing or")
    assert result.stderr.count("\n") == 1
    assert [file.read_text() for file in (tmp_path / "out").iterdir()] == ["my thesis"]


def test_predict_replaces_only_earlier_outputs(tmp_path, data):
    inputs, outputs = tmp_path / "inputs", tmp_path / "outputs"
    inputs.mkdir()
    outputs.mkdir()
    case = inputs / "CT_Toy_001.npz"
    with np.load(data / "CT_Toy_001.npz", allow_pickle=True) as stored:
        np.savez(case, **{key: stored[key] for key in stored.files if key != "gts"})
    words = ["predict", "--model", "boxfill", "--inputs", inputs, "--outputs"]
    before = case.read_bytes()
    same = segbench(*words, inputs)
    assert (same.exit_code, case.read_bytes()) == (2, before)
    assert "expected another folder than --inputs, found the same" in same.stderr
    for content in (before, b"my thesis"):
        (outputs / case.name).write_bytes(content)
        other = segbench(*words, outputs)
        assert (other.exit_code, (outputs / case.name).read_bytes()) == (2, content)
        assert "expected nothing or an earlier output (segs alone), found another" in other.stderr
    (outputs / case.name).unlink()
    for _ in range(2):
        assert segbench(*words, outputs).exit_code == 0


def test_a_failed_prediction_is_one_line_behind_the_traceback_of_the_adapter(data, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from segbench.core import AdapterInfo\n\n\nclass Mine:\n    info = AdapterInfo('mine')\n\n"
        "    def set_image(self, image, labels):\n        pass\n\n"
        "    def predict(self, interactions):\n        raise ValueError('confused')\n\n\n"
        "make_adapter = Mine\n"
    )
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    with np.load(data / "CT_Toy_001.npz", allow_pickle=True) as stored:
        arrays = {key: stored[key] for key in stored.files if key != "gts"}
    np.savez(inputs / "CT_Toy_001.npz", **arrays)
    words = ["predict", "--model", file, "--inputs", inputs, "--outputs", tmp_path / "outputs"]
    result = segbench(*words)
    assert result.exit_code == 2
    *traceback, line = result.stderr.splitlines()
    assert line == "segbench: CT_Toy_001.npz: raised ValueError: confused"
    assert "mine.py" in "\n".join(traceback)
