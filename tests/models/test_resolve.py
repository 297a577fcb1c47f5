"""A model's options and weights are checked before anything is built or loaded."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.errors import AdapterError, AdapterNotFound
from segbench.models.resolve import resolve_model

SOURCE = """
# /// script
# dependencies = ["numpy"]
# ///
raise ImportError("never imported here")


def make_adapter(model: str = "", seed: int = 0):
    ...
"""
DECLARATION = """
licence = "MIT"

[[weights]]
name = "base"
licence = "MIT"
repo = "lab/net"
option = "model"
use = "net"
files = [{ path = "net/plans.json" }, { path = "net/net.pth" }]

[[weights]]
name = "large"
licence = "MIT"
repo = "lab/net"
option = "model"
use = "big"
files = [{ path = "big/net.pth" }]
"""
BY_HAND = """
licence = "MIT"

[[weights]]
name = "final"
licence = "MIT"
page = "https://drive.example.org/file"
option = "model"
files = [{ path = "final.pth" }]
"""


@pytest.fixture
def model(tmp_path) -> str:
    (tmp_path / "net.py").write_text(SOURCE)
    (tmp_path / "net.toml").write_text(DECLARATION)
    return str(tmp_path / "net.py")


@pytest.fixture
def folder(tmp_path, environment) -> Path:
    """Return the folder of weights that the variable names."""
    environment(SEGBENCH_MODELS_FOLDER=tmp_path / "models")
    return tmp_path / "models"


def put(folder: Path, name: str, *files: str) -> Path:
    """Put the files of a set of weights in place."""
    for file in files:
        path = folder / "net" / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder / "net" / name


def test_weights_in_place_are_taken_and_named(model, folder):
    target = put(folder, "large", "big/net.pth")
    said = []
    assert resolve_model(model, {"seed": "1"}, say=said.append)[1] == {
        "seed": "1",
        "model": str(target / "big"),
    }
    assert said == [f"net: weights 'large', {target / 'big'}"]


def test_the_first_declared_set_is_taken_unless_another_is_named(model, folder):
    large = put(folder, "large", "big/net.pth")
    base = put(folder, "base", "net/plans.json", "net/net.pth")
    assert resolve_model(model)[1]["model"] == str(base / "net")
    assert resolve_model(model, {"model": "large"})[1]["model"] == str(large / "big")


def test_sets_for_two_options_are_alternatives(folder, tmp_path):
    (tmp_path / "net.py").write_text("def make_adapter(model: str = '', weights: str = ''): ...\n")
    other = DECLARATION.replace('option = "model"\nuse = "big"', 'option = "weights"')
    (tmp_path / "net.toml").write_text(other)
    model = str(tmp_path / "net.py")
    assert resolve_model(model, {"model": str(tmp_path)})[1] == {"model": str(tmp_path)}
    target = put(folder, "large", "big/net.pth")
    assert resolve_model(model)[1] == {"weights": str(target / "big" / "net.pth")}


def test_a_path_is_passed_as_it_is(model, folder, tmp_path):
    said = []
    given = {"model": str(tmp_path)}
    assert resolve_model(model, given, say=said.append)[1] == given
    assert said == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {},
            "net: expected weights in {0}/net/base, found none; run: segbench models fetch net, "
            "or give a path: --option model=FOLDER",
        ),
        (
            {"model": "large"},
            "net: expected weights in {0}/net/large, found none; "
            "run: segbench models fetch net --weights large, or give a path",
        ),
        (
            {"model": "nowhere"},
            "net: model 'nowhere': expected a folder with weights, found "
            "nothing there; give its path, or the name of weights that are in place: base or large",
        ),
        ({"model": __file__}, "expected a folder with weights, found a file"),
        (
            {"modle": "x"},
            "net: --option: expected one of model, seed, found 'modle'; did you mean 'model'?",
        ),
    ],
)
def test_missing_weights_and_wrong_paths_say_what_to_do(model, folder, given, message):
    with pytest.raises(AdapterError) as error:
        resolve_model(model, given)
    assert message.format(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_incomplete_weights_are_named(model, folder):
    put(folder, "large")
    put(folder, "base", "net/plans.json")
    with pytest.raises(AdapterError, match=r"found weights 'base': lacks net/net.pth; run: seg"):
        resolve_model(model)


def test_for_weights_on_a_page_the_page_and_the_place_are_named(model, folder, tmp_path):
    (tmp_path / "net.toml").write_text(BY_HAND)
    with pytest.raises(AdapterError) as error:
        resolve_model(model)
    target = folder / "net" / "final"
    assert str(error.value) == (
        f"net: expected weights in {target}, found none; get final.pth from "
        f"https://drive.example.org/file and put it into {target}, "
        "or give a path: --option model=FILE"
    )
    put(folder, "final", "final.pth")
    assert resolve_model(model)[1] == {"model": str(target / "final.pth")}


def test_bundled_weights_need_no_path_but_a_wrong_one_is_refused():
    assert resolve_model("ours") == (resolve_model("ours")[0], {})
    with pytest.raises(AdapterError, match="ours: weights 'x.safetensors': expected a file"):
        resolve_model("ours", {"weights": "x.safetensors"})


@pytest.mark.parametrize("words", [(), ("--dry-run",), ("--in-process",)])
def test_a_run_without_weights_builds_no_environment(
    model, folder, data, tmp_path, environment, words
):
    environment(XDG_CACHE_HOME=tmp_path / "cache", PATH="")
    arguments = ["run", "--model", model, "--data", str(data), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(cli, [*arguments, *words])
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith("segbench: net: expected weights in")
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "run").exists()


def test_predict_without_weights_says_so_first(model, folder, tmp_path):
    (tmp_path / "case.npz").write_bytes(b"not read")
    words = ["--inputs", str(tmp_path), "--outputs", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, ["predict", "--model", model, *words])
    assert result.exit_code == 2
    assert "net: expected weights in" in result.output


# ---- files that are no adapters --------------------------------------------------------------

UNREADABLE = {
    "TOML": (b"# /// script\n# dependencies = [\n# ///\n", "mine.py: expected TOML in its PEP 723"),
    "list": (b"# /// script\n# dependencies = 'a'\n# ///\n", "expected dependencies in its PEP"),
    "text": (b"# /// script\n# requires-python = 3\n# ///\n", "expected requires-python in its"),
    "UTF-8": (b"# caf\xe9\n", "mine.py: expected Python source in UTF-8, or with a line that na"),
    "coding": (b"# coding: klingon\n", "found SyntaxError: unknown encoding"),
    "declaration": (b"", "mine.toml: expected what docs/models.md describes, found TOMLDecodeErr"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize(
    "words",
    [["models", "show"], ["models", "check"], ["run", "--data", "DATA", "--model"]]
    + [["run", "--data", "DATA", "--dry-run", "--model"]],
    ids=["show", "check", "run", "dry run"],
)
def test_a_file_that_cannot_be_understood_is_refused_in_one_line(data, tmp_path, words, kind):
    content, message = UNREADABLE[kind]
    file = tmp_path / "mine.py"
    file.write_bytes(content)
    if kind == "declaration":
        file.with_suffix(".toml").write_text("licence MIT\n")
    command = [str(data) if word == "DATA" else word for word in words]
    result = CliRunner().invoke(cli, [*command, str(file)])
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_source_in_another_encoding_that_it_names_is_read(tmp_path):
    file = tmp_path / "mine.py"
    file.write_bytes(b"# coding: latin-1\nNAME = 'caf\xe9'\ndef make_adapter(): ...\n")
    assert resolve_model(str(file)) == (file, {})


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        ("mynett.py", "found no such file; did you mean 'mynet.py'? segbench models lists"),
        ("mynet", "found none of that name; did you mean 'mynet.py'? "),
        ("inner/boxx.py", "found no such file; did you mean 'inner/boxy.py'? "),
        ("inner/foldre", "found no such file; did you mean 'inner/folder'? "),
        ("boxfil", "did you mean 'boxfill'? "),
        ("net.pth", "found another file; an adapter is a .py file that loads such weights: docs/"),
        ("no.ckpt", "found no such file; an adapter is a .py file that loads such weights: docs/"),
        ("quite_else.py", "found no such file; segbench models lists the names"),
    ],
)
def test_a_path_that_is_no_adapter_is_answered_with_the_nearest(tmp_path, monkeypatch, model, hint):
    for name in ("mynet.py", "net.pth", "inner/boxy.py", "inner/folder/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AdapterNotFound) as refusal:
        resolve_model(model)
    assert hint in str(refusal.value)
