"""What the source of an adapter tells without importing it."""

import re

import pytest
from click.testing import CliRunner

import segbench
from segbench.cli import cli
from segbench.errors import AdapterError
from segbench.models.adapter_option import AdapterOption
from segbench.models.adapter_source import adapter_options, parse_options
from segbench.models.loading import load_adapter
from segbench.models.registry import adapter_names, find_adapter
from segbench.models.resolve import resolve_model

SOURCE = '''
import no_such_package
from typing import Literal


def make_adapter(
    folder: str,
    seed: int = 0,
    *,
    rate: float | None = None,
    fast: bool = False,
    mode: Literal["near", "far"] = "near",
    flips: Literal[1, 2] = 1,
    plain="x",
):
    """Make it.

    Parameters
    ----------
    folder
        Where it is;
        two lines.
    seed : int, optional
        Of the noise.
    """
'''


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    return tmp_path / "mine.py"


def test_options_are_read_from_the_signature_and_the_docstring(file):
    assert adapter_options(file) == (
        AdapterOption("folder", "str", (), None, "Where it is; two lines."),
        AdapterOption("seed", "int", (), "0", "Of the noise."),
        AdapterOption("rate", "float", (), "None"),
        AdapterOption("fast", "bool", (), "False"),
        AdapterOption("mode", "", ("near", "far"), "'near'"),
        AdapterOption("flips", "", (1, 2), "1"),
        AdapterOption("plain", "str", (), "'x'"),
    )


def test_values_get_the_types_of_the_signature(file):
    given = {"folder": "7", "seed": "-7", "rate": "1e-3", "fast": "Yes", "flips": "2", "plain": "1"}
    values = parse_options(file, given)
    expected = {"folder": "7", "seed": -7, "rate": 1e-3, "fast": True, "flips": 2, "plain": "1"}
    assert values == expected
    assert list(map(type, values.values())) == [str, int, float, bool, int, str]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"sed": "1"},
            "mine: --option: expected one of folder, seed, .*, found 'sed'; did you mean 'seed'[?]",
        ),
        ({"zzz": "1"}, "mine: --option: expected one of folder, .*, found 'zzz'$"),
        ({"seed": "1.5"}, "mine: --option seed: expected a whole number, found '1.5'"),
        ({"rate": "nan"}, "mine: --option rate: expected a number, found 'nan'"),
        ({"rate": "much"}, "mine: --option rate: expected a number, found 'much'"),
        ({"fast": "maybe"}, "mine: --option fast: expected yes or no, found 'maybe'"),
        ({"mode": "middle"}, "mine: --option mode: expected one of near, far, found 'middle'"),
        ({"flips": "3"}, "mine: --option flips: expected one of 1, 2, found '3'"),
    ],
)
def test_an_unknown_option_or_a_wrong_type_is_refused(file, given, message):
    with pytest.raises(AdapterError, match=message):
        parse_options(file, {"folder": "x"} | given)


def test_a_required_option_is_named_with_its_meaning(file):
    with pytest.raises(AdapterError, match=r"mine: --option: expected folder=VALUE \(Where it is"):
        parse_options(file, {})


@pytest.mark.parametrize(
    "source",
    ["make_adapter = print\n", "def make_adapter(**options):\n    pass\n", "def (\n", "x = 1\n"],
    ids=["no function", "any option", "syntax error", "nothing"],
)
def test_what_the_source_does_not_tell_is_passed_as_text(tmp_path, source):
    (tmp_path / "mine.py").write_text(source)
    assert adapter_options(tmp_path / "mine.py") is None
    assert parse_options(tmp_path / "mine.py", {"any": "1"}) == {"any": "1"}


def test_a_wrong_option_is_refused_before_the_adapter_is_imported(file, data, tmp_path):
    with pytest.raises(AdapterError, match="did you mean 'seed'"):
        segbench.evaluate(file, data, out=tmp_path / "run", option={"folder": "x", "sead": 1})
    assert not (tmp_path / "run").exists()


def test_the_options_of_the_command_line_reach_the_adapter_with_their_types(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from segbench.core import AdapterInfo\n"
        "class Mine:\n"
        "    def __init__(self, **values):\n"
        "        self.info = AdapterInfo(repr(values))\n"
        "    def set_image(self, image, labels): ...\n"
        "    def predict(self, interactions): ...\n"
        "def make_adapter(seed: int = 0, fast: bool = False):\n"
        "    return Mine(seed=seed, fast=fast)\n"
    )
    adapter = load_adapter(*resolve_model(str(tmp_path / "mine.py"), {"seed": "3", "fast": "yes"}))
    assert adapter.info.name == "{'seed': 3, 'fast': True}"


