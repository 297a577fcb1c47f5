"""The tutorial, typed line by line: its commands run, and print what it shows."""

import contextlib
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.runs.job import close_models

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tutorial.md"


@dataclass(frozen=True)
class Block:
    """A block of the page: a file to save, commands, or what they print."""

    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def commands(self) -> list[list[str]]:
        return [shlex.split(line)[1:] for line in self.lines if line.startswith("segbench ")]


@dataclass(frozen=True, eq=False)
class Typed:
    """What a reader has who typed all of it."""

    folder: Path
    printed: str  # by all commands
    commands: list[list[str]]


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return [Block(*each) for each in found]


def shown() -> list[str]:
    """Return the lines that the page shows of outputs and files."""
    plain = [block for block in blocks() if not block.language]
    return [
        line
        for block in plain
        if not block.text.startswith(("segbench ", "pip "))
        for line in block.lines
    ]


@pytest.fixture(scope="module")
def typed(tmp_path_factory) -> Typed:
    folder = tmp_path_factory.mktemp("tutorial")
    printed, commands = [], []
    with contextlib.chdir(folder):
        for block in blocks():
            if block.language == "python":
                Path("mine.py").write_text(block.text, encoding="utf-8")
            for command in block.commands:
                done = CliRunner().invoke(cli, command, catch_exceptions=False)
                assert done.exit_code == 0, done.output
                printed.append(done.output)
                commands.append(command)
    close_models()
    return Typed(folder, "".join(printed), commands)


def test_the_whole_way_is_there(typed):
    names = [command[0] for command in typed.commands]
    assert list(dict.fromkeys(names)) == [
        *("phantoms", "convert", "check", "models", "run", "rank", "report", "export")
    ]
    assert "Save it as `mine.py`:" in PAGE.read_text(encoding="utf-8")


def test_commands_and_files_say_what_the_page_shows(typed):
    text = typed.printed + (typed.folder / "scans" / "scans.csv").read_text()
    assert len(shown()) == 11
    assert [line for line in shown() if line not in text.splitlines()] == []


def test_two_cases_have_no_boxes_as_the_page_says(typed):
    cases = json.loads((typed.folder / "val" / "conversion.json").read_text())["cases"]
    assert sum("scattered" in case["decided"]["boxes"] for case in cases) == 2
    assert {case["decided"]["intensity"]["rule"] for case in cases} == {"kept"}


def test_the_table_has_both_methods(typed):
    table = (typed.folder / "report" / "table4.tex").read_text(encoding="utf-8")
    assert table.startswith(r"% needs \usepackage{array,booktabs}")
    assert {"mine", "ellipsoid"} <= set(re.findall(r"^(\w+) &", table, re.M))
    assert {file.suffix for file in (typed.folder / "report").glob("table4.*")} == {
        *(".tex", ".csv", ".md", ".html")
    }
    assert {file.suffix for file in (typed.folder / "card").iterdir()} >= {".md", ".json"}


@pytest.mark.parametrize("name", ["CT_Phantom_0001", "CT_Phantom_0002"])
def test_exported_volumes_have_the_grid_of_the_scans(typed, name):
    exported, scans = typed.folder / "volumes" / name, typed.folder / "scans"
    labels = nibabel.load(scans / "labelsTr" / f"{name}.nii.gz")
    reference = nibabel.load(exported / "reference.nii.gz")
    np.testing.assert_array_equal(reference.get_sform(), labels.get_sform())
    np.testing.assert_array_equal(np.asarray(reference.dataobj), np.asarray(labels.dataobj))
    prediction = nibabel.load(exported / "mine" / "step5.nii.gz")
    np.testing.assert_array_equal(prediction.get_sform(), labels.get_sform())
    errors = np.asarray(nibabel.load(exported / "mine" / "step5-errors.nii.gz").dataobj)
    wrong = np.asarray(prediction.dataobj) != np.asarray(labels.dataobj)
    np.testing.assert_array_equal(errors > 0, wrong)
    assert "structure_1" in (exported / "labels.ctbl").read_text()
    assert (exported / "mine" / "open_in_slicer.py").exists()
