"""What a faulty adapter is told: one line, the same in this process and in a worker."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from segbench.core import AdapterInfo, Image, Interactions
from segbench.errors import AdapterError
from segbench.models.adapter_contract import checked_adapter, predicted_array
from segbench.models.adapter_failure import TRACEBACK, NoLabelMapError
from segbench.models.in_process import InProcessModel
from segbench.models.loading import load_adapter
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig

IMAGE = Image(np.zeros((4, 5, 6), np.uint8), (3.0, 1.0, 1.0))
INTERACTIONS = Interactions(((),), np.zeros((4, 5, 6), np.uint8))
HEAD = "from segbench.core import AdapterInfo\n"
METHODS = """
    info = AdapterInfo("mine")
    def set_image(self, image, labels): ...
    def predict(self, interactions): ...
"""


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an adapter, and another file next to it."""

    def write_(source: str, name: str = "mine.py") -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)
        return file

    return write_


def refusal_of(file: Path) -> str:
    """Return why an adapter cannot be loaded; assert that a worker says the same."""
    with pytest.raises(AdapterError) as here:
        load_adapter(file, {})
    with pytest.raises(AdapterError) as there:
        WorkerModel(file, {}, WorkerConfig(step_timeout=60))
    assert str(there.value) == str(here.value)
    assert "\n" not in str(here.value)
    return str(here.value)


# ---- loading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "\nimport not_installed_here\n",
            "mine.py, line 2: ModuleNotFoundError: No module named 'not_installed_here'; "
            "install it, or name an interpreter that has it with --python",
        ),
        (
            "# /// script\n# dependencies = []\n# ///\nimport not_installed_here\n",
            "mine.py, line 4: ModuleNotFoundError: No module named 'not_installed_here'; "
            "add it to the dependencies in the header, or name an interpreter with --python",
        ),
        ("x = 1\ndef broken(:\n", "mine.py, line 2: SyntaxError: invalid syntax"),
        (
            "import json\ndef make_adapter():\n    return json.loads('{')\n",
            "mine.py, line 3: JSONDecodeError: Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)",
        ),
        ("raise SystemExit('no GPU')\n", "mine.py, line 1: SystemExit: no GPU"),
        (
            "def make_adapter():\n    raise ValueError('a\\n\\tb')\n",
            "mine.py, line 2: ValueError: a b",
        ),
        (
            "from segbench.errors import AdapterError\n"
            "def make_adapter():\n    raise AdapterError('mine: needs a licence')\n",
            "needs a licence",
        ),
        ("x = 1\n", "expected a function make_adapter in it, found none"),
    ],
    ids=["module", "header", "syntax", "make_adapter", "exit", "lines", "sentence", "nothing"],
)
def test_an_adapter_that_cannot_be_loaded_is_one_line_with_its_place(write, source, expected):
    assert refusal_of(write(source)) == f"mine: cannot be loaded: {expected}"


def test_an_error_in_a_shared_module_is_found_there(write):
    write("VERSION = 1 / 0\n", "_shared.py")
    refusal = refusal_of(write("from ._shared import VERSION\n"))
    assert "_shared.py, line 1: ZeroDivisionError: division by zero" in refusal
    write("\n\ndef (\n", "_shared.py")
    assert "_shared.py, line 3: SyntaxError" in refusal_of(write("from . import _shared\n"))


def test_an_error_in_a_folder_names_the_file_in_it(write):
    write("raise KeyError('weights')\n", "folder/network.py")
    refusal = refusal_of(write("from . import network\n", "folder/__init__.py"))
    assert refusal == "folder: cannot be loaded: folder/network.py, line 1: KeyError: 'weights'"


