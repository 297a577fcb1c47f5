"""The documentation, held to the code: options, links, examples, schemas."""

import contextlib
import csv
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import nbformat
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import segbench
from adapters.ours.training.command import parser as training_options
from segbench.cli import cli
from segbench.phantoms import make_phantoms
from segbench.runs.job import close_models
from segbench.runs.json_schema import write_schemas

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "reports" / "README.md", *sorted(DOCS.rglob("*.md"))]
SCHEMAS = {name: DOCS / "schema" / f"{name}.json" for name in ("run", "case", "derived")}
OWN_PAGES = [page for page in PAGES if not page.name.startswith("01")]


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made where Markdown is shown."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section_of(command: str) -> str:
    """Return what docs/run.md says of a command."""
    text = (DOCS / "run.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## `segbench {command}`$(.*?)(?=^## |\Z)", text, re.M | re.S)
    return section


def options_shown(command: str) -> set[str]:
    """Return what may follow a command in an example; train hands its options to the adapter."""
    if command != "train":
        return options_of(command)
    return set(re.findall(r"--[a-z0-9-]+", training_options("segbench train ours").format_help()))


def options_of(command: str) -> set[str]:
    """Return the options of a command and, if it is a group, of those in it."""
    found = cli.commands[command]
    commands = [found, *getattr(found, "commands", {}).values()]
    options = {name for each in commands for param in each.params for name in param.opts}
    return {name for name in options if name.startswith("--") and name != "--help"}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    """Return a folder with one small case."""
    folder = tmp_path_factory.mktemp("data") / "val"
    make_phantoms(folder, cases=1, seed=0)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, phantom) -> Path:
    """Return a run folder as a real run leaves it."""
    out = tmp_path_factory.mktemp("runs") / "boxfill"
    segbench.evaluate("boxfill", phantom, out=out, in_process=True, limit=1)
    close_models()
    return out


# ---- the protocol -----------------------------------------------------------------------------


def rules_in(text: str) -> set[str]:
    """Return the rules that a text cites, such as 4.2 or 5."""
    cited = re.findall(r"PROTOCOL\s+(\d[\d., ]*)", text)
    return {rule for several in cited for rule in re.findall(r"\d+(?:\.\d+)?", several)}


def test_every_rule_that_the_code_cites_has_its_number_in_the_documentation():
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    numbered = set(re.findall(r"^- \*\*(\d\.\d)\*\* ", page, re.M))
    numbered |= set(re.findall(r"^## (\d) ", page, re.M))
    files = [file for part in ("segbench", "adapters") for file in (ROOT / part).rglob("*.py")]
    cited = {rule for file in files for rule in rules_in(file.read_text(encoding="utf-8"))}
    assert len(cited) > 20
    assert cited <= numbered


# ---- commands --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_the_table_of_a_command_has_exactly_its_options(command):
    assert set(re.findall(r"^\| `(--[a-z0-9-]+)`", section_of(command), re.M)) == options_of(
        command
    )


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda page: page.name)
def test_no_page_shows_an_option_that_a_command_does_not_have(page):
    text = page.read_text(encoding="utf-8")
    for command, words in re.findall(r"segbench ([a-z]+)((?: [^\s`]+)+)", text):
        if command in cli.commands:
            assert set(re.findall(r"(?<= )--[a-z][a-z0-9-]+", words)) <= {
                "--help",
                *options_shown(command),
            }, words


def test_the_readme_names_every_adapter():
    from segbench.models.registry import adapter_names

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in adapter_names() if f"| `{name}` |" not in readme] == []


# ---- links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_page_can_be_reached_from_the_readme():
    seen, pages = set(), [ROOT / "README.md"]
    while pages:
        page = pages.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)#:\s]+)", page.read_text(encoding="utf-8"))
        pages += [(page.parent / link).resolve() for link in links]
    assert set(PAGES) - seen == set()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_the_index_of_decisions_has_every_title_and_marks_those_with_a_status():
    folder = DOCS / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\d{4})\]\((\S+)\) \| (.+?) \| (.+) \|$", index, re.M)
    for file in sorted(folder.glob("[0-9]*.md")):
        text = file.read_text(encoding="utf-8")
        ((title, holds),) = [row[2:] for row in rows if row[1] == file.name]
        assert text.startswith(f"# {file.name[:4]} {title}\n")
        assert ("**Status.**" in text) == (holds != "yes"), file.name
    assert len(rows) == len(list(folder.glob("[0-9]*.md")))


