"""The list of models, and downloads from a hub on this machine, without a network."""

import hashlib
import json
import re
import socket
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from segbench.cli import cli
from segbench.errors import AdapterError
from segbench.models import download
from segbench.models import weights as weights_module
from segbench.models.adapter_source import first_line
from segbench.models.environments import readiness
from segbench.models.registry import adapter_names, find_adapter
from tests.hub import COMMITS, Hub, serve_hub
from tests.processes import run_without

ADAPTERS = Path(__file__).parents[2] / "adapters"
DECLARATIONS = sorted(ADAPTERS.rglob("*.toml"))
WEIGHTS = {"net/plans.json": b"{}", "net/net.pth": b"tensors" * 1000}
SOURCE = """
from segbench.core import AdapterInfo
raise ImportError("the environment of this adapter is not here")
"""
DECLARATION = """
licence = "MIT"
needs = ["some_missing_torch"]

[[weights]]
name = "base"
licence = "for looking at only"
repo = "lab/net"
option = "model"
use = "net"
files = [{ path = "net/plans.json" }, { path = "net/net.pth" }]

[[weights]]
name = "challenge"
licence = "not stated"
page = "https://drive.example.org/file"
files = [{ path = "final.pth" }]
"""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def adapter(tmp_path) -> Path:
    """Return an adapter that cannot be imported here, with its declaration."""
    file = tmp_path / "net.py"
    file.write_text(SOURCE)
    file.with_suffix(".toml").write_text(DECLARATION)
    return file


@pytest.fixture
def hub():
    """Return a hub whose ``main`` holds the weights and whose first commit holds others."""
    pytest.importorskip("huggingface_hub", reason="needs the extra models")
    with serve_hub(Hub("lab/net", dict.fromkeys(WEIGHTS, b"old"), dict(WEIGHTS))) as served:
        yield served


@pytest.fixture
def fetch(adapter, hub, tmp_path):
    """Return the command that fetches the adapter's weights."""

    def command(*words: str, accept: str | None = "--accept-licence", keys: str = ""):
        arguments = ["models", "--folder", str(tmp_path / "models"), "fetch", str(adapter)]
        endpoint = [] if "--endpoint" in words else ["--endpoint", hub.url]
        arguments += [*endpoint, *words, *([accept] if accept else [])]
        return CliRunner().invoke(cli, arguments, input=keys)

    return command


def pin(adapter: Path, **pins: str) -> None:
    """Write pins into the declaration: a revision, or the sha256 of net.pth."""
    text = adapter.with_suffix(".toml").read_text()
    if "revision" in pins:
        text = text.replace(
            'repo = "lab/net"', f'repo = "lab/net"\nrevision = "{pins["revision"]}"'
        )
    if "sha256" in pins:
        text = text.replace('"net/net.pth" }', f'"net/net.pth", sha256 = "{pins["sha256"]}" }}')
    adapter.with_suffix(".toml").write_text(text)


# ---- declarations ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", adapter_names())
def test_the_licence_of_every_adapter_is_known_without_importing_it(name):
    entry = weights_module.find_model_entry(name)
    assert entry.licence != "not stated"
    assert all(weights.licence for weights in entry.weights)


@pytest.mark.parametrize("file", DECLARATIONS, ids=lambda file: str(file.relative_to(ADAPTERS)))
def test_every_declaration_can_be_read(file):
    adapter = file.with_name("__init__.py") if file.stem == "model" else file.with_suffix(".py")
    assert weights_module.read_declaration(adapter).weights


def test_the_licence_of_the_bundled_weights_equals_that_in_their_metadata():
    from safetensors import safe_open

    entry = weights_module.find_model_entry("ours")
    (weights,) = entry.weights
    assert weights_module.state_of(entry, weights, Path("nowhere")) == "in place"
    with safe_open(entry.weights_path(weights, Path("nowhere")), framework="np") as file:
        assert file.metadata()["licence"] == weights.licence


