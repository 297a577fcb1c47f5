"""What segbench says of a wrong command line: one line, one form, exit status 2."""

import re

import click
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.cli.params import HEADINGS, Argument, Option
from segbench.core import AdapterInfo
from segbench.runs.run_folder import write_manifest
from tests.manifests import manifest

FORM = re.compile(r"segbench: [^:\n]+(: [a-z]+)?: expected [^\n]+, found [^\n]+; [^\n]+\n")


def commands(group=cli, words=()):
    """Return every command with the words that name it."""
    found = []
    for name, command in group.commands.items():
        found.append(((*words, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*words, name))
    return found


COMMANDS = commands()
OPTIONS = [
    (words, param)
    for words, command in COMMANDS
    for param in command.params
    if isinstance(param, click.Option)
]
NAMES = [f"{' '.join(words)} {option.opts[0]}" for words, option in OPTIONS]


def segbench(*words, **options):
    return CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False, **options)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Go to a folder with cases in val, a file, and the run folders runs/old and runs/new."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "CT_a.npz").write_bytes(b"a case")
    (tmp_path / "notes.txt").write_text("mine")
    for name in ("old", "new"):
        write_manifest(tmp_path / "runs" / name, manifest(AdapterInfo(name)))
    return tmp_path


RUN = ["run", "--model", "boxfill", "--data", "val"]
WRONG = [
    # paths
    (["run", "--model", "boxfill", "--data", "vall"], "--data", "no 'vall'; did you mean 'val'?"),
    (["run", "--model", "boxfill", "--data", "zzz/x"], "--data", "no 'zzz/x'; check the path"),
    (["run", "--model", "boxfill", "--data", "va*"], "--data", "no name matches this pattern"),
    (["run", "--model", "boxfill", "--data", ""], "--data", "is a shell variable empty?"),
    (
        [*RUN, "--references", "val/CT_a.npz"],
        "--references",
        "expected a folder, found the file 'val/CT_a.npz'; give the folder that contains it: val",
    ),
    ([*RUN, "--python", "notes"], "--python", "existing file, found no 'notes'; did you mean"),
    ([*RUN, "--python", "val"], "--python", "found the folder 'val'; name a file in it"),
    ([*RUN, "--out", "notes.txt"], "--out", "expected a folder, found the file 'notes.txt'"),
    ([*RUN, "--out", ""], "--out", "expected the name of a folder, found an empty text"),
    (["report", "runs/odl"], "RUNS", "found no 'runs/odl'; did you mean 'runs/old'?"),
    (["report", "run/odl"], "RUNS", "did you mean 'runs/old'?"),
    (["verify", "run"], "RUN", "did you mean 'runs'?"),
    # run folders
    (["verify", "runs"], "RUN", "a folder with the run folders new, old; give one of them"),
    (["compare", "runs", "runs/old"], "A", "the run folders new, old; give one of them"),
    (["compare", "runs/old", "runs"], "B", "the run folders new, old; give one of them"),
    (["verify", "val"], "RUN", "'val', a folder with 1 .npz file; give a folder that segbench"),
    (["report", "val"], "val", "expected a run folder or a folder of run folders, found a folder"),
    # words
    (["run", "--dta", "val"], "--dta", "an option of segbench run, found none of that name; did"),
    (["run", "--dta", "val"], "--dta", "did you mean '--data'?"),
    (["run", "--zzzz"], "--zzzz", "segbench run --help lists them"),
    # options of the model
    ([*RUN, "--device", "cuda"], "--device", "segbench models show boxfill lists the options of"),
    (
        ["run", "--weights", "net.pth", "--model", "ours", "--data", "val"],
        "--weights",
        "write --option weights=net.pth, it is one of the model",
    ),
    (["run", "--model=ours", "--device=cuda:1"], "--device", "write --option device=cuda:1, it is"),
    (["run", "--model", "ours", "--checkpoint", "a b"], "--checkpoint", "--option weights='a b',"),
    (["run", "--refine", "--model", "ours"], "--refine", "write --option refine=VALUE, it is one"),
    (
        ["run", "--refine", "x", "--model", "boxfill"],
        "--refine",
        "found none of that name; did you mean",
    ),
    (["run", "--weights", "x"], "--weights", "write --option weights=x, it is one of the model"),
    (["run", "--model", "none", "--gpu", "0"], "--gpu", "write --option gpu=0, it is one of"),
    (["models", "check", "ours", "--device", "cpu"], "--device", "write --option device=cpu, it"),
    (["report", "--zzz", "0"], "--zzz", "segbench report --help lists them"),
    (["run", "-x"], "-x", "segbench run --help lists them"),
    (["--data", "val", "run"], "--data", "put it after the command: segbench COMMAND --data"),
    (["models", "fetch", "x", "--folder", "y"], "--folder", "put it before the word fetch"),
    (["rn"], "rn", "a command of segbench, found none of that name; did you mean 'run'?"),
    (["zzz"], "zzz", "segbench --help lists them"),
    (["models", "sow"], "sow", "a command of segbench models, found none of that name; did"),
    ([*RUN, "more"], "run", "expected options only, found the word 'more' too"),
    (["verify", "runs/old", "runs/new"], "verify", "only RUN, found the word 'runs/new' too"),
    # missing
    (["run", "--model", "boxfill"], "run", "expected --data PATH, found none; for example: segben"),
    (["report"], "report", "expected RUNS, found none; for example: segbench report runs"),
    (["models", "show"], "models show", "expected NAME, found none; for example: segbench mod"),
    (["train"], "train", "expected NAME, found none"),
    (["run", "--data"], "--data", "expected a value, found none"),
    (["run", "--data", "--jobs", "2"], "--data", "a value, found the option --jobs; write --data"),
    (["run", "--case", "--jobs", "2"], "--case", "a value, found the option --jobs; write --case"),
    # values
    ([*RUN, "--jobs", "0"], "--jobs", "expected a whole number of 1 or more, found '0'"),
    ([*RUN, "--jobs", "two"], "--jobs", "expected a whole number of 1 or more, found 'two'"),
    (["report", "runs", "--decimals", "11"], "--decimals", "a whole number from 1 to 10, found"),
    ([*RUN, "--boxes", "giben"], "--boxes", "one of given, none, found 'giben'; did you mean"),
    ([*RUN, "--step-timeout", "nan"], "--step-timeout", "a number of seconds above 0, at most"),
    ([*RUN, "--time-limit", "soon"], "--time-limit", "a number of seconds above 0, at most"),
    ([*RUN, "--dry-run=1"], "--dry-run", "expected no value, because it is a switch, found one"),
    ([*RUN, "--option", "size"], "--option", "expected KEY=VALUE, found 'size'"),
    ([*RUN, "--option", "=3"], "--option", "expected KEY=VALUE, found '=3'"),
    (["models", "fetch", "x", "--sha256", "a"], "--sha256", "expected FILE=HEX, found 'a'"),
    # twice
    ([*RUN, "--data", "runs"], "--data", "found it 2 times: 'val', 'runs'; keep one of them"),
    ([*RUN, "--wait", "--no-wait"], "--wait", "it 2 times: --wait, --no-wait; keep one of them"),
    ([*RUN, "--option", "a=1", "--option", "a=2"], "--option", "'a' once, found it 2 times: '1',"),
    (
        ["models", "fetch", "x", "--sha256", "a=1", "--sha256", "a=2"],
        "--sha256",
        "expected 'a' once, found it 2 times",
    ),
]


