"""What many tests need: small valid cases, and adapters that misbehave on request."""

import gc
import queue
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

from segbench.core import Box, Case, Image
from segbench.data.challenge_npz import write_case

HERE = Path(__file__).parent

# the same examples in every run, in no file of the checkout; a busy machine misses any deadline
settings.register_profile("tests", deadline=None, derandomize=True, database=None)
settings.load_profile("tests")
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "segbench-hypothesis")


def pytest_collection_finish():
    """Leave what was imported to no collection of garbage: it stays, and there is much of it."""
    gc.freeze()


SHAPE = (10, 20, 31)  # never a cube, so that swapped axes show
SPACING = (3.0, 1.0, 1.0)


@pytest.fixture(scope="session")
def scripted() -> str:
    """Return the adapter that fails as its options say."""
    return str(HERE / "fake_adapters" / "scripted.py")


def small_case(name: str, *, with_boxes: bool = True, seed: int = 0) -> Case:
    """Return a case with two blocks as labels 1 and 3."""
    rng = np.random.default_rng(seed)
    reference = np.zeros(SHAPE, np.uint8)
    reference[2:6, 3:9, 4:14] = 1
    reference[4:9, 11:17, 15:28] = 3
    voxels = (reference * 40 + rng.integers(0, 30, SHAPE)).astype(np.uint8)
    boxes = (Box(1, (2, 3, 4), (6, 9, 14), 4), Box(3, (4, 11, 15), (9, 17, 28), 6))
    image = Image(voxels, SPACING)
    return Case(name, image, reference, boxes if with_boxes else (), (1, 3), name.split("_")[0])


@pytest.fixture
def make_case():
    """Return the function that makes a small case."""
    return small_case


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with three small cases, one of them without boxes."""
    folder = tmp_path / "val"
    folder.mkdir()
    for number, name in enumerate(["CT_Toy_001", "MR_Toy_002", "PET_Toy_003"]):
        case = small_case(name, with_boxes=name != "MR_Toy_002", seed=number)
        write_case(folder / f"{name}.npz", case)
    return folder


@pytest.fixture(scope="session")
def real_cases() -> Path:
    """Return the folder of real scans next to the checkout, if there is one."""
    folder = HERE.parents[1] / "shared" / "data" / "val"
    if not folder.is_dir():
        pytest.skip("the real scans (../shared/data/val) are not here")
    return folder


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets environment variables of this process for one test."""

    def set_variables(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))

    return set_variables


@pytest.fixture
def contiguous(tmp_path, make_case):
    """Return a folder with one case of labels 1 and 2, as the official files have them."""
    folder, case = tmp_path / "val", make_case("CT_Toy_001")
    folder.mkdir()
    reference = np.where(case.reference == 3, 2, case.reference).astype(np.uint8)
    boxes = (case.boxes[0], Box(2, case.boxes[1].low, case.boxes[1].high, case.boxes[1].mid_slice))
    write_case(folder / "CT_Toy_001.npz", replace(case, reference=reference, boxes=boxes))
    return folder


@pytest.fixture
def slow_adapter(tmp_path):
    """Return the file of an adapter that takes an eighth of a second for each step."""
    file = tmp_path / "slow.py"
    file.write_text(
        "import time\nimport numpy as np\nfrom segbench.core import AdapterInfo\n"
        "class Slow:\n    info = AdapterInfo('slow')\n"
        "    def set_image(self, image, labels):\n        self.shape = image.voxels.shape\n"
        "    def predict(self, interactions):\n        time.sleep(0.12)\n"
        "        return np.zeros(self.shape, np.uint8)\n"
        "make_adapter = Slow\n"
    )
    return file


@pytest.fixture
def hangs_once(monkeypatch):
    """Return a function: this process waits for a queue no longer once a file has appeared.

    So a program that is about to hang, and says so by the file, exceeds any time limit at once. No
    test waits for the limit, and on a busy machine nothing else exceeds it.
    """

    def expect(file):
        seen = []

        class Queue(queue.Queue):
            def get(self, block=True, timeout=None):
                while timeout is not None and not seen:
                    try:
                        return super().get(timeout=min(timeout, 0.02))
                    except queue.Empty:
                        seen.extend([file] if file.exists() else [])
                        timeout -= 0.02
                        if seen or timeout <= 0:
                            raise
                return super().get(block, timeout)

        monkeypatch.setattr(queue, "Queue", Queue)

    return expect