def test_a_module_next_to_the_adapter_is_imported_with_a_dot(write, tmp_path):
    write("", "network.py")
    refusal = refusal_of(write("from network import Net\n"))
    assert refusal.endswith(
        "it is next to the adapter: import it with a dot, from .network import ..., or name its "
        f"folder in PYTHONPATH: {tmp_path}"
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def make_adapter(): ...", "expected make_adapter to return the adapter, found None"),
        (
            "class Mine: ...\ndef make_adapter(): return Mine",
            "expected make_adapter to return the adapter, found the class Mine, not an instance",
        ),
        ("class Mine: ...", "expected info to be an AdapterInfo, found no info"),
        ("class Mine:\n    info = 'mine'", "expected info to be an AdapterInfo, found a str"),
        (
            f"class Mine:{METHODS}    predict = None",
            "expected a method predict(interactions), found none in Mine",
        ),
        (
            f"class Mine:{METHODS}    def predict(self, image, points): ...",
            "expected a method predict(interactions), found predict(image, points)",
        ),
        (
            f"class Mine:{METHODS}    def set_image(self, image): ...",
            "expected a method set_image(image, labels), found set_image(image)",
        ),
        (
            f"class Mine:{METHODS}    def close(self, now): ...",
            "expected a method close(), found close(now)",
        ),
    ],
)
def test_an_adapter_that_lacks_something_is_refused_by_name(write, source, expected):
    made = "" if "make_adapter" in source else "\nmake_adapter = Mine\n"
    refusal = refusal_of(write(HEAD + source + made))
    assert refusal.startswith(f"mine: cannot be loaded: {expected}")
    assert refusal.endswith("; docs/adapters.md describes the contract")


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("name", "None", "text"),
        ("version", "3", "text"),
        ("licence", "None", "text"),
        ("note", "b'a'", "text"),
        ("weights_sha256", "5", "text or None"),
        ("prompts", "None", "a tuple of text"),
        ("prompts", "'box'", "a tuple of text"),
        ("prompts", "(1,)", "a tuple of text"),
        ("deterministic", "'no'", "True or False"),
        ("sees_reference", "0", "True or False"),
    ],
)
def test_a_field_of_info_with_a_value_of_another_type_is_refused_by_name(write, field, value, kind):
    name = "" if field == "name" else "'mine', "
    source = f"{HEAD}class Mine:{METHODS}    info = AdapterInfo({name}{field}={value})\n"
    assert refusal_of(write(f"{source}make_adapter = Mine\n")) == (
        f"mine: cannot be loaded: info: expected {field} to be {kind}, found {value}; "
        "docs/adapters.md describes the contract"
    )


def test_a_description_may_have_more_than_its_fields_and_a_list_of_prompts(write):
    source = """import dataclasses
@dataclasses.dataclass(frozen=True)
class Info(AdapterInfo):
    paper: str = "none"
"""
    file = write(
        f"{HEAD}{source}class Mine:{METHODS}    info = Info('mine', prompts=['box'])\n"
        "make_adapter = Mine\n"
    )
    for model in (InProcessModel.load(file, {}), WorkerModel(file, {}, WorkerConfig())):
        assert model.info == AdapterInfo("mine", prompts=("box",))
        model.close()


TIMED_OUT = "timed out: took more than 50 s"


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "crashed: ended with signal SIGKILL"),
        ("os._exit(3)", "crashed: ended with exit status 3"),
        ("time.sleep(0.5)  # until all is read\nopen(HANGS, 'w')\ntime.sleep(60)", TIMED_OUT),
    ],
)
def test_a_load_that_ends_the_worker_or_hangs_is_one_line(
    write, words, ending, tmp_path, hangs_once
):
    hangs_once(tmp_path / "hangs")
    printed = "print('one\\ntwo\\nno memory\\n^^^^\\n\\n', file=sys.stderr, flush=True)"
    facts = f"import os, signal, sys, time\nHANGS = {str(tmp_path / 'hangs')!r}"
    file = write(f"{facts}\n{printed}\n{words}\n")
    with pytest.raises(AdapterError) as refusal:
        WorkerModel(file, {}, WorkerConfig(step_timeout=50))
    assert str(refusal.value) == (
        f"mine: cannot be loaded: {ending}; last line of stderr: no memory"
    )


def test_optional_arguments_and_any_arguments_are_no_fault():
    class Mine:
        from segbench.core import AdapterInfo

        info = AdapterInfo("mine")

        def set_image(self, *args):
            pass

        def predict(self, interactions, threshold=0.5, **more):
            pass

    assert checked_adapter(Mine()).info.name == "mine"


