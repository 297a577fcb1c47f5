"""The pages for users, held to the code: the torch adapter, terms, phantoms, messages."""

import ast
import json
import re
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import segbench
from segbench.cli import cli
from segbench.files import sha256_of
from segbench.phantoms import make_phantoms
from segbench.runs.job import close_models

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    """Return a folder with one small case."""
    folder = tmp_path_factory.mktemp("data") / "val"
    make_phantoms(folder, cases=1, seed=0)
    return folder


# ---- the torch adapter of docs/adapters.md ---------------------------------------------------


NET = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        hidden, out = nn.Conv3d(5, 8, 3, padding=1), nn.Conv3d(8, 1, 3, padding=1)
        super().__init__(hidden, nn.ReLU(), out)
"""


class TorchExample:
    """The torch adapter of docs/adapters.md with a small random checkpoint."""

    def __init__(self, folder: Path) -> None:
        text = (DOCS / "adapters.md").read_text(encoding="utf-8")
        (section,) = re.findall(r"^## A torch model$(.*?)^## ", text, re.M | re.S)
        (adapter,) = re.findall(r"^```python\n(.*?)^```", section, re.M | re.S)
        (declaration,) = re.findall(r"^```toml\n(.*?)^```", section, re.M | re.S)
        self.file, self.weights = folder / "mine.py", folder / "best.pth"
        self.file.write_text(adapter, encoding="utf-8")
        self.file.with_suffix(".toml").write_text(declaration, encoding="utf-8")
        (folder / "net.py").write_text(NET, encoding="utf-8")
        names: dict[str, Any] = {}
        exec(NET, names)
        torch.manual_seed(0)
        torch.save({"model": names["Net"]().state_dict()}, self.weights)


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> TorchExample:
    return TorchExample(tmp_path_factory.mktemp("torch"))


@pytest.mark.parametrize("words", [["--in-process"], []], ids=["in process", "in a worker"])
def test_the_torch_adapter_runs(example, words, phantom, tmp_path):
    command = ["run", "--model", str(example.file), "--data", str(phantom), "--limit", "1"]
    command += ["--option", f"weights={example.weights}", "--option", "device=cpu"]
    command += ["--out", str(tmp_path / "run"), *words]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    close_models()
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["adapter"]["weights_sha256"] == sha256_of(example.weights)
    assert facts["adapter"]["deterministic"]
    (case,) = (tmp_path / "run" / "cases").glob("[!.]*")
    steps = json.loads(case.read_text())["steps"]
    # a random network is not good, but its answer changes with what the user does
    assert len({step["prediction_sha256"] for step in steps}) > 1
    assert all(step["unknown_labels"] == [] for step in steps)


def test_the_options_and_weights_of_the_torch_adapter_are_listed_without_importing_it(example):
    shown = CliRunner().invoke(cli, ["models", "show", str(example.file)])
    assert shown.exit_code == 0, shown.output
    for words in ("weights", "device", "not published", "best"):
        assert words in shown.output


def test_the_torch_adapter_passes_the_check_of_the_contract(example, tmp_path, monkeypatch):
    """Its weights are where its page says; it runs with those that an option names, above."""
    monkeypatch.setenv("SEGBENCH_MODELS_FOLDER", str(tmp_path))
    (tmp_path / "mine" / "best").mkdir(parents=True)
    shutil.copy(example.weights, tmp_path / "mine" / "best")
    command = ["models", "check", str(example.file), "--option", "device=cpu"]
    checked = CliRunner().invoke(cli, command)
    assert checked.exit_code == 0, checked.output
    assert "nothing failed, 0 warnings" in checked.output


# ---- terms and phantoms ----------------------------------------------------------------------


def test_the_examples_of_the_page_of_terms_run():
    names: dict[str, object] = {"__name__": "examples"}
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / "terms.md").read_text(), re.M | re.S)
    assert len(blocks) == 7
    assert sum("assert" in block for block in blocks) == 6
    for block in blocks:
        exec(compile(block, "docs/terms.md", "exec"), names)


def demo_phantoms(folder: Path) -> Path:
    """Make the phantoms of `make demo`."""
    (words,) = re.findall(r"segbench phantoms \S*DEMO\S* (.*)", (ROOT / "Makefile").read_text())
    made = CliRunner().invoke(cli, ["phantoms", str(folder), *words.split()])
    assert made.exit_code == 0, made.output
    return folder


def scores_on_phantoms_page() -> dict[str, dict[str, float]]:
    """Return the scores in docs/phantoms.md: model -> case -> DSC AUC."""
    rows = re.findall(
        r"^\| `(\w+_Phantom_\d+)`.*? \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$",
        (DOCS / "phantoms.md").read_text(encoding="utf-8"),
        re.M,
    )
    models = ("boxfill", "ellipsoid", "ours")
    return {
        model: {case: float(scores[n]) for case, *scores in rows} for n, model in enumerate(models)
    }


@pytest.mark.parametrize(
    "model", ["boxfill", "ellipsoid", pytest.param("ours", marks=pytest.mark.slow)]
)
def test_the_scores_of_the_demo_are_those_of_the_phantoms_page(tmp_path, model):
    data = demo_phantoms(tmp_path / "val")
    result = segbench.evaluate(model, data, out=tmp_path / model, in_process=True)
    close_models()
    cases = result.frames().cases
    found = dict(zip(cases["case"], cases["dsc_auc"].round(2), strict=True))
    # ours: its network rounds differently on other processors
    assert found == pytest.approx(scores_on_phantoms_page()[model], abs=0.011)


# ---- messages and their cures ----------------------------------------------------------------


def texts_in(file: Path) -> Iterator[str]:
    """Yield every string of a source file; what an f-string computes is a line feed."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "\n" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def quoted_messages(page: str) -> list[str]:
    """Return the messages of a page: paragraphs that are nothing but code."""
    return re.findall(r"^\n`([^`]+)`\n$", page, re.M)


