"""Pages of small runs, and a real browser to open them in."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import segbench
from segbench.data.challenge_npz import write_case
from segbench.report.viewer import ViewerOptions, write_viewer
from tests.conftest import small_case

HOSTILE = "CT_Toy_<img src=x onerror=alert(1)>&'\"_004"
NAMES = ("CT_Toy_001", "MR_Toy_002", "PET_Toy_003", HOSTILE)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# another answer in each step, some wrong voxels of both labels, one that is right only at the end
WANDERING = """
import numpy as np
from segbench.core import AdapterInfo


class Wandering:
    info = AdapterInfo("wandering <b>")

    def set_image(self, image, labels):
        self.shape = image.voxels.shape

    def predict(self, interactions):
        answer = np.zeros(self.shape, np.uint8)
        step = interactions.step
        answer[2:6, 2 + step:9, 4:12] = 1
        answer[3:9, 11:17, 12 + step:28] = 3
        return answer


make_adapter = Wandering
"""


def make_runs(folder):
    """Make cases and two runs over them; return the folder of the runs."""
    data = folder / "val"
    data.mkdir()
    for number, name in enumerate(NAMES):
        case = small_case(name, with_boxes=name != "MR_Toy_002", seed=number)
        spacing = (3.0, 1.0, 0.5)  # mm: no two axes are alike
        image = replace(case.image, spacing=spacing)
        write_case(data / f"{name}.npz", replace(case, image=image, modality=name.split("_")[0]))
    (folder / "wandering.py").write_text(WANDERING)
    for model in ("boxfill", str(folder / "wandering.py")):
        out = folder / "runs" / Path(model).stem
        assert segbench.evaluate(model, data, out=out, in_process=True).all_ok
    return folder / "runs"


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Return the folder of two runs over four small cases."""
    return make_runs(tmp_path_factory.mktemp("viewer"))


@pytest.fixture(scope="session")
def page(runs, tmp_path_factory):
    """Return the folder of a page that has the volumes of all cases."""
    out = tmp_path_factory.mktemp("page")
    write_viewer(segbench.load(runs), out, ViewerOptions(choice="all"))
    return out


@pytest.fixture(scope="session")
def browser():
    """Return the system's Chromium, driven by playwright; a tab stays inside one folder."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield program
        program.close()


@pytest.fixture
def tab(browser):
    """Return a function that opens a page; errors and requests elsewhere fail the test."""
    contexts, problems = [], []

    def opened(folder, address, *, width=1280, scheme="light", script=True):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=script,
        )
        contexts.append(context)
        new = context.new_page()
        root = Path(folder).resolve().as_uri()
        new.on("pageerror", lambda error: problems.append(str(error)))
        new.on(
            "console",
            # the warning is on what the tests do: they read pixels
            lambda text: (
                problems.append(text.text)
                if text.type in ("error", "warning") and "getImageData" not in text.text
                else None
            ),
        )
        new.on("dialog", lambda dialog: (problems.append("a dialog opened"), dialog.dismiss()))
        new.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((root, "data:", "blob:"))
                else problems.append(f"outside: {request.url}")
            ),
        )
        new.goto(f"{root}/{address}")
        return new

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def painted():
    """Return a function that waits until a case view shows all that was asked for."""

    def wait(tab):
        tab.wait_for_selector("#view[data-painted]")
        tab.wait_for_timeout(50)
        return tab

    return wait


@pytest.fixture
def truth(runs):
    """Return the arrays of a case: image, reference and the label maps of each method by step."""

    def arrays(name):
        with np.load(runs.parent / "val" / f"{name}.npz", allow_pickle=True) as raw:
            image, reference = raw["imgs"], raw["gts"]
        label_maps = {}
        for run in sorted(runs.iterdir()):
            with np.load(run / "predictions" / f"{name}.npz") as raw:
                label_maps[run.name] = raw["all_segs"]
        return SimpleNamespace(image=image, reference=reference, label_maps=label_maps)

    return arrays