@pytest.mark.parametrize(
    ("words", "thing", "message"), WRONG, ids=[" ".join(words) for words, *_ in WRONG]
)
def test_a_wrong_command_line_is_one_line_and_changes_nothing(place, words, thing, message):
    before = sorted(place.rglob("*"))
    result = segbench(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert FORM.fullmatch(result.stderr), result.stderr
    assert result.stderr.startswith(f"segbench: {thing}: ")
    assert message in result.stderr
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("variable", "value", "words", "message"),
    [
        ("SEGBENCH_RUN_JOBS", "0", RUN, "expected a whole number of 1 or more, found '0'"),
        ("SEGBENCH_RUN_DATA", "vall", RUN[:3], "found no 'vall'; did you mean 'val'?"),
        ("SEGBENCH_RUN_IN_PROCESS", "maybe", RUN, "1 or 0 (or true or false), found 'maybe'"),
        ("SEGBENCH_RUN_WAIT", "maybe", RUN, "1 or 0 (or true or false), found 'maybe'"),
        ("SEGBENCH_RUN_OPTION", "a=1 a=2", RUN, "expected 'a' once, found it 2 times"),
        ("SEGBENCH_MODELS_FOLDER", "notes.txt", ["models"], "found the file 'notes.txt'"),
        ("SEGBENCH_COMPARE_MOVERS_BY", "x", ["compare", "runs/old", "runs/new"], "a metric"),
    ],
)
def test_a_wrong_variable_is_named(place, variable, value, words, message):
    result = segbench(*words, env={variable: value})
    assert result.exit_code == 2
    assert FORM.fullmatch(result.stderr), result.stderr
    assert result.stderr.startswith(f"segbench: {variable}: ")
    assert message in result.stderr