def test_an_adapter_that_cannot_be_imported_is_listed(adapter, tmp_path):
    entry = weights_module.find_model_entry(str(adapter))
    assert readiness(entry.file, entry.needs) == "needs some_missing_torch"
    base, challenge = entry.weights
    assert (base.source, challenge.source) == ("lab/net@not pinned", challenge.page)
    assert entry.weights_path(base, tmp_path) == tmp_path / "net" / "base" / "net"
    assert entry.weights_path(challenge, tmp_path) == tmp_path / "net" / "challenge" / "final.pth"


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('licence = "MIT"', "", "licence"),
        ("[[weights]]", "colour = 1\n[[weights]]", "found colour"),
        ('option = "model"', 'flavour = "model"', "flavour"),
        ('"net/net.pth" }', '"net/net.pth", sha256 = "beef" }', "expected a sha256"),
        ('[{ path = "final.pth" }]', "[]", "expected files, found none"),
        ("licence =", "licence", "TOMLDecodeError"),
        ('licence = "MIT"', "licence = 3", "licence: expected text, found 3"),
        ('needs = ["some_missing_torch"]', 'needs = "a"', "needs: expected a list of text, f"),
        ("[[weights]]", "[weights]", "weights: expected a list of tables"),
        ('option = "model"', "option = 3", "option: expected text, found 3"),
        ('[{ path = "final.pth" }]', '"final.pth"', "files: expected a list of tables"),
        ('"final.pth"', "1", "path: expected text, found 1"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(adapter, old, new, match):
    declaration = adapter.with_suffix(".toml")
    text = DECLARATION.rpartition("[[weights]]")[0] if new == "[weights]" else DECLARATION
    declaration.write_text(text.replace(old, new, 1))
    with pytest.raises(AdapterError, match=match):
        weights_module.find_model_entry(str(adapter))


def test_the_table_names_every_adapter_and_what_it_needs(tmp_path):
    result = CliRunner().invoke(cli, ["models", "--folder", str(tmp_path)])
    assert result.exit_code == 0, result.output
    table, target = result.output.split("\n\n")
    assert target.endswith(f"Folder of the weights: {tmp_path}\n")
    listed = {line.split()[0] for line in table.splitlines() if line[0] != " "}
    assert listed == {"MODEL", *adapter_names()}
    assert max(map(len, table.splitlines())) <= 100
    for name in adapter_names():
        assert textwrap.indent(first_line(find_adapter(name)), "    ") in table


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("name", adapter_names())
def test_the_page_of_a_model_fits_in_a_terminal(name, columns, environment):
    environment(COLUMNS=columns)
    result = CliRunner().invoke(cli, ["models", "show", name])
    assert result.exit_code == 0, result.output
    wide = [line for line in result.output.splitlines() if len(line) > columns]
    assert all(re.search(r"\S{30,}$", line) for line in wide)  # a path or an address is not broken


def test_a_model_is_shown_with_its_options_without_being_imported(tmp_path):
    (tmp_path / "mine.py").write_text(
        '"""My model.\n\nMore of it."""\n'
        "import no_such_package\n"
        "def make_adapter(weights: str, seed: int = 3):\n"
        '    """Make it.\n\n    Parameters\n    ----------\n    seed\n        Of noise.\n    """\n'
    )
    result = CliRunner().invoke(cli, ["models", "show", str(tmp_path / "mine.py")])
    assert result.exit_code == 0, result.output
    heading, facts, options = result.output.split("\n\n")
    assert heading == "My model."
    assert "environment  ready" in facts
    assert [line.split() for line in options.splitlines()[1:]] == [
        ["weights", "text", "required"],
        ["seed", "a", "whole", "number", "3"],
        ["Of", "noise."],
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ours", ["small (CC-BY-SA-4.0): in place", "variant", "ours, paper, submission"]),
        ("boxfill", ["options: none"]),
        ("container", ["persistent", "yes or no"]),
    ],
)
def test_our_models_are_shown(name, words):
    result = CliRunner().invoke(cli, ["models", "show", name])
    assert result.exit_code == 0, result.output
    assert [word for word in words if word not in result.output] == []


# ---- fetching --------------------------------------------------------------------------------


def test_weights_are_fetched_and_recorded_once(fetch, adapter, hub, tmp_path):
    entry = weights_module.find_model_entry(str(adapter))
    assert weights_module.state_of(entry, entry.weights[0], tmp_path / "models") == "not there"
    result = fetch()
    assert result.exit_code == 0, result.output
    assert f"revision {COMMITS[1]}: not pinned, recorded now" in result.output
    digest = sha256(WEIGHTS["net/net.pth"])
    assert f"net/net.pth: sha256 {digest}, not known before, recorded now" in result.output
    target = tmp_path / "models" / "net" / "base"
    assert result.output.endswith(f"--option model={target / 'net'}\n")
    assert {path: (target / path).read_bytes() for path in WEIGHTS} == WEIGHTS
    record = json.loads((target / weights_module.RECORD_FILE).read_text())
    assert (record["revision"], record["files"]["net/net.pth"]["sha256"]) == (COMMITS[1], digest)
    assert weights_module.state_of(entry, entry.weights[0], tmp_path / "models") == "in place"

    hub.requests.clear()
    again = fetch()
    assert "net.pth: sha256 " + digest + ", as expected" in again.output
    assert [path for verb, path in hub.requests if verb == "GET"] == []