# ---- the package and its workflows -------------------------------------------------------------


def test_a_version_has_one_number_and_one_date():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.findall(r"^## (\S+), (\S+)$", changelog, re.M)[0]
    assert project["version"] == citation["version"] == version
    assert str(citation.get("date-released", "unreleased")) == date


def test_no_summary_promises_more_than_the_default_sum_of_nsd_gives():
    for file in ("pyproject.toml", "CITATION.cff", "segbench/__init__.py"):
        assert "bit for bit" not in (ROOT / file).read_text(encoding="utf-8")


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    commands = [
        line for page in PAGES for line in re.findall(r"[`\n]make ([a-z ]+)", page.read_text())
    ]
    assert {word for line in commands for word in line.split()} == targets - {"clean"}


def test_the_workflow_runs_make_on_every_python_that_the_package_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    (file,) = (ROOT / ".github" / "workflows").glob("*.yml")
    jobs = yaml.safe_load(file.read_text())["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python-version"] == named
    runs = {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }
    assert runs == {name: [f"make {name}"] for name in ("check", "test", "wheel")}


# ---- examples --------------------------------------------------------------------------------


def test_the_examples_of_the_python_page_run(tmp_path):
    blocks = python_blocks(DOCS / "python.md")
    assert len(blocks) >= 8
    names: dict[str, object] = {"__name__": "examples"}
    with contextlib.chdir(tmp_path):
        for block in blocks:
            exec(compile(block, "docs/python.md", "exec"), names)
    close_models()


def test_the_reading_example_of_the_results_page_runs(run, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "ours").symlink_to(run)
    (block,) = python_blocks(DOCS / "results.md")
    with contextlib.chdir(tmp_path):
        exec(compile(block, "docs/results.md", "exec"), {})
    assert capsys.readouterr().out.startswith("CT_Phantom_0001 0.")


def test_the_table_of_your_own_on_the_report_page_takes_three_lines(run, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    for name in ("boxfill", "ellipsoid"):
        shutil.copytree(run, tmp_path / "runs" / name)
    (block,) = python_blocks(DOCS / "report.md")
    assert len([line for line in block.splitlines() if line]) == 3
    with contextlib.chdir(tmp_path):
        exec(compile(block, "docs/report.md", "exec"), {})
    assert "boxfill (ellipsoid)" in capsys.readouterr().out


def test_the_python_page_has_every_keyword_of_evaluate():
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `([a-z_]+)` \| .* \| .* \|$", page, re.M)
    assert set(table) == set(inspect.signature(segbench.evaluate).parameters) - {
        *("model", "data", "out")
    }


def test_pandas_reads_the_numbers_of_a_run_as_they_are_written(run):
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    read = pd.read_csv(run / "metrics.csv")
    for column in ("DSC_AUC", "NSD_AUC", "TotalRunningTime"):
        assert [float(row[column]) for row in rows] == list(read[column])


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "adapters.md"], ids=lambda p: p.name)
@pytest.mark.parametrize("words", [["--in-process"], []], ids=["in process", "in a worker"])
def test_the_twenty_line_adapter_runs(page, words, phantom, tmp_path):
    adapter = next(block for block in python_blocks(page) if "make_adapter" in block)
    assert sum(bool(line.strip()) for line in adapter.splitlines()) <= 22
    (tmp_path / "alike.py").write_text(adapter, encoding="utf-8")
    command = ["run", "--model", str(tmp_path / "alike.py"), "--data", str(phantom)]
    command += ["--out", str(tmp_path / "run"), "--limit", "1", *words]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    close_models()
    assert result.exit_code == 0, result.output
    (case,) = (tmp_path / "run" / "cases").glob("[!.]*")
    facts = json.loads(case.read_text())
    assert facts["status"] == "ok"
    assert min(score["dsc"] for score in facts["steps"][-1]["scores"]) > 0.3


