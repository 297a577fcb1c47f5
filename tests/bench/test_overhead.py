"""What everything but the model costs in a run: reading, the pipe, clicks, scores, storing."""

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Click, Image, Interactions
from segbench.models.registry import find_adapter
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import NsdSettings
from segbench.protocol.scoring import score_pairs
from segbench.protocol.simulator import next_clicks
from segbench.runs.prediction_store import PredictionWriter, segmentation_sha256
from tests.bench import overhead
from tests.bench.test_cost import cpu_seconds
from tests.bench.volumes import VOLUMES, corrected

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))  # the best of so many
N_CASES = 20
SMALL_BAR, LARGE_BAR = 0.25, 1.5  # CPU seconds a case; the latter after reading
STEP_BAR = 0.15  # seconds a step of 512 x 512 x 512 voxels
HASH_BAR = 0.05  # of a step
HELP_BAR = 0.4


MAKE = {"small": overhead.small_case, "large": overhead.large_case}


@pytest.fixture(scope="module", params=MAKE)
def cases(request, tmp_path_factory):
    """Write the cases of one size; return its name and their folder."""
    folder = tmp_path_factory.mktemp("cases") / request.param
    return request.param, overhead.write(map(MAKE[request.param], range(N_CASES)), folder)


def best(cost, *args):
    return min(cost(*args) for _ in range(ROUNDS))


def run_anew(model, data, out):
    shutil.rmtree(out, ignore_errors=True)
    return overhead.run_cost(model, data, out)


@pytest.mark.parametrize("model", ["empty", "oracle"])
def test_a_run_costs_little_beside_its_model(model, cases, tmp_path, show):
    size, data = cases
    whole = best(run_anew, model, data, tmp_path / "run")
    models, reading = (best(overhead.model_cost, model, data), best(overhead.reading_cost, data))
    rest, reading = (whole - models) / N_CASES, reading / N_CASES
    show(f"{size} {model:6} {rest:.3f} CPU s a case, {rest - reading:.3f} without reading")
    assert rest <= SMALL_BAR if size == "small" else rest - reading <= LARGE_BAR


def test_a_large_image_crosses_once_and_steps_are_quick(show):
    shape = (512, 512, 512)
    image = Image(np.ones(shape, np.uint8), (1.0, 1.0, 1.0))
    model = WorkerModel(find_adapter("empty"), {}, WorkerConfig(threads=1))
    interactions, spent, crossed = Interactions(((),), np.zeros(shape, np.uint8)), [], set()
    try:
        model.set_image(image, (1,))
        for step in range(1, 7):
            rounds = (*interactions.rounds, (Click(1, (step, 0, 0), positive=True),))
            before = time.process_time() + process_cpu(model._worker._process.pid)
            output = model.predict(Interactions(rounds, interactions.previous_segmentation))
            spent.append(time.process_time() + process_cpu(model._worker._process.pid) - before)
            file = (model._worker.scratch / "image.npy").stat()
            crossed.add((file.st_ino, file.st_mtime_ns))
            interactions = Interactions(rounds, output.segmentation)
    finally:
        model.close()
    show(f"512^3: the image and the first step {spent[0]:.3f} CPU s, a later step {min(spent):.3f}")
    assert len(crossed) == 1
    assert min(spent) <= STEP_BAR


def process_cpu(pid):
    """Return the CPU seconds of another process so far; of all its threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@pytest.mark.parametrize("name", VOLUMES)
def test_a_hash_is_a_small_part_of_a_step(name, show, tmp_path):
    volume = VOLUMES[name]()
    reference = PreparedReference(volume.reference, volume.labels)
    nsd = NsdSettings.of(volume.spacing)
    clicks = next_clicks(reference.compare(volume.prediction))
    prediction = corrected(volume.prediction, volume.reference, clicks)
    pairs = reference.compare(prediction)

    def step():
        with PredictionWriter(tmp_path / "kept.npz", 6) as writer:  # the first of six
            writer.add(prediction)
            compared = reference.compare(prediction)
            score_pairs(compared, 1, nsd)
            next_clicks(compared)

    hashed = cpu_seconds(lambda: segmentation_sha256(pairs))
    share = hashed / (cpu_seconds(step) + hashed)
    show(f"{name}: a hash is {hashed * 1e3:.1f} ms, {share:.1%} of scores, clicks and storing")
    assert share < HASH_BAR


def test_help_answers_at_once(show):
    spent = best(overhead.command_cost, [sys.executable, "-m", "segbench", "--help"])
    show(f"segbench --help {spent:.2f} CPU s")
    assert spent <= HELP_BAR