def test_the_licence_is_shown_and_must_be_accepted(fetch, hub, tmp_path):
    refused = fetch(accept=None, keys="n\n")
    assert refused.exit_code == 1
    assert "licence: for looking at only" in refused.output
    assert hub.requests == []
    assert not (tmp_path / "models").exists()
    assert fetch(accept=None, keys="y\n").exit_code == 0


def test_a_pinned_revision_is_downloaded(fetch, adapter, tmp_path):
    pin(adapter, revision=COMMITS[0])
    result = fetch()
    assert result.exit_code == 0, result.output
    assert f"revision {COMMITS[0]}\n" in result.output
    assert (tmp_path / "models" / "net" / "base" / "net" / "net.pth").read_bytes() == b"old"
    assert fetch("--revision", COMMITS[1]).exit_code == 0
    assert (tmp_path / "models" / "net" / "base" / "net" / "plans.json").read_bytes() == b"{}"


def test_checksums_of_the_declaration_apply_to_its_own_revision_only(fetch, adapter):
    pin(adapter, revision=COMMITS[0], sha256=sha256(b"old"))
    assert f"net/net.pth: sha256 {sha256(b'old')}, as expected" in fetch().output
    other = fetch("--revision", COMMITS[1])
    assert other.exit_code == 0, other.output
    digest = sha256(WEIGHTS["net/net.pth"])
    assert f"net/net.pth: sha256 {digest}, not known before, recorded now" in other.output


def test_a_recorded_revision_stays_when_main_moves(fetch, hub):
    assert fetch().exit_code == 0
    lookup = hub.lookup
    hub.lookup = lambda path: None if "/main/" in path else lookup(path)
    result = fetch()
    assert result.exit_code == 0, result.output
    assert f"revision {COMMITS[1]}\n" in result.output


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_with_another_checksum_is_refused_and_removed(fetch, adapter, tmp_path, declared):
    wrong = sha256(b"what it should be")
    if declared:
        pin(adapter, sha256=wrong)
    result = fetch(*([] if declared else ["--sha256", f"net/net.pth={wrong}"]))
    assert result.exit_code == 2
    digest = sha256(WEIGHTS["net/net.pth"])
    assert f"net.pth: expected sha256 {wrong}, found {digest}; it was removed" in result.output
    target = tmp_path / "models" / "net" / "base"
    assert not (target / "net" / "net.pth").exists()
    assert not (target / weights_module.RECORD_FILE).exists()


def test_a_checksum_may_be_in_upper_case(fetch):
    digest = sha256(WEIGHTS["net/net.pth"]).upper()
    result = fetch("--sha256", f"net/net.pth={digest}")
    assert result.exit_code == 0, result.output
    assert f"sha256 {digest.lower()}, as expected" in result.output


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            f"net.pth={'0' * 64}",
            "--sha256: expected one of the files net/plans.json, net/net.pth, found 'net.pth'; did",
        ),
        ("net/net.pth=beef", "--sha256 net/net.pth: expected 64 hexadecimal digits, found 'beef'"),
    ],
)
def test_a_checksum_of_an_unknown_file_or_of_a_wrong_length_is_refused(fetch, hub, pair, message):
    result = fetch("--sha256", pair)
    assert result.exit_code == 2
    assert message in result.output
    assert hub.requests == []


def test_an_incomplete_download_is_an_error_of_one_line(fetch, hub, monkeypatch):
    # huggingface_hub tries again after a second, five times
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    hub.truncates_responses = True
    result = fetch()
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].startswith("segbench: lab/net: net/")


@pytest.mark.parametrize("url", ["nowhere:1", "http://127.0.0.1:1"])
def test_an_unreachable_server_is_an_error_of_one_line_with_the_page_at_once(fetch, url, tmp_path):
    start = time.monotonic()
    result = fetch("--endpoint", url)
    assert time.monotonic() - start < 10
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("segbench: lab/net: net/plans.json: ")
    assert line.endswith(
        f"check the network, or get the files from {url}/lab/net "
        f"and put them into {tmp_path / 'models' / 'net' / 'base'}"
    )


