"""The same interactions for two models: the authors' script, and the adapter.

Runs in the adapter's environment: imports numpy and segbench's core only.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from segbench.core import Box, Case, Click, Image, Interactions, LabelMap
from segbench.models.submission_npz import read_output, write_input

CLICK_SIGNS = ("++", "+ ", "++", "-+", "+-")  # of label 1 and 2; once label 2 has no error
N_CLICKS = len(CLICK_SIGNS)
Predict = Callable[[Interactions], LabelMap]


def cases(*names: str) -> list[Case]:
    """Return some volumes: small, wide, deep with dark voxels, and long enough for any click."""
    known = {
        "CT_small": ((40, 90, 101), (3.0, 1.2, 1.5), np.uint8),
        "MR_wide": ((70, 150, 160), (1.0, 1.5, 2.0), np.float32),
        "CT_long": ((430, 150, 150), (1.0, 1.0, 1.0), np.uint8),
        "US_deep": ((140, 110, 96), (0.8, 0.8, 0.8), np.uint8),
    }
    return [_case(name, *known[name]) for name in names]


def only_first_label(case: Case) -> Case:
    """Return a case with one label and its box, for a slow network."""
    reference = np.where(case.reference == 1, case.reference, 0)
    return replace(case, reference=reference, boxes=case.boxes[:1], labels=case.labels[:1])


def _case(name: str, shape: tuple[int, ...], spacing: tuple[float, ...], dtype: type) -> Case:
    rng = np.random.default_rng(len(name))
    reference = np.zeros(shape, np.uint8)
    z, y, x = (n // 8 for n in shape)
    reference[z : 4 * z, y : 4 * y, x : 4 * x] = 1
    reference[4 * z : 7 * z, 3 * y : 7 * y, 4 * x : 7 * x] = 2
    voxels = 40 + reference * 60.0 + rng.normal(0, 12, shape)  # no zeros: no background
    boxes = tuple(_box(reference, label) for label in (1, 2))
    image = Image(voxels.clip(1, 255).astype(dtype), spacing)
    return Case(name, image, reference, boxes, (1, 2))


def _box(reference: LabelMap, label: int) -> Box:
    found = np.argwhere(reference == label)
    low, high = found.min(0).tolist(), (found.max(0) + 1).tolist()
    return Box(label, tuple(low), tuple(high), (low[0] + high[0]) // 2)


def interact(case: Case, predict: Predict, *, boxes: bool = True, n_clicks: int = N_CLICKS) -> None:
    """Prompt with the boxes, then with clicks by `CLICK_SIGNS`, in errors if possible."""
    rng = np.random.default_rng(7)
    zeros = np.zeros(case.reference.shape, np.uint8)
    interactions = Interactions((case.boxes if boxes else (),), zeros)
    segmentation = predict(interactions) if boxes else zeros
    for signs in CLICK_SIGNS[:n_clicks]:
        clicks = [
            _click(segmentation, case.reference, label, positive=sign == "+", rng=rng)
            for label, sign in zip(case.labels, signs, strict=False)
            if sign != " "
        ]
        interactions = Interactions((*interactions.rounds, tuple(clicks)), segmentation)
        segmentation = predict(interactions)


def _click(
    segmentation: LabelMap,
    reference: LabelMap,
    label: int,
    *,
    positive: bool,
    rng: np.random.Generator,
) -> Click:
    right = (reference == label) == positive
    wrong = right & ((segmentation == label) != positive)
    candidates = np.argwhere(wrong if wrong.any() else right)
    voxel = tuple(candidates[rng.integers(len(candidates))].tolist())
    return Click(label, voxel, positive=positive)


@contextlib.contextmanager
def working_directory(folder: Path) -> Iterator[None]:
    """Change the working directory temporarily."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def predict_with_script(
    script: Path, folder: Path, case: Case, interactions: Interactions
) -> LabelMap:
    """Run a challenge submission's script, which reads inputs/ and writes outputs/."""
    inputs, outputs = folder / "inputs", folder / "outputs"
    for place in (inputs, outputs):
        place.mkdir(exist_ok=True)
        for file in place.iterdir():
            file.unlink()
    write_input(inputs / "case.npz", case.image, case.labels, interactions)
    with working_directory(folder), contextlib.redirect_stdout(sys.stderr):
        runpy.run_path(str(script), run_name="__main__")
    return read_output(outputs / "case.npz")


def report(case: str, interactions: Interactions, ours: LabelMap, theirs: LabelMap) -> None:
    """Print one line of JSON about one step."""
    facts = {
        "case": case,
        "step": interactions.step,
        "boxes": len(interactions.boxes),
        "differing": int((ours != theirs).sum()),
        "voxels": np.bincount(ours.ravel(), minlength=3).tolist(),
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
