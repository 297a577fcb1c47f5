"""Predict one step with the small version of an adapter under several options; a line of JSON each.

    PYTHONPATH=. python tests/peers/compare_options.py sam_med3d|vista3d KEY=VALUE ...

In the environment of the adapter. The first line is without any option.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from segbench.core import Box, Click, Image, Interactions
from segbench.models.loading import import_adapter_file
from tests.peers.comparison import cases

CLICKS = (
    (Click(1, (40, 40, 30), True), Click(2, (75, 45, 50), True)),
    (Click(1, (30, 30, 30), True),),
)


def main(name: str, *options: str) -> None:
    """Print the segmentation's hash for each option."""
    small_adapter = import_adapter_file(Path(__file__).with_name(f"{name}.py"))
    (case,) = cases("US_deep")
    image = Image(case.image.voxels, (0.8, 1.0, 1.6))
    interactions = Interactions((case.boxes, *CLICKS), np.zeros(case.reference.shape, np.uint8))
    slice_ = Interactions(((Box(1, (0, 20, 20), (1, 40, 40), 0),),), np.zeros((1, 96, 80), "u1"))
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "random.pth")
        small_adapter.write_weights(weights, small_adapter.SMALL)
        for option in ("", *options):
            given = dict([option.split("=")]) if option else {}
            adapter = small_adapter.make_adapter(weights=str(weights), **given)
            adapter.set_image(image, case.labels)
            report(option, adapter.predict(interactions))
        adapter.set_image(Image(case.image.voxels[:1, :96, :80], (1.0, 1.0, 1.0)), (1,))
        report("one slice", adapter.predict(slice_))


def report(option: str, segmentation: np.ndarray) -> None:
    """Print one line about one segmentation."""
    voxels = np.bincount(segmentation.ravel(), minlength=3).tolist()
    digest = hashlib.sha256(segmentation.tobytes()).hexdigest()[:16]
    sys.stdout.write(json.dumps({"option": option, "voxels": voxels, "sha256": digest}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
