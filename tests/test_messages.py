"""Every error that a user can meet is one line of one form.

``THING: expected EXPECTATION, found FINDING; WHAT TO DO``. The literal text of each error in the
source is held to it; tests/cli/test_usage.py does so for wrong command lines.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from segbench.messages import and_hint, are, counted, did_you_mean, named, one_line

ROOT = Path(__file__).parents[1]
# `error`: an exception that is given, as to HubRepository
ERRORS = {"CaseError", "AdapterNotFound", "AdapterError", "RunError", "error"}
COMPUTED = "…"
INNER = "passes on an error of this form, with the thing before it"
STEP = "the reason of a failed step, which run.log and the case file have as it is"
WORDS = "has its words from a function that returns them in this form"
# file -> text of an error -> why it is not of the form
EXCEPTIONS = {
    "segbench/data/challenge_npz.py": {"…: …: …": INNER},
    "segbench/data/dataset.py": {"…: boxes: …": INNER},
    "segbench/report/volumes/placement.py": {"…: …": INNER},
    "segbench/models/submission_npz.py": {"…: boxes: …": INNER},
    "segbench/models/weights.py": {"…: …": INNER},
    "segbench/models/adapter_contract.py": {"……; …": WORDS},
    "segbench/models/loading.py": {"…": "says that it cannot be loaded, and where it failed"},
    "segbench/models/given.py": {"…": "says that it cannot be loaded, and where it failed"},
    "segbench/models/supervisor.py": {"…": "passes on what load_adapter says in the worker"},
    "segbench/report/ranking_text.py": {"ranking: …": WORDS},
    "segbench/runs/derived_json.py": {"…; remove it and call segbench rescore again": WORDS},
    "segbench/runs/json_files.py": {"…: …": INNER, "…": WORDS},
    "segbench/runs/submission.py": {"…: …": STEP},
    "adapters/_nninteractive.py": {
        "…: an image of zeros cannot be normalised": STEP,
        "…: label … got no click in step …, on which the challenge submission fails "
        "(perfect=fail)": STEP,
    },
    "adapters/_programs.py": {
        "exit status …: …": STEP,
        "persistent=yes: expected the line …, the program ended with exit status …: …": STEP,
        "no output within … s, killed: …": STEP,
    },
    "adapters/container.py": {"outputs/… of an earlier step cannot be removed: …": STEP},
    "adapters/oracle.py": {"oracle: no case in … has this image": STEP},
    "adapters/ours/submission.py": {"ours: KeyError(None): no click for label … in step …": STEP},
    "adapters/ours/submission_predictor.py": {
        "ours: ValueError: an image of zeros has no non-zero region": STEP
    },
    "adapters/sam_med3d.py": {
        "the prompt at … is outside the image of …": STEP,
        "at … mm nothing is left of the cube of … voxels around the prompt; the submission fails "
        "here, too": STEP,
    },
}
# errors without a thing of their own: the caller puts the file, or the adapter, before it
THING_COMES_FROM_CALLER = {
    "segbench/data/challenge_npz.py": {"_read_header", "_read_array", "_read_exactly"},
    "segbench/models/loading.py": {"_make_adapter"},
    "segbench/runs/json_files.py": {"_validated"},
}


@dataclass(frozen=True)
class Message:
    """The literal text of an error in the source, with a sign for what is computed."""

    file: str
    function: str
    text: str

    @property
    def exception(self) -> str | None:
        """Why the text is not of the form; None if it must be."""
        return EXCEPTIONS.get(self.file, {}).get(self.text)

    @property
    def has_form(self) -> bool:
        """Whether it has expectation and finding, in this order."""
        return re.search(r"\bexpected\b.*[ ,(]found\b", self.text) is not None


def literal_text(node: ast.expr) -> str:
    """Return the text of a string in the source."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(literal_text, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal_text(node.left) + literal_text(node.right)
    return COMPUTED


def called(call: ast.Call) -> str:
    """Return the name of what is called, without the object that it is an attribute of."""
    return str(getattr(call.func, "id", None) or getattr(call.func, "attr", ""))


