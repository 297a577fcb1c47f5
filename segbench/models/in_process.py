"""A model in this process, for debugging an adapter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segbench.core import Image, Interactions, StepOutput
from segbench.models.loading import close, load


class InProcessModel:
    """An adapter in this process, for debugging: a crash or a hang of the model is ours, too."""

    def __init__(self, file: Path, options: Mapping[str, str]) -> None:
        self._adapter = load(file, options)
        self.info = self._adapter.info
        self.surroundings: dict[str, Any] = {"versions": {"numpy": np.__version__}}
        self._shown: tuple[Image, tuple[int, ...]] | None = None

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember what to show; the first question shows it."""
        self._shown = (image, labels)

    def predict(self, interactions: Interactions) -> StepOutput:
        """Ask the adapter; what it raises becomes a failure."""
        began = time.perf_counter()
        try:
            if self._shown is not None:
                self._adapter.set_image(*self._shown)
                self._shown = None
            labels = np.array(
                self._adapter.predict(interactions)
            )  # a copy: the adapter may reuse its own
        except Exception as error:  # whatever a model raises is that model's failure
            return StepOutput(None, time.perf_counter() - began, f"raised {format_error(error)}")
        return StepOutput(labels, time.perf_counter() - began)

    def close(self) -> None:
        """Close the adapter."""
        close(self._adapter)


def format_error(error: BaseException) -> str:
    """Return an exception as one line: its kind and its words."""
    return f"{type(error).__name__}: {error}".strip()
