"""The submission of ours: what its Dockerfile copies is there, and its predict.sh answers."""

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from segbench.core import Box, Image, Interactions
from segbench.exchange import read_answer, write_input

ROOT = Path(__file__).parents[1]
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


def test_its_predict_sh_keeps_the_challenges_contract(tmp_path):
    (tmp_path / "inputs").mkdir()
    voxels = np.random.default_rng(0).integers(0, 90, (10, 20, 31), dtype=np.uint8)
    voxels[2:6, 3:9, 4:14] += 120
    image, box = Image(voxels, (3.0, 1.0, 1.0)), Box(1, (2, 3, 4), (6, 9, 14), 4)
    said = Interactions(((box,),), np.zeros(voxels.shape, np.uint8))
    write_input(tmp_path / "inputs" / "case.npz", image, (1,), said)
    script = (FOLDER / "predict.sh").resolve()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(["sh", str(script)], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    assert read_answer(tmp_path / "outputs" / "case.npz")[2:6, 3:9, 4:14].any()