@pytest.mark.parametrize("name", adapter_names())
def test_every_option_of_our_adapters_has_a_type_and_a_meaning(name):
    options = adapter_options(find_adapter(name))
    assert options is not None
    for option in options:
        assert option.meaning, option.name
        assert option.choices or option.type in ("str", "int", "float", "bool")


@pytest.mark.parametrize("annotation", ["int | None", "None | int", "Optional[int]", "'int'"])
def test_optional_and_quoted_types_are_read(tmp_path, annotation):
    file = tmp_path / "mine.py"
    file.write_text(
        f"def make_adapter(n: {annotation} = None, m: str = ''):\n"
        '    """Make it.\n\n    Parameters\n    ----------\n    n\n        One.\n\n    m\n'
        '        Two.\n\n    Raises\n    ------\n    Bad\n        Never.\n    """\n'
    )
    assert parse_options(file, {"n": "3"})["n"] == 3
    assert [option.meaning for option in adapter_options(file)] == ["One.", "Two."]


CLASS = "class A:\n    def __init__(self, size: int = 3):\n        ...\n"


@pytest.mark.parametrize(
    "source",
    [
        CLASS + "make_adapter = A\n",
        CLASS.replace("class A", "class make_adapter"),
        CLASS + "def make_adapter(**options):\n    return A(**options)\n",
        CLASS + "def make_adapter(**options) -> A:\n    'Make it.'\n    return A(**options)\n",
        "def load(size: int = 3):\n    ...\nmake_adapter = load\n",
    ],
    ids=["class", "class of that name", "options passed on", "with a docstring", "function"],
)
def test_the_options_of_what_make_adapter_stands_for_are_known(tmp_path, source):
    file = tmp_path / "mine.py"
    file.write_text(source)
    assert adapter_options(file) == (AdapterOption("size", "int", (), "3"),)
    with pytest.raises(
        AdapterError, match="expected one of size, found 'sise'; did you mean 'size'[?]"
    ):
        parse_options(file, {"sise": "1"})


@pytest.mark.parametrize(
    "source",
    [
        "class A(Base):\n    pass\nmake_adapter = A\n",
        "@dataclass\nclass A:\n    size: int = 3\nmake_adapter = A\n",
        CLASS + "def make_adapter(**options):\n    return A(1, **options)\n",
        CLASS + "def make_adapter(**options):\n    return A(**(options | {}))\n",
        "def make_adapter(**options):\n    return Elsewhere(**options)\n",
    ],
    ids=["inherited", "generated", "an argument more", "changed", "imported"],
)
def test_options_that_only_running_the_code_would_tell_are_not_guessed(tmp_path, source):
    (tmp_path / "mine.py").write_text(source)
    assert adapter_options(tmp_path / "mine.py") is None


def test_a_class_without_arguments_has_no_options(tmp_path):
    (tmp_path / "mine.py").write_text("class A:\n    pass\nmake_adapter = A\n")
    assert adapter_options(tmp_path / "mine.py") == ()


@pytest.mark.parametrize(
    "call",
    [
        "AdapterInfo('mine', '1', 'MIT')",
        "AdapterInfo('mine', licence='MIT')",
        "core.AdapterInfo('mine', '1', 'MIT', None)",
        "AdapterInfo('mine', '1', LICENCE)",
        "AdapterInfo('mine', licence=LICENCE)",
    ],
)
def test_the_licence_is_found_wherever_it_stands_in_the_call(tmp_path, call):
    file = tmp_path / "mine.py"
    file.write_text(f"LICENCE = 'MIT'\nclass Mine:\n    info = {call}\nmake_adapter = Mine\n")
    shown = CliRunner().invoke(cli, ["models", "show", str(file)])
    assert re.search(r"^code +MIT$", shown.output, re.M), shown.output


def test_bundled_weights_come_with_segbench():
    shown = CliRunner().invoke(cli, ["models", "show", "ours"])
    text = " ".join(shown.output.split())
    assert "in place; comes with segbench" in text
    assert "from comes" not in text
