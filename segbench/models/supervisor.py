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

SET_IMAGE_ATTEMPTS = 2  # a model that cannot take an image is not asked to for every click


class WorkerModel:
    """Fulfils :class:`segbench.contract.Seat` by asking a worker process."""

    def __init__(self, file: Path, options: Mapping[str, str], config: WorkerConfig) -> None:
        self.file, self.options, self._config = file, dict(options), config
        self._worker: WorkerProcess | None = None
        self._image_and_labels: tuple[Image, tuple[int, ...]] | None = None
        self._attempts_left = 0
        self.info, self.surroundings = self._load()

    def _load(self) -> tuple[AdapterInfo, dict[str, Any]]:
        try:
            load_reply = self._running_worker().load_reply
        except WorkerError as error:
            raise AdapterError(f"{adapter_name(self.file)}: cannot be loaded: {error}") from None
        info = load_reply["info"]
        surroundings = {key: load_reply[key] for key in ("versions", "device")}
        return AdapterInfo(**{**info, "prompts": tuple(info["prompts"])}), surroundings

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember what to show; the first question shows it, and so does one after a crash."""
        self._image_and_labels, self._attempts_left = (image, labels), SET_IMAGE_ATTEMPTS
        if self._worker is not None:
            self._worker.has_image = False

    def predict(self, interactions: Interactions) -> StepOutput:
        """Ask the worker; any fault of it becomes a failure.

        Raises
        ------
        OSError
            If the harness cannot write what it has to say: no fault of the model.
        """
        start = time.perf_counter()
        try:
            worker, set_image_seconds = self._worker_with_image()
            segmentation, reply = worker.predict(interactions)
        except WorkerError as error:
            if self._worker is not None:
                self._worker.has_image = False  # its state is anybody's guess
            return StepOutput(None, time.perf_counter() - start, str(error))
        return StepOutput(
            segmentation, set_image_seconds + reply["seconds"], None, reply.get("peak_mb")
        )

    def close(self) -> None:
        """End the worker and delete its files."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _running_worker(self) -> WorkerProcess:
        if self._worker is None or not self._worker.is_alive():
            self.close()
            self._worker = WorkerProcess(self.file, self.options, self._config)
        return self._worker

    def _worker_with_image(self) -> tuple[WorkerProcess, float]:
        """Return the worker that knows the image, and the seconds that showing it now took."""
        if self._worker is not None and self._worker.is_alive() and self._worker.has_image:
            return self._worker, 0.0
        if self._image_and_labels is None or self._attempts_left == 0:
            raise WorkerError(f"could not start this image in {SET_IMAGE_ATTEMPTS} attempts")
        self._attempts_left -= 1
        worker = self._running_worker()
        seconds = worker.set_image(*self._image_and_labels)
        self._attempts_left = SET_IMAGE_ATTEMPTS
        return worker, seconds
