"""What a click costs `ours` on a full-size volume: seconds and memory, printed with ``-s``.

Each measurement has a process of its own, so that its peak memory is its own.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Box, Click, Image, Interactions

ROOT = Path(__file__).parents[2]
SHAPE = (160, 512, 512)
FLOATS_MB = 4 * np.prod(SHAPE) / 2**20  # what one float array of the volume would take
MIDDLE = (80, 256, 256)
BOXES = {
    "object": Box(1, (30, 156, 156), (130, 356, 356), 80),  # 100 x 200 x 200
    "volume": Box(1, (0, 0, 0), SHAPE, 80),
}
LIMIT = 2.5  # seconds a click
LIMIT_WITHOUT_NETWORK = 1.5  # processor seconds a click, on one core

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is measured through /proc"),
]


def measure(
    network: str, boxed: str, threads: int, *, patch: int = 96, device: str = "cpu"
) -> dict[str, float]:
    """Return what taking in the image, the first and a later click cost."""
    command = [sys.executable, __file__, network, boxed, str(threads), str(patch), device]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    where = f"{network} network, {boxed}, patch {patch}, {device}, {threads} threads"
    print(f"\n{where}: {found}")  # noqa: T201
    return found


@pytest.mark.parametrize("boxed", ["object", "volume", "no box"])
def test_a_click_without_the_network_on_one_core(boxed):
    found = measure("no", boxed, threads=1)
    assert found["later_cpu_s"] <= LIMIT_WITHOUT_NETWORK
    assert found["later_mb"] < FLOATS_MB


@pytest.mark.parametrize("boxed", ["object", "volume"])
def test_a_click_of_the_small_network_at_96_on_two_cores(boxed):
    assert measure("small", boxed, threads=2)["later_s"] <= LIMIT


@pytest.mark.parametrize("patch", [96, 128])
def test_a_click_of_the_small_network_on_a_gpu(patch):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    assert measure("small", "object", threads=2, patch=patch, device="cuda")["later_s"] <= LIMIT


@pytest.mark.parametrize("patch", [96, 128])
def test_a_click_of_the_small_network_without_a_gpu(patch):
    assert measure("small", "object", threads=2, patch=patch)["later_s"] <= 2 * LIMIT


# ---- in the process that is measured ---------------------------------------------------------


def _main(network: str, boxed: str, threads: int, patch: int, device: str) -> None:
    import torch

    torch.set_num_threads(threads)
    adapter = _adapter(network, patch, device)
    voxels = np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)
    previous = np.zeros(SHAPE, np.uint8)
    previous[60:100, 200:300, 200:300] = 1
    rounds = (() if boxed == "no box" else (BOXES[boxed],), (Click(1, MIDDLE, True),))
    later = (*rounds, (Click(1, (90, 220, 280), False),))
    costs = {
        "start": _cost(lambda: adapter.set_image(Image(voxels, (1.0, 1.0, 1.0)), (1,))),
        "first": _cost(lambda: adapter.predict(Interactions(rounds, previous))),
        "later": _cost(lambda: adapter.predict(Interactions(later, previous))),
    }
    found = {f"{name}_{k}": round(v, 2) for name, cost in costs.items() for k, v in cost.items()}
    print(json.dumps(found))  # noqa: T201


def _adapter(network: str, patch: int, device: str):
    """Return `ours` with the small network, or with one that answers at once."""
    import tempfile

    import torch

    from adapters.ours import make_adapter
    from adapters.ours.network import CONFIGS, ResidualEncoderUNet
    from adapters.ours.weights import Recipe, save_checkpoint

    recipe = Recipe(CONFIGS["small"], patch, 2.0, antialias=True, licence="none", training="none")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        save_checkpoint(path, ResidualEncoderUNet(CONFIGS["small"]).state_dict(), recipe)
        adapter = make_adapter(weights=str(path), device=device)
    if network == "no":
        ball = torch.zeros((1, 2, 96, 96, 96))
        ball[:, 1] = -5
        ball[:, 1, 24:72, 24:72, 24:72] = 5
        adapter.model.network = lambda _: ball
    return adapter


def _cost(action) -> dict[str, float]:
    """Return the wall and processor seconds of an action, and how far memory rose in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is reset
    before, began, spent = _resident("VmRSS"), time.perf_counter(), time.process_time()
    action()
    return {
        "s": time.perf_counter() - began,
        "cpu_s": time.process_time() - spent,
        "mb": _resident("VmHWM") - before,
    }


def _resident(field: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith(field)).split()[1]) / 2**10


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
