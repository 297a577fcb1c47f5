"""A model in this process, for debugging an adapter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segbench.core import Image, Interactions, StepOutput
from segbench.models.adapter_contract import predicted_array
from segbench.models.adapter_failure import step_failure
from segbench.models.loading import close_adapter, load_adapter


class InProcessModel:
    """An adapter in this process: a crash or a hang of the model is one of segbench."""

    def __init__(self, file: Path, options: Mapping[str, str]) -> None:
        self._adapter = load_adapter(file, options)
        self.info = self._adapter.info
        self.environment: dict[str, Any] = {"versions": {"numpy": np.__version__}}
        self._pending_image: tuple[Image, tuple[int, ...]] | None = None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Keep the image; the first `predict` sets it."""
        self._pending_image = (image, labels)

    def predict(self, interactions: Interactions) -> StepOutput:
        """Run one step; an exception of the adapter is a failed step."""
        start, doing = time.perf_counter(), ""
        try:
            if self._pending_image is not None:
                doing = "setting the image: "
                self._adapter.set_image(*self._pending_image)
                self._pending_image, doing = None, ""
            # a copy, because the adapter may use its own array again
            segmentation = np.array(predicted_array(self._adapter.predict(interactions)))
        except Exception as error:  # of any kind: it is a failure of the model
            return StepOutput(None, time.perf_counter() - start, doing + step_failure(error))
        return StepOutput(segmentation, time.perf_counter() - start)

    def close(self) -> None:
        """Close the adapter."""
        close_adapter(self._adapter)
