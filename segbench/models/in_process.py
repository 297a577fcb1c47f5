"""A model in this process: an object or a function of the caller, or for debugging an adapter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from segbench.contract import Adapter
from segbench.core import Image, Interactions, StepOutput
from segbench.models.adapter_contract import plain_info, predicted_array
from segbench.models.adapter_failure import step_failure
from segbench.models.loading import close_adapter, load_described


class InProcessModel:
    """An adapter in this process: a crash or a hang of the model is one of segbench.

    Parameters
    ----------
    adapter : Adapter
        The adapter.
    is_owned : bool
        Whether `close` closes it; an object of the caller is left alone.
    """

    def __init__(self, adapter: Adapter, *, is_owned: bool = True) -> None:
        self._adapter, self._is_owned = adapter, is_owned
        self.info = plain_info(adapter.info)
        self.modules_sha256: str | None = None  # of its author's modules, see `source_files`
        self.environment: dict[str, Any] = {"versions": {"numpy": np.__version__}}
        self._pending_image: tuple[Image, tuple[int, ...]] | None = None

    @classmethod
    def load(cls, file: Path, options: Mapping[str, str]) -> InProcessModel:
        """Load the adapter of a file.

        Raises
        ------
        AdapterError
            If it cannot be loaded.
        """
        adapter, description = load_described(file, options)
        model = cls(adapter)
        model.modules_sha256 = description["modules_sha256"]
        return model

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Keep the image; the first `predict` sets it."""
        self._pending_image = (image, labels)

    def predict(self, interactions: Interactions) -> StepOutput:
        """Run one step; an exception of the adapter is a failed step."""
        start, doing = time.perf_counter(), ""
        try:
            # copies, because the adapter may write to its arrays, and use its own array again
            if self._pending_image is not None:
                doing = "setting the image: "
                image, labels = self._pending_image
                voxels = image.voxels.copy(order="K")
                self._adapter.set_image(replace(image, voxels=voxels), labels)
                self._pending_image, doing = None, ""
            previous = interactions.previous_segmentation.copy(order="K")
            answer = self._adapter.predict(replace(interactions, previous_segmentation=previous))
            segmentation = np.array(predicted_array(answer))
        except Exception as error:  # of any kind: it is a failure of the model
            return StepOutput(None, time.perf_counter() - start, doing + step_failure(error))
        return StepOutput(segmentation, time.perf_counter() - start)

    def close(self) -> None:
        """Close the adapter, unless it is the caller's."""
        if self._is_owned:
            close_adapter(self._adapter)
