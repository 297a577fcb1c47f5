"""An adapter that replays the outputs of a scripted model of the golden data, with its failures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from segbench.core import AdapterInfo, Image, Interactions


class Replay:
    """Replays a model; the image identifies the case."""

    info = AdapterInfo("replay", version="1", licence="Apache-2.0", sees_reference=True)

    def __init__(self, folder: Path, model: str) -> None:
        self._folder, self._model = folder, model
        self._expected = json.loads((folder / "expected.json").read_text())["cases"]

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Find the case and load the model's outputs."""
        for name, facts in self._expected.items():
            with np.load(self._folder / f"{name}.npz") as case:
                if tuple(facts["shape"]) == image.voxels.shape and np.array_equal(
                    case["imgs"], image.voxels
                ):
                    self._facts = facts["models"][self._model]
                    self._segmentations = case[self._facts["pred_key"]]
                    return
        raise LookupError("no golden case has this image")

    def predict(self, interactions: Interactions) -> np.ndarray:
        """Return the output of this step."""
        if not self._facts["wrote"][interactions.step]:
            raise RuntimeError("the scripted model wrote nothing")
        return np.asarray(
            self._segmentations[interactions.step],
            order=self._facts["pred_order"][interactions.step],
        )


def make_adapter(folder: str, model: str) -> Replay:
    """Make the adapter."""
    return Replay(Path(folder), model)
