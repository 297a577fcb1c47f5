"""`segbench.evaluate`: paths and values as Python users write them."""

import json

import pytest

import segbench
from segbench.errors import CaseError
from segbench.runs.job import close_models

COUNTING = """
from pathlib import Path
import numpy as np
from segbench.core import AdapterInfo

class Counting:
    info = AdapterInfo("counting")

    def __init__(self, loads):
        with open(loads, "a") as file:
            file.write("x")

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        return np.zeros(self.shape, np.uint8)


def make_adapter(loads, level="0"):
    assert isinstance(level, str)
    return Counting(loads)
"""


@pytest.fixture(autouse=True)
def no_model_is_left():
    yield
    close_models()


@pytest.fixture
def counting(tmp_path):
    """Return an adapter's path, and the file in which it counts how often it is loaded."""
    (tmp_path / "counting.py").write_text(COUNTING)
    return tmp_path / "counting.py", tmp_path / "loads"


def test_models_options_and_folders_may_be_paths_and_numbers(counting, data, tmp_path):
    model, loads = counting
    option = {"loads": loads, "level": 2}
    result = segbench.evaluate(model, str(data), out=str(tmp_path / "run"), option=option, limit=1)
    assert result.all_ok
    manifest = json.loads((result.folder / "run.json").read_text())
    assert manifest["options"] == {"level": "2", "loads": str(loads)}


def test_the_model_stays_loaded_from_call_to_call(counting, data, tmp_path):
    model, loads = counting
    for case in ("CT_*", "MR_*", ["PET_*", "US_*"]):
        segbench.evaluate(model, data, out=tmp_path / "run", option={"loads": loads}, case=case)
    assert loads.read_text() == "x"


def test_an_adapter_that_was_edited_is_loaded_again(counting, data, tmp_path):
    model, loads = counting
    segbench.evaluate(model, data, out=tmp_path / "one", option={"loads": loads}, limit=1)
    model.write_text(COUNTING.replace("np.zeros(self.shape", "np.ones(self.shape"))
    result = segbench.evaluate(model, data, out=tmp_path / "two", option={"loads": loads}, limit=1)
    assert loads.read_text() == "xx"
    assert result.case_results[0].steps[0].scores[0].dsc > 0


def test_a_result_has_the_raw_facts_of_the_whole_folder(data, tmp_path):
    segbench.evaluate("boxfill", data, out=tmp_path / "run", in_process=True, limit=1)
    result = segbench.evaluate("boxfill", data, out=tmp_path / "run", in_process=True)
    names = [case.case for case in result.case_results]
    assert names == ["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"]
    assert (result.crashed, result.left_to_others) == ((), ())


def test_a_result_has_the_frames_of_a_half_finished_run(data, tmp_path):
    result = segbench.evaluate("boxfill", data, out=tmp_path / "run", in_process=True, limit=2)
    frames = result.frames(time_limit=90)
    assert frames.cases["case"].tolist() == ["CT_Toy_001", "MR_Toy_002"]
    assert frames.methods[["n_done", "n_cases"]].values.tolist() == [[2, 3]]
    assert frames.methods["time_limit"].item() == 90
    assert segbench.load(result.folder).steps["dsc"].tolist() == frames.steps["dsc"].tolist()


def test_a_folder_without_cases_is_refused_before_an_environment_is_built(tmp_path):
    adapter = tmp_path / "own.py"
    adapter.write_text('# /// script\n# dependencies = ["nothing-of-this-name"]\n# ///\n')
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaseError, match=r"expected a folder with \.npz cases, found none"):
        segbench.evaluate(adapter, tmp_path / "empty", out=tmp_path / "run")