def parts_not_found(message: str, texts: Sequence[str]) -> list[str]:
    """Return the fixed parts of a message that no string of the source has."""
    parts = [part.strip(" ,;") for part in re.split(r"'?\.\.\.'?", message)]
    return [part for part in parts if part and not any(part in text for text in texts)]


@pytest.fixture(scope="module")
def source_texts() -> list[str]:
    packages = ("segbench", "segbench_adapters", "adapters")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    return [text for file in files for text in texts_in(file)]


TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("message", quoted_messages(TROUBLESHOOTING))
def test_a_message_with_a_cure_is_still_one_of_segbench(message, source_texts):
    assert parts_not_found(message, source_texts) == []


def test_the_check_of_messages_sees_a_change_of_wording(source_texts):
    assert len(quoted_messages(TROUBLESHOOTING)) > 15
    assert parts_not_found("device '...': expected a GPU, found none", source_texts) == [
        ": expected a GPU, found none"
    ]


# ---- installation ----------------------------------------------------------------------------


def test_the_page_of_installation_has_the_extras_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (DOCS / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", page, re.M))
    assert set(rows) == set(project["optional-dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        names = [re.split(r"[>=<]", each)[0] for each in requirements]
        assert extra == "dev" or rows[extra] == ", ".join(names)


def test_the_readme_and_the_makefile_agree_on_the_demo():
    readme, makefile = ((ROOT / name).read_text() for name in ("README.md", "Makefile"))
    (n_cases,) = re.findall(r"phantoms \S+ --cases (\d+) --seed", makefile)
    assert n_cases == "5"
    assert "generates five cases" in readme
    (models,) = re.findall(r"for model in (.*?); do", makefile)
    named = [f"`{model}`" for model in models.split()]
    assert f"runs {', '.join(named[:-1])} and {named[-1]}" in readme
