"""A researcher's own package next to the adapter: found through PYTHONPATH, and never unnoticed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import segbench
from segbench.errors import RunError
from segbench.models.in_process import InProcessModel
from segbench.models.registry import find_adapter
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.runs.job import close_models

ROOT = Path(__file__).parents[2]
ADAPTER = """
from segbench.core import AdapterInfo
import numpy as np
from mypkg.net import LABEL


class Mine:
    info = AdapterInfo("mine", licence="MIT")

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        return np.full(self.shape, LABEL, np.uint8)


make_adapter = Mine
"""


@pytest.fixture
def adapter(tmp_path) -> Path:
    """Return an adapter that imports a package, which imports itself by its name."""
    folder = tmp_path / "mine"
    (folder / "mypkg").mkdir(parents=True)
    (folder / "mypkg" / "__init__.py").write_text("")
    (folder / "mypkg" / "net.py").write_text("from mypkg.parts import LABEL as LABEL\n")
    (folder / "mypkg" / "parts.py").write_text("LABEL = 1\n")
    (folder / "ad.py").write_text(ADAPTER)
    return folder / "ad.py"


@pytest.fixture(autouse=True)
def _fresh_models():
    yield
    close_models()
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypkg"]:
        del sys.modules[name]


def modules_sha256(file: Path, python: Path | str = sys.executable) -> str | None:
    """Return what a worker reports of the modules that it has loaded."""
    model = WorkerModel(file, {}, WorkerConfig(Path(python), 60))
    model.close()
    return model.modules_sha256


def first_prediction(run: Path) -> str:
    """Return the sha256 of the first label map of a run."""
    case = json.loads((run / "cases" / "CT_Toy_001.json").read_text())
    return case["steps"][0]["prediction_sha256"]


def test_a_worker_finds_modules_through_python_path(adapter, data, tmp_path, environment):
    environment(PYTHONPATH=adapter.parent)
    result = segbench.evaluate(adapter, data, out=tmp_path / "run")
    assert result.all_ok
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert len(facts["adapter_modules_sha256"]) == 64


def test_a_relative_folder_of_python_path_is_found_too(adapter, monkeypatch, environment):
    monkeypatch.chdir(adapter.parent.parent)
    environment(PYTHONPATH=os.pathsep.join(["", "mine"]))
    assert modules_sha256(adapter) is not None


def test_the_packages_of_the_environment_come_before_those_of_python_path(adapter, environment):
    (adapter.parent / "numpy.py").write_text("raise ImportError('not this one')\n")
    environment(PYTHONPATH=adapter.parent)
    assert modules_sha256(adapter) is not None


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_does_not_continue_with_an_edited_module(adapter, data, tmp_path, environment, jobs):
    environment(PYTHONPATH=adapter.parent)
    asked = {"out": tmp_path / "run", "jobs": jobs}
    segbench.evaluate(adapter, data, limit=1, **asked)
    segbench.evaluate(adapter, data, limit=2, **asked)
    (adapter.parent / "mypkg" / "parts.py").write_text("LABEL = 3  # edited\n")
    with pytest.raises(RunError, match=r"expected the source of .*ad\.py that made its 2 cases"):
        segbench.evaluate(adapter, data, **asked)
    # and a new run in this process has what was edited
    segbench.evaluate(adapter, data, limit=1, out=tmp_path / "new", jobs=jobs)
    assert first_prediction(tmp_path / "new") != first_prediction(tmp_path / "run")


def test_a_package_around_a_module_that_is_imported_with_a_dot_counts(adapter):
    """Its `__init__.py` is run by the import, and is none of the adapter's source files."""
    adapter.write_text(ADAPTER.replace("from mypkg.net", "from .mypkg.parts"))
    before = modules_sha256(adapter)
    (adapter.parent / "mypkg" / "__init__.py").write_text("x = 1\n")
    assert modules_sha256(adapter) != before


def test_an_editable_installation_counts(adapter, tmp_path):
    """`pip install -e` makes a file in site-packages that names the folder."""
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "numpy.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    (tmp_path / "elsewhere").mkdir()
    (adapter.parent / "mypkg").rename(tmp_path / "elsewhere" / "mypkg")
    (site / "mine.pth").write_text(f"{tmp_path / 'elsewhere'}\n")
    before = modules_sha256(adapter, environment / "bin" / "python")
    (tmp_path / "elsewhere" / "mypkg" / "parts.py").write_text("LABEL = 3  # edited\n")
    after = modules_sha256(adapter, environment / "bin" / "python")
    assert None not in (before, after)
    assert before != after


def test_the_same_modules_in_this_process_are_the_same_run(adapter, environment, monkeypatch):
    environment(PYTHONPATH=adapter.parent)
    monkeypatch.syspath_prepend(adapter.parent)
    there = modules_sha256(adapter)
    assert InProcessModel.load(adapter, {}).modules_sha256 == there
    assert InProcessModel.load(adapter, {}).modules_sha256 == there  # all is imported by now


@pytest.mark.parametrize("name", ["boxfill", "random_walker", "ours"])
def test_included_adapters_have_no_modules_beyond_their_source(name, environment):
    environment(PYTHONPATH=ROOT)
    assert modules_sha256(find_adapter(name)) is None
