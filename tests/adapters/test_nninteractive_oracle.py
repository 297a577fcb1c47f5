"""The two nnInteractive adapters against the authors' challenge script, with the same weights.

Needs interpreters with the packages (docs/baselines.md); each skip names the missing one.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Box, Case, Click, Image, Interactions, Settings
from segbench.models.registry import find_adapter
from segbench.models.submission_npz import write_input
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.protocol.interaction import interact
from tests.peers.random_nninteractive import write_folder
from tests.peers.running import python_of

ORACLE = Path(__file__).parents[1] / "peers" / "nninteractive_oracle.py"
SCRIPT = "SEGBENCH_TEST_NNINTERACTIVE_PREDICT"


@dataclass
class Peer:
    """An adapter, the interpreter of its environment, the authors' script, a model folder."""

    name: str
    python: Path
    script: str
    model_folder: Path

    def load(self, **options: str) -> WorkerModel:
        environment = WorkerConfig(python=self.python, step_timeout=600, threads=1)
        return WorkerModel(
            find_adapter(self.name), {"model": str(self.model_folder), **options}, environment
        )

    def predict(self, folder: Path, case: Case, steps) -> list[np.ndarray | str]:
        """Return the output of the authors' script at each step: a label map or an error."""
        (folder / "inputs").mkdir()
        (folder / "outputs").mkdir()
        for number, interactions in enumerate(steps):
            file = folder / "inputs" / f"{number}.npz"
            write_input(file, case.image, case.labels, interactions)
        words = [self.python, ORACLE, self.script, self.model_folder, folder / "inputs"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [*map(str, words), str(folder / "outputs")],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,  # the script prints each click
        )
        return [read(folder / "outputs" / str(number)) for number in range(len(steps))]


def read(stem: Path) -> np.ndarray | str:
    """Return a label map, or the error's text."""
    failed = stem.with_suffix(".txt")
    return failed.read_text() if failed.exists() else np.load(stem.with_suffix(".npy"))


@pytest.fixture(scope="module", params=["nninteractive", "nninteractive_challenge"])
def peer(request, tmp_path_factory) -> Peer:
    """Return one of the two releases, with its own random model."""
    python = python_of(request.param)
    script = "-"
    if request.param == "nninteractive_challenge":
        script = os.environ.get(SCRIPT, "")
        if not script:
            pytest.skip(f"{SCRIPT} names no predict.py of the challenge (2025-05-12)")
    folder = tmp_path_factory.mktemp("model") / "random"
    # the script loads fold "all", and accepts boxes only if the model allows them
    write_folder(folder, fold="all", boxes_in_3d=request.param == "nninteractive")
    return Peer(request.param, python, script, folder)


def volume(seed: int) -> Case:
    """Return an image with a border of zeros and two objects, one wider than the patch's middle."""
    rng = np.random.default_rng(seed)
    shape = [(28, 58, 64), (44, 40, 42)][seed]
    reference = np.zeros(shape, np.uint8)
    reference[4:12, 6:36, 5 : [56, 36][seed]] = 1
    reference[10:20, 15:25, 16:30] = 2
    voxels = (rng.integers(0, 200, shape) + 300 * (reference > 0)).astype(np.int16)
    voxels[:2], voxels[:, -5:], voxels[:, :, :3] = 0, 0, 0
    boxes = (Box(1, (4, 6, 5), (12, 36, [56, 36][seed]), 8), Box(2, (10, 15, 16), (20, 25, 30), 15))
    return Case(f"CT_{seed}", Image(voxels, (3.0, 0.8, 0.8)), reference, boxes, (1, 2))


def interactions_by_step(case: Case, steps) -> list[Interactions]:
    """Return the interactions of each step."""
    interactions, rounds, previous = [], (case.boxes,), np.zeros(case.reference.shape, np.uint8)
    for step in steps:
        rounds = (*rounds, step.prompts) if step.step > 0 else rounds
        interactions.append(Interactions(rounds, previous))
        previous = step.segmentation
    return interactions


@pytest.mark.parametrize("seed", [0, 1])
def test_boxes_and_five_clicks_give_the_label_maps_of_the_authors_script(peer, seed, tmp_path):
    case, model = volume(seed), peer.load()
    steps = list(interact(case, model))
    model.close()
    assert [each.output.failure for each in steps] == [None] * 6
    expected = peer.predict(tmp_path, case, interactions_by_step(case, steps))
    for step, segmentation in zip(steps, expected, strict=True):
        np.testing.assert_array_equal(step.segmentation, segmentation)
    assert all({1, 2} <= set(np.unique(segmentation)) for segmentation in expected[1:])
    changed = [(a != b).sum() for a, b in zip(expected, expected[1:], strict=False)]
    assert min(changed) > 100  # every click changed the segmentation


def test_clicks_alone_give_the_label_maps_of_the_authors_script(peer, tmp_path):
    whole = volume(1)
    case, model = Case(whole.name, whole.image, whole.reference, (), whole.labels), peer.load()
    steps = list(interact(case, model, Settings(n_clicks=2)))
    model.close()
    expected = peer.predict(tmp_path, case, interactions_by_step(case, steps))
    for step, segmentation in zip(steps, expected, strict=True):
        np.testing.assert_array_equal(step.segmentation, segmentation)


def test_a_label_without_a_click_fails_in_the_script_and_is_replayed_here(peer, tmp_path):
    """The authors' script fails on a label without a click; without that round it agrees."""
    case = volume(0)
    clicks = (Click(1, (6, 10, 10), True), Click(2, (11, 16, 17), False))
    rounds = (case.boxes, clicks, (Click(1, (7, 20, 20), True),))
    interactions = Interactions(rounds, case.reference)
    (failure,) = peer.predict(tmp_path, case, [interactions])
    assert failure.startswith("IndexError")
    skipped = tmp_path / "skipped"
    skipped.mkdir()
    alone = Interactions((rounds[0], rounds[1]), case.reference)
    (second,) = peer.predict(skipped, case, [alone])

    model = peer.load()
    model.set_image(case.image, case.labels)
    found = model.predict(interactions)
    model.close()
    assert found.failure is None, found.failure
    np.testing.assert_array_equal(found.segmentation == 2, second == 2)

    strict = peer.load(perfect="fail")
    strict.set_image(case.image, case.labels)
    assert "label 2 got no click in step 2" in strict.predict(interactions).failure
    strict.close()


def test_boxes_work_for_a_model_that_does_not_declare_them(peer, tmp_path):
    """The published weights do not; the authors' challenge submission used boxes nevertheless."""
    case, found = volume(1), []
    plain = write_folder(tmp_path / "plain", fold="all")
    for model_folder in (peer.model_folder, plain):
        model = Peer(peer.name, peer.python, peer.script, model_folder).load()
        model.set_image(case.image, case.labels)
        found.append(model.predict(Interactions((case.boxes,), np.zeros_like(case.reference))))
        model.close()
    assert [output.failure for output in found] == [None, None]
    np.testing.assert_array_equal(found[0].segmentation, found[1].segmentation)
