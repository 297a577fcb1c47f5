"""The submission of ours: its Dockerfile copies existing files, and its predict.sh works."""

import os
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from segbench.core import Box, Click, Image, Interactions
from segbench.models.loading import load_adapter
from segbench.models.registry import find_adapter
from segbench.models.submission_npz import read_output, write_input
from tests import ours_checkpoint

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "adapters" / "ours"


def test_all_that_is_copied_is_there_and_not_ignored():
    text = (FOLDER / "Dockerfile").read_text()
    allowed = re.findall(r"^!(.+)$", (FOLDER / "Dockerfile.dockerignore").read_text(), re.M)
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M)
        for word in line.split()[:-1]
    ]
    assert {"segbench", "adapters", "constraints.txt"} <= set(copied)
    for word in copied:
        assert (ROOT / word).exists(), word
        assert any(fnmatch(word, each) or word.startswith(f"{each}/") for each in allowed), word
    needed = ("readme", "license-files", "constraints.txt")
    assert all(name in (ROOT / "pyproject.toml").read_text() + text for name in needed)


@pytest.fixture
def small():
    """Return an image with a bright block, and the interactions of its box alone."""
    voxels = np.random.default_rng(0).integers(0, 90, (10, 20, 31), dtype=np.uint8)
    voxels[2:6, 3:9, 4:14] += 120
    box = Box(1, (2, 3, 4), (6, 9, 14), 4)
    return Image(voxels, (3.0, 1.0, 1.0)), Interactions(((box,),), np.zeros(voxels.shape, np.uint8))


@pytest.fixture
def script(environment):
    """Return the path of predict.sh, which finds this interpreter's segbench."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment(PATH=path)
    return (FOLDER / "predict.sh").resolve()


def test_its_predict_sh_keeps_the_challenges_contract(tmp_path, small, script):
    (tmp_path / "inputs").mkdir()
    write_input(tmp_path / "inputs" / "case.npz", small[0], (1,), small[1])
    subprocess.run(["sh", str(script)], cwd=tmp_path, check=True)
    assert read_output(tmp_path / "outputs" / "case.npz")[2:6, 3:9, 4:14].any()


def test_its_predict_sh_gives_the_same_in_one_call_for_all_steps_as_in_one_per_step(
    small, script, tmp_path, environment
):
    weights = ours_checkpoint.write_checkpoint(tmp_path / "tiny.safetensors")
    environment(SEGBENCH_PREDICT_OPTION=f"weights={weights}")
    image, boxes = small
    line = f'cd "$0/.." && exec sh {script}'
    command = shlex.join(["sh", "-c", line, "{inputs}", "{outputs}"])
    segmentations = {}
    for persistent in ("no", "yes"):
        adapter = load_adapter(
            find_adapter("container"), {"command": command, "persistent": persistent}
        )
        adapter.set_image(image, (1,))
        first = adapter.predict(boxes)
        click = Click(1, (7, 12, 20), True)
        second = adapter.predict(Interactions((*boxes.rounds, (click,)), first))
        segmentations[persistent] = first, second
        adapter.close()
    assert not np.array_equal(*segmentations["no"])  # the click has an effect
    np.testing.assert_array_equal(segmentations["yes"], segmentations["no"])