def messages_in(node: ast.AST, file: str, function: str = "") -> Iterator[Message]:
    """Yield the text of every error that a syntax tree makes."""
    for child in ast.iter_child_nodes(node):
        name = child.name if isinstance(child, ast.FunctionDef) else function
        if isinstance(child, ast.Call) and called(child) in ERRORS:
            yield Message(file, function, literal_text(child.args[0]))
        yield from messages_in(child, file, name)


def all_messages() -> list[Message]:
    files = [
        file
        for package in ("segbench", "segbench_adapters", "adapters")
        for file in sorted((ROOT / package).rglob("*.py"))
        if "training" not in file.parts  # of `ours`: the messages of another program
    ]
    return [
        message
        for file in files
        for message in messages_in(
            ast.parse(file.read_text(encoding="utf-8")), file.relative_to(ROOT).as_posix()
        )
    ]


MESSAGES = all_messages()


def test_there_are_messages():
    assert len(MESSAGES) > 130
    assert {message.file.partition("/")[0] for message in MESSAGES} == {
        *("segbench", "segbench_adapters", "adapters")
    }


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: f"{each.file}-{each.text[:60]}")
def test_an_error_is_one_line_with_expectation_and_finding(message):
    assert message.exception or message.has_form, message.text
    assert "\n" not in message.text
    assert not message.text.endswith((".", "!"))
    if message.function not in THING_COMES_FROM_CALLER.get(message.file, ()):
        assert not message.text.startswith(("expected", " "))


def test_every_exception_is_needed():
    needed = {(each.file, each.text) for each in MESSAGES if not each.has_form}
    stated = {(file, text) for file, texts in EXCEPTIONS.items() for text in texts}
    assert stated == needed


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise RunError(f'{a}: expected {b}, found {c!r}')", "…: expected …, found …"),
        ("raise CaseError('x' + and_hint(a, b))", "x…"),
        ("def failure():\n    return AdapterError('no')", "no"),
        ("raise AdapterError(words)", "…"),
    ],
)
def test_the_check_reads_what_stands_in_the_source(source, text):
    (message,) = messages_in(ast.parse(source), "a.py")
    assert message.text == text


@pytest.mark.parametrize(
    "text", ["no adapter …", "found …, expected …", "expected …: …", "unexpected …, found …"]
)
def test_the_check_sees_another_form(text):
    assert not Message("a.py", "", text).has_form


# ---- the parts of a message --------------------------------------------------------------------


def test_an_error_of_another_program_becomes_one_line():
    assert named(ValueError("bad\n  header.\n")) == "ValueError: bad header"
    assert named(EOFError()) == "EOFError"
    assert one_line(" a\n\tb ") == "a b"


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "case", "1 case is"),
        (0, "case", "0 cases are"),
        (2, "modality", "2 modalities are"),
        (1, "box", "1 box is"),
        (3, "box", "3 boxes are"),
    ],
)
def test_a_number_has_its_noun(number, noun, text):
    assert f"{counted(number, noun)} {are(number)}" == text


COUNTED = re.compile(r"…\s(cases|patients|labels|runs|methods|boxes|files|predictions)\b")
# what is counted is at least two, or it is not counted at all
ALWAYS_SEVERAL = {
    "segbench/data/archives.py": 1,  # a limit
    "segbench/runs/runner.py": 1,  # a verb: the model runs
    "segbench/models/submission_npz.py": 1,  # a fault of a file, read by who writes such files
    "segbench/report/tables/by_label.py": 1,  # a constant
    "segbench/report/tables/uncertainty.py": 1,  # fewest_patients
    "segbench/report/tables/sensitivity.py": 1,  # the same
    "segbench/report/statistics.py": 2,  # constants
}


def test_every_count_in_a_text_knows_the_singular():
    found: dict[str, int] = {}
    for file in sorted((ROOT / "segbench").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                n_found = len(COUNTED.findall(literal_text(node)))
                name = file.relative_to(ROOT).as_posix()
                found[name] = found.get(name, 0) + n_found
    assert {name: n for name, n in found.items() if n} == ALWAYS_SEVERAL


def test_a_hint_names_the_most_similar_word_or_says_nothing():
    assert did_you_mean("sise", ["size", "seed"]) == "did you mean 'size'?"
    assert and_hint("sise", ["size", "seed"]) == "; did you mean 'size'?"
    assert did_you_mean("zzz", ["size"]) == and_hint("zzz", ["size"]) == ""
