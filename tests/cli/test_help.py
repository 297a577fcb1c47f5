"""`--help`: each line understood alone, grouped, with examples, nothing cut short."""

import os
import re
import resource
import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.cli.params import HEADINGS
from tests.cli.test_usage import COMMANDS, NAMES, OPTIONS

WIDTHS = (80, 100)
GROUPS = [((), cli), *((words, c) for words, c in COMMANDS if isinstance(c, click.Group))]
PAGES = [((), cli), *COMMANDS]


def help_of(*words, columns=80):
    env = {"COLUMNS": str(columns)}
    result = CliRunner().invoke(cli, [*words, "--help"], env=env, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("words", [words for words, _ in PAGES], ids=" ".join)
def test_a_help_page_fits_and_cuts_nothing_short(words, columns):
    page = help_of(*words, columns=columns)
    assert max(map(len, page.splitlines())) <= columns
    cut = re.sub(r"(\[ARGS\]|RUNS|SOURCES|NAME\]|\[OPTIONS OF NAME\])\.\.\.", "", page)
    assert "..." not in cut
    assert page.isascii()


def test_the_first_page_names_an_own_model_and_the_documentation():
    page = help_of()
    assert "segbench models check mine.py" in page
    assert "segbench run --model mine.py --data val/" in page
    assert "Documentation: README.md and the folder docs" in page


@pytest.mark.parametrize("words", [words for words, _ in GROUPS], ids=lambda w: " ".join(w) or "-")
def test_a_group_has_the_whole_summary_of_each_command(words):
    (group,) = [group for each, group in GROUPS if each == words]
    page = " ".join(help_of(*words).split())
    for name, command in group.commands.items():
        first = re.match(r"(.+?\.)(\s|$)", " ".join(command.help.split())).group(1)
        assert f"{name} {first}" in page


@pytest.mark.parametrize(("words", "command"), PAGES, ids=[" ".join(w) or "-" for w, _ in PAGES])
def test_every_command_has_examples_of_itself_with_its_own_options(words, command):
    assert command.examples
    page = help_of(*words)
    for example in command.examples:
        assert f"\n  {example}\n" in page
        program, *rest = shlex.split(example)
        assert [program, *rest][: len(words) + 1] == ["segbench", *words]
        names = {name for each, param in OPTIONS if each == words for name in param.opts}
        if words not in ((), ("train",)):
            assert {word for word in rest if word.startswith("--")} <= names


@pytest.mark.parametrize(("words", "option"), OPTIONS, ids=NAMES)
def test_an_option_is_explained_by_a_whole_sentence(words, option):
    text = option.help
    assert text[0].isupper() or text.startswith(("given:", "csv,")), text
    assert text.endswith("."), text
    assert len(text.split()) >= 6, text
    assert not re.match(r"(Of|As|Like) ", text), text
    page = " ".join(help_of(*words, columns=100).split())
    assert " ".join(text.split()) in page


def test_the_headings_are_in_order_and_only_where_they_have_options():
    for words, command in COMMANDS:
        headings = re.findall(r"^(\w+):$", help_of(*words), re.M)
        own = {param.heading for param in command.params}
        assert [h for h in headings if h in HEADINGS] == [h for h in HEADINGS if h in own]


def test_no_range_is_a_formula():
    pages = [help_of(*words) for words, _ in PAGES]
    assert not any("x>=" in page or "<=x" in page for page in pages)


def test_the_program_alone_shows_its_help():
    result = CliRunner().invoke(cli, [])
    assert "Examples:" in result.output
    assert "Commands:" in result.output


def test_help_takes_less_than_0_4_seconds_of_processor_time():
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "segbench", "--help"],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.4