def test_a_server_that_never_answers_is_given_up(fetch, monkeypatch):
    monkeypatch.setattr("segbench.data.hub.LIMIT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = fetch("--endpoint", f"http://127.0.0.1:{server.getsockname()[1]}")
    assert result.exit_code == 2
    assert "found TimeoutError: no answer within 0.3 s; check the network" in result.stderr


def test_weights_that_are_in_place_are_checked_without_a_network(fetch):
    pinned = ("--revision", COMMITS[0])
    assert fetch(*pinned).exit_code == 0
    result = fetch(*pinned, "--endpoint", "http://127.0.0.1:1")
    assert result.exit_code == 0, result.output


def test_a_download_names_each_file_and_its_size_once(adapter, hub, tmp_path):
    said = []

    @contextmanager
    def activity(text):
        said.append(text)
        yield

    entry = weights_module.find_model_entry(str(adapter))
    for _ in range(2):
        download.fetch(
            entry,
            entry.weights[0],
            tmp_path,
            pins=download.Pins(),
            endpoint=hub.url,
            say=said.append,
            activity=activity,
        )
    downloads = [line for line in said if line.startswith("downloading")]
    assert downloads == ["downloading net/plans.json, 0.0 MB", "downloading net/net.pth, 0.0 MB"]


def test_after_a_download_the_run_needs_no_path(fetch, adapter, environment, tmp_path):
    environment(SEGBENCH_MODELS_FOLDER=tmp_path / "models")
    assert fetch().stdout.endswith(f"\nsegbench run --model {adapter} --data DATA\n")


@pytest.mark.parametrize("content", ["{", "[]", '{"revision": 1}', '{"revision": "a", "files": 1}'])
def test_a_damaged_record_is_ignored(fetch, adapter, tmp_path, content):
    assert fetch().exit_code == 0
    entry, folder = weights_module.find_model_entry(str(adapter)), tmp_path / "models"
    (folder / "net" / "base" / weights_module.RECORD_FILE).write_text(content)
    assert weights_module.state_of(entry, entry.weights[0], folder) == "in place, put there by hand"
    assert fetch().exit_code == 0
    assert weights_module.state_of(entry, entry.weights[0], folder) == "in place"


def test_a_file_that_changes_under_a_recorded_revision_is_refused(fetch, hub, tmp_path):
    assert fetch().exit_code == 0
    hub.files[COMMITS[1]]["net/net.pth"] = b"something else"
    (tmp_path / "models" / "net" / "base" / "net" / "net.pth").unlink()
    result = fetch()
    assert result.exit_code == 2
    assert "expected sha256" in result.output


def test_a_damaged_file_is_detected(fetch, adapter, tmp_path):
    assert fetch().exit_code == 0
    entry, folder = weights_module.find_model_entry(str(adapter)), tmp_path / "models"
    file = folder / "net" / "base" / "net" / "net.pth"
    file.write_bytes(file.read_bytes()[:-1])
    assert weights_module.state_of(entry, entry.weights[0], folder) == "damaged: net/net.pth"
    file.unlink()
    assert weights_module.state_of(entry, entry.weights[0], folder) == "lacks net/net.pth"


def test_a_missing_file_on_the_hub_is_an_error_of_one_line(fetch, hub):
    del hub.files[COMMITS[1]]["net/net.pth"]
    result = fetch()
    assert result.exit_code == 2
    assert result.output.splitlines()[-1].startswith("segbench: ")


def test_weights_on_a_page_only_are_refused_before_the_licence_is_asked(fetch, hub, tmp_path):
    result = fetch("--weights", "challenge", accept=None)
    target = tmp_path / "models" / "net" / "challenge"
    assert (result.exit_code, result.stdout, hub.requests) == (2, "", [])
    assert result.stderr == (
        "segbench: net: expected weights that a program can fetch, found 'challenge', which are "
        "not; get final.pth from "
        f"https://drive.example.org/file and put it into {target}\n"
    )


def test_for_a_manual_download_source_and_destination_are_shown(fetch, adapter, tmp_path):
    result = fetch("--weights", "challenge")
    target = tmp_path / "models" / "net" / "challenge"
    assert result.exit_code == 2
    assert f"get final.pth from https://drive.example.org/file and put it into {target}" in (
        result.output
    )
    target.mkdir(parents=True)
    (target / "final.pth").write_bytes(b"by hand")
    entry = weights_module.find_model_entry(str(adapter))
    state = weights_module.state_of(entry, entry.weights[1], tmp_path / "models")
    assert state == "in place, put there by hand"
    assert (
        "--weights: expected one of base, challenge, found 'other'"
        in fetch("--weights", "other").output
    )


def test_without_huggingface_hub_the_extra_is_named(adapter, tmp_path):
    words = ["models", "--folder", tmp_path, "fetch", adapter, "--accept-licence"]
    status, errors = run_without("huggingface_hub", *words)
    assert status == 2
    assert "pip install 'segbench[models]'" in errors