def test_what_the_readme_says_to_a_newcomer_works(tmp_path):
    """The lines of the section on an own model, as they stand, in an empty folder."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Your own model")[2].partition("\n## ")[0]
    lines = re.findall(r"`segbench ([^`]+)`", section)
    lines.sort(key=lambda line: ["phantoms", "models", "run"].index(line.split()[0]))
    assert lines[:2] == ["phantoms val/", "models check bright.py"]
    with contextlib.chdir(tmp_path):
        (block,) = python_blocks(ROOT / "README.md")
        Path("bright.py").write_text(block, encoding="utf-8")
        for line in lines:
            limit = ["--limit", "1"] if line.startswith("run") else []
            done = CliRunner().invoke(cli, [*line.split(), *limit])
            close_models()
            assert done.exit_code == 0, done.output


# ---- schemas ---------------------------------------------------------------------------------


def objects(schema):
    """Yield every object that a schema describes."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


@pytest.fixture(params=sorted(SCHEMAS))
def schema(request):
    return json.loads(SCHEMAS[request.param].read_text(encoding="utf-8"))


def test_a_schema_is_one_and_leaves_nothing_open(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    for described in objects(schema):
        has_names = bool(described.keys() & {"properties", "patternProperties"})
        assert has_names == (described["additionalProperties"] is False)
        for name, field in described.get("properties", {}).items():
            assert field.keys() & {"description", "$ref"}, name


def test_the_schemas_are_those_of_the_code(tmp_path):
    write_schemas(tmp_path)
    for schema in SCHEMAS.values():
        assert (tmp_path / schema.name).read_text() == schema.read_text(), "run: make schema"


def test_the_results_page_names_every_field(schema):
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    fields = {name for described in objects(schema) for name in described.get("properties", {})}
    assert sorted(name for name in fields if f"`{name}`" not in page) == []


def test_a_real_run_is_what_the_schemas_say(run):
    segbench.rescore(run, metric=["nsd@1mm", "obeyed", "nsd-box@2mm"], progress=False)
    files = {"run": [run / "run.json"]}
    files |= {"case": sorted((run / "cases").glob("[!.]*"))}
    files |= {"derived": sorted((run / "derived").glob("[!.]*"))}
    for name, schema in SCHEMAS.items():
        validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
        for file in files[name]:
            facts = json.loads(file.read_text())
            validator.validate(facts)
            assert not validator.is_valid(facts | {"surprise": 1})


def test_invalid_and_failed_cases_are_what_the_schema_says(tmp_path, phantom, scripted):
    data = tmp_path / "val"
    data.mkdir()
    (data / "CT_broken.npz").write_bytes(b"no archive")
    (data / "CT_fine.npz").symlink_to(next(phantom.glob("*.npz")))
    out, options = tmp_path / "run", {"fail": "raise", "at": "1"}
    segbench.evaluate(scripted, data, out=out, in_process=True, option=options)
    close_models()
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMAS["case"].read_text()))
    facts = [json.loads(file.read_text()) for file in sorted((out / "cases").glob("[!.]*"))]
    assert [case["status"] for case in facts] == ["invalid", "failed"]
    for case in facts:
        validator.validate(case)


def outputs_of(notebook):
    """Return what each code cell shows as its result, as text."""
    return [
        "".join(output["data"].get("text/plain", ""))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]


def test_the_notebook_runs_and_shows_what_it_shows(tmp_path):
    """In a kernel of its own, in an empty folder."""
    file = DOCS / "first-hour.ipynb"
    code = (
        "import sys, nbformat; from nbclient import NotebookClient\n"
        "notebook = nbformat.read(sys.argv[1], 4)\n"
        "resources = {'metadata': {'path': sys.argv[2]}}\n"
        "NotebookClient(notebook, timeout=300, resources=resources).execute()\n"
        "nbformat.write(notebook, sys.argv[3])\n"
    )
    ran = tmp_path / "ran.ipynb"
    (tmp_path / "empty").mkdir()
    words = [sys.executable, "-c", code, file, tmp_path / "empty", ran]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    before, after = (outputs_of(nbformat.read(each, 4)) for each in (file, ran))
    assert len(before) > 5
    assert after == before
