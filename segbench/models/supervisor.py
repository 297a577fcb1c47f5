"""A seat whose adapter runs in a supervised worker process.

Whatever happens to the worker (an exception, an exit, a hang, a kill) becomes a failed answer with
its reason and the last lines of its stderr; the next question finds a fresh worker.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.core import AdapterInfo, Image, Interactions, StepOutput
from segbench.errors import AdapterError
from segbench.models.loading import adapter_name
from segbench.models.worker_process import WorkerConfig, WorkerError, WorkerProcess

STARTS_PER_CASE = 2  # a model that cannot take an image is not asked to for every click


class WorkerModel:
    """Fulfils :class:`segbench.contract.Seat` by asking a worker process."""

    def __init__(self, file: Path, options: Mapping[str, str], environment: WorkerConfig) -> None:
        self.file, self.options, self._environment = file, dict(options), environment
        self._worker: WorkerProcess | None = None
        self._shown: tuple[Image, tuple[int, ...]] | None = None
        self._starts_left = 0
        self.info, self.surroundings = self._introduce()

    def _introduce(self) -> tuple[AdapterInfo, dict[str, Any]]:
        try:
            hello = self._alive().hello
        except WorkerError as fault:
            raise AdapterError(f"{adapter_name(self.file)}: cannot be loaded: {fault}") from None
        info = hello["info"]
        surroundings = {key: hello[key] for key in ("versions", "device")}
        return AdapterInfo(**{**info, "prompts": tuple(info["prompts"])}), surroundings

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember what to show; the first question shows it, and so does one after a crash."""
        self._shown, self._starts_left = (image, labels), STARTS_PER_CASE
        if self._worker is not None:
            self._worker.knows_image = False

    def predict(self, interactions: Interactions) -> StepOutput:
        """Ask the worker; any fault of it becomes a failure.

        Raises
        ------
        OSError
            If the harness cannot write what it has to say: no fault of the model.
        """
        began = time.perf_counter()
        try:
            worker, starting = self._shown_to()
            labels, reply = worker.predict(interactions)
        except WorkerError as fault:
            if self._worker is not None:
                self._worker.knows_image = False  # its state is anybody's guess
            return StepOutput(None, time.perf_counter() - began, str(fault))
        return StepOutput(labels, starting + reply["seconds"], None, reply.get("peak_mb"))

    def close(self) -> None:
        """End the worker and delete its files."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _alive(self) -> WorkerProcess:
        if self._worker is None or not self._worker.is_alive():
            self.close()
            self._worker = WorkerProcess(self.file, self.options, self._environment)
        return self._worker

    def _shown_to(self) -> tuple[WorkerProcess, float]:
        """Return the worker that knows the image, and the seconds that showing it now took."""
        if self._worker is not None and self._worker.is_alive() and self._worker.knows_image:
            return self._worker, 0.0
        if self._shown is None or self._starts_left == 0:
            raise WorkerError(f"could not start this image in {STARTS_PER_CASE} attempts")
        self._starts_left -= 1
        worker = self._alive()
        seconds = worker.set_image(*self._shown)
        self._starts_left = STARTS_PER_CASE
        return worker, seconds
