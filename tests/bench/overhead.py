"""Cases to run the floors on, and what a run of them costs: everything but the model.

CPU seconds are those of the run and of its worker together, interpreters and imports included; the
model's own are measured by calling it here and taken off.
"""

import resource
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np

from segbench.core import Case, Image, Interactions
from segbench.data.case_folder import find_cases
from segbench.data.challenge_npz import write_case
from segbench.data.dataset import read_case, sha256_of
from segbench.models.loading import load_adapter
from segbench.models.registry import find_adapter
from segbench.phantoms import annotate
from segbench.phantoms.scene import make_scene
from segbench.protocol.boxes import draw_box
from tests.bench.volumes import organs


def small_case(number: int) -> Case:
    """Return a phantom of 96 x 160 x 160 voxels with 3 labels."""
    reference, rng = np.zeros(1, np.uint8), np.random.default_rng([96, number])
    while reference.max() < 3:
        voxels, structures = make_scene("CT", (96, 160, 160), rng)
        reference = annotate(structures, rng, n_labels=3)
    return boxed(f"CT_Small_{number:02}", voxels, (2.0, 1.0, 1.0), reference, rng)


abdomen = cache(organs)


def large_case(number: int) -> Case:
    """Return the abdomen of 160 x 512 x 512 voxels with 13 labels, under noise."""
    volume, rng = abdomen(), np.random.default_rng([160, number])
    noise = rng.integers(0, 40, volume.reference.shape, np.uint8)
    voxels = volume.reference * np.uint8(16) + noise
    return boxed(f"CT_Large_{number:02}", voxels, volume.spacing, volume.reference, rng)


def boxed(name, voxels, spacing, reference, rng) -> Case:
    labels = tuple(range(1, int(reference.max()) + 1))
    boxes = tuple(draw_box(reference == label, label, rng) for label in labels)
    return Case(name, Image(voxels, spacing), reference, boxes, labels, "CT")


def write(cases, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        write_case(folder / f"{case.name}.npz", case)
    return folder


def run_cost(model: str, data: Path, out: Path) -> float:
    """Return the CPU seconds of one run, its worker included."""
    options = ["--option", f"references={data}"] if model == "oracle" else []
    command = [sys.executable, "-m", "segbench", "run", "--model", model, *options]
    return command_cost([*command, "--data", str(data), "--out", str(out)])


def command_cost(command) -> float:
    before = children_cpu()
    subprocess.run(command, check=True, capture_output=True)
    return children_cpu() - before


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def model_cost(model: str, data: Path) -> float:
    """Return the CPU seconds the model itself needs for all cases."""
    cases = [read_case(source) for source in find_cases(data)]
    adapter = load_adapter(
        find_adapter(model), {"references": str(data)} if model == "oracle" else {}
    )
    began = time.process_time()
    for case in cases:
        adapter.set_image(case.image, case.labels)
        for step in range(6):
            interactions = Interactions((case.boxes,) + ((),) * step, case.reference)
            adapter.predict(interactions)
    return time.process_time() - began


def reading_cost(data: Path) -> float:
    """Return the CPU seconds that reading all cases and naming their bytes takes."""
    began = time.process_time()
    for source in find_cases(data):
        sha256_of(source.file)
        read_case(source)
    return time.process_time() - began