def test_the_command_line_counts_where_it_and_a_variable_give_a_value(place):
    result = segbench(*RUN, "--jobs", 0, env={"SEGBENCH_RUN_JOBS": "x"})
    assert result.stderr.startswith("segbench: --jobs: ")


def test_a_path_that_the_system_refuses_is_one_line(place):
    write_manifest(place / "one", manifest(AdapterInfo("one")))
    result = segbench("report", "one", "--out", "/dev/null/report")
    assert result.exit_code == 2
    assert FORM.fullmatch(result.stderr), result.stderr
    assert (
        "/dev/null/report: expected a path that can be used, found 'Not a directory'"
        in result.stderr
    )


# ---- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [option for _, option in OPTIONS], ids=NAMES)
def test_every_option_is_given_once_and_has_a_heading(option):
    assert isinstance(option, Option)
    assert option.heading in HEADINGS


def test_every_argument_is_explained_and_has_a_heading():
    arguments = [p for _, c in COMMANDS for p in c.params if isinstance(p, click.Argument)]
    assert all(isinstance(argument, Argument) for argument in arguments)
    assert all(argument.help and argument.heading in HEADINGS for argument in arguments)


SINGLE = [
    (words, option) for words, option in OPTIONS if not option.multiple
]  # the others may be given more than once


@pytest.mark.parametrize(
    ("words", "option"), SINGLE, ids=[f"{' '.join(w)} {o.opts[0]}" for w, o in SINGLE]
)
def test_a_single_valued_option_given_twice_is_an_error(words, option):
    # The value is checked later, so any text does.
    twice = option.opts * 2 if option.is_flag else [option.opts[0], "1", option.opts[0], "2"]
    command = dict(COMMANDS)[words]
    parent = click.Context(cli, info_name="segbench")
    with pytest.raises(click.BadParameter, match="expected this option once, found it 2 times"):
        command.make_context(words[-1], twice, parent=parent)


def test_an_option_that_is_repeatable_keeps_all_its_values(place):
    command = cli.commands["run"]
    parent = click.Context(cli, info_name="segbench")
    words = [*RUN[1:], "--case", "CT_*", "--case", "MR_*", "--no-wait"]
    with command.make_context("run", words, parent=parent) as context:
        assert context.params["case"] == ("CT_*", "MR_*")
        assert context.params["wait"] is False
        assert context.params["in_process"] is False
        assert context.params["step_timeout"] == 900.0


# ---- a question ------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "found"), [("n\n", "no"), ("", "no answer")])
def test_a_licence_that_is_not_accepted_says_what_was_not_done(tmp_path, typed, found):
    words = ["models", "--folder", tmp_path, "fetch", "sam_med3d"]
    result = segbench(*words, input=typed)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("segbench: sam_med3d: expected yes to 'Accept this licence?', found")
    assert f"found {found}" in last
    assert last.endswith("; nothing was downloaded, --accept-licence answers yes")
    assert "Aborted" not in result.output
    assert list(tmp_path.iterdir()) == []
