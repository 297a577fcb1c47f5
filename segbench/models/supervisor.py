"""A model whose adapter runs in a supervised worker process.

An exception, an exit, a hang or a kill of the worker becomes a failed step, with the reason and the
traceback, or the last lines of stderr. The next step starts a new worker if the last one has ended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.core import AdapterInfo, Image, Interactions, StepOutput
from segbench.errors import AdapterError
from segbench.models.adapter_source import adapter_name
from segbench.models.worker_process import (
    RefusalError,
    WorkerConfig,
    WorkerError,
    WorkerProcess,
)

SET_IMAGE_ATTEMPTS = 2  # per image; after that, its clicks fail at once


class WorkerModel:
    """A :class:`segbench.contract.ModelHandle` that sends its calls to a worker process."""

    def __init__(self, file: Path, options: Mapping[str, str], config: WorkerConfig) -> None:
        self.file, self.options, self._config = file, dict(options), config
        self._worker: WorkerProcess | None = None
        self._image_and_labels: tuple[Image, tuple[int, ...]] | None = None
        self._attempts_left = 0
        self.modules_sha256: str | None = None  # of its author's modules, see `source_files`
        self.info, self.environment = self._load()

    def _load(self) -> tuple[AdapterInfo, dict[str, Any]]:
        try:
            load_reply = self._running_worker().load_reply
        except WorkerError as error:
            raise AdapterError(str(error)) from None
        info, self.modules_sha256 = load_reply["info"], load_reply["modules_sha256"]
        environment = {key: load_reply[key] for key in ("versions", "device")}
        return AdapterInfo(**{**info, "prompts": tuple(info["prompts"])}), environment

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Keep the image; the first `predict`, and the first one after a crash, sets it."""
        self._image_and_labels, self._attempts_left = (image, labels), SET_IMAGE_ATTEMPTS
        if self._worker is not None:
            self._worker.has_image = False

    def predict(self, interactions: Interactions) -> StepOutput:
        """Run one step in the worker; an error of the worker is a failed step.

        Raises
        ------
        OSError
            If segbench cannot write an array: no failure of the model.
        """
        start = time.perf_counter()
        try:
            worker, set_image_seconds = self._worker_with_image()
            segmentation, reply = worker.predict(interactions)
        except WorkerError as error:
            if self._worker is not None:
                self._worker.has_image = False  # its state is unknown
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
        if self._worker is None or not self._worker.is_ready():
            self.close()
            self._worker = self._start_worker()
        return self._worker

    def _start_worker(self) -> WorkerProcess:
        try:
            return WorkerProcess(self.file, self.options, self._config)
        except RefusalError:
            raise
        except WorkerError as error:
            name = adapter_name(self.file)
            raise WorkerError(f"{name}: cannot be loaded: {error.in_one_line}") from None

    def _worker_with_image(self) -> tuple[WorkerProcess, float]:
        """Return a worker that has the image, and the seconds that setting it took in this call."""
        if self._worker is not None and self._worker.is_ready() and self._worker.has_image:
            return self._worker, 0.0
        if self._image_and_labels is None or self._attempts_left == 0:
            raise WorkerError(f"could not set this image in {SET_IMAGE_ATTEMPTS} attempts")
        self._attempts_left -= 1
        worker = self._running_worker()
        seconds = worker.set_image(*self._image_and_labels)
        self._attempts_left = SET_IMAGE_ATTEMPTS
        return worker, seconds