def test_an_interpreter_without_numpy_is_one_line(write, tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\nexec /usr/bin/env -i PATH=/usr/bin:/bin python3 -S "$@"\n')
    python.chmod(0o755)
    with pytest.raises(
        AdapterError, match=r"expected numpy, which every adapter needs, found no such module"
    ):
        WorkerModel(write(HEAD), {}, WorkerConfig(python=python, step_timeout=60))


def test_options_that_the_source_does_not_tell_are_listed_when_it_is_loaded(write):
    source = f"{HEAD}class Mine:{METHODS}    def __init__(self, size=3): ...\n"
    file = write(f"{source}make_adapter = (lambda: Mine)()\n")
    with pytest.raises(
        AdapterError,
        match=r"what make_adapter takes .size., found .*unexpected keyword argument 'sise'$",
    ):
        load_adapter(file, {"sise": "3"})
    load_adapter(file, {"size": "3"})


def test_a_factory_that_fails_names_its_place(tmp_path, write):
    """A class or function of a Python caller has no file of its own."""
    import cloudpickle

    file = write("", "Mine.factory")
    pickled = cloudpickle.dumps(lambda: __import__("not_installed_here"))
    file.write_bytes(pickle.dumps(([], pickled)))
    refusal = refusal_of(file)
    assert refusal.startswith(f"Mine: cannot be loaded: {__file__}, line ")
    assert refusal.endswith("ModuleNotFoundError: No module named 'not_installed_here'")


# ---- steps -----------------------------------------------------------------------------------


def first_failure(file: Path) -> str:
    """Return the failure of the first step in this process; assert that a worker says the same."""
    failures = []
    for model in (
        InProcessModel.load(file, {}),
        WorkerModel(file, {}, WorkerConfig(step_timeout=60)),
    ):
        model.set_image(IMAGE, (1,))
        failures.append(model.predict(INTERACTIONS).failure)
        model.close()
    assert failures[0] == failures[1]
    return failures[0]


def with_predict(body: str) -> str:
    return (
        f"{HEAD}import numpy as np\nclass Mine:{METHODS}"
        f"    def predict(self, interactions):\n        {body}\n"
        "make_adapter = Mine\n"
    )


def test_the_traceback_begins_at_the_adapter(write):
    failure = first_failure(write(with_predict("np.zeros(3).reshape(2)")))
    reason, trace = failure.split(TRACEBACK)
    assert reason == "raised ValueError: cannot reshape array of size 3 into shape (2,)"
    assert trace.splitlines()[0].strip().startswith("File ")
    assert 'mine.py", line 8, in predict' in trace.splitlines()[0]
    assert "segbench/models" not in trace


def test_a_cause_is_in_the_traceback_and_what_is_very_long_is_shortened(write):
    body = "try: 1 / 0\n        except ZeroDivisionError: raise KeyError('x' * 9999)"
    failure = first_failure(write(with_predict(body)))
    assert "ZeroDivisionError: division by zero" in failure
    assert len(failure) < 6000
    deep = "f = lambda n: f(n - 1) if n else 1 / 0\n        f(200)"
    lines = first_failure(write(with_predict(deep))).splitlines()
    assert len(lines) < 30


def test_the_failure_of_an_image_says_so(write):
    source = with_predict("return 1").replace("labels): ...", "labels): raise OSError('disk')")
    assert first_failure(write(source)).startswith("setting the image: raised OSError: disk\n")


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ("None", "None"),
        ("[np.zeros((4, 5, 6))]", "a list of ndarray"),
        ("np.zeros(3), 0.5", "a tuple of ndarray, float"),
        ("[]", "an empty list"),
        ("{1: np.zeros((4, 5, 6))}", "a dict"),
        ("np.array([None, {}])", "an array of object"),
        ("np.array('mask')", "an array of <U4"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(write, returned, what):
    expected = "expected a label map: integers, shape (z, y, x) of the image"
    assert (
        first_failure(write(with_predict(f"return {returned}"))) == f"returned {what}, {expected}"
    )


def test_a_tensor_counts_as_an_array_and_one_that_cannot_says_what_to_do():
    torch = pytest.importorskip("torch")
    assert predicted_array(torch.ones(2, dtype=torch.uint8)).dtype == np.uint8
    with pytest.raises(NoLabelMapError, match=r"returned a Tensor, expected a .*detach\(\)"):
        predicted_array(torch.ones(2, requires_grad=True))
    # on a CUDA device the message is the same, but for the device's name
    with pytest.raises(NoLabelMapError, match=r"returned a Tensor, expected a .*Tensor\.cpu\(\)"):
        predicted_array(torch.ones(2, dtype=torch.uint8, device="meta"))


def test_a_worker_takes_a_tensor_on_the_processor(write):
    pytest.importorskip("torch")
    source = with_predict("return torch.ones((4, 5, 6), dtype=torch.int32)")
    model = WorkerModel(write(f"import torch\n{source}"), {}, WorkerConfig(step_timeout=60))
    model.set_image(IMAGE, (1,))
    output = model.predict(INTERACTIONS)
    model.close()
    assert output.failure is None
    assert (output.segmentation == 1).all()
