"""What one job of a run needs, and the one model that each process keeps over its cases."""

from __future__ import annotations

import atexit
import os
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench import threads
from segbench.core import AdapterInfo
from segbench.models.environments import find_interpreter
from segbench.models.in_process import InProcessModel
from segbench.models.registry import source_sha256
from segbench.models.resolve import resolve_model
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from segbench.runs.config import RunConfig


@dataclass(frozen=True)
class JobSettings:
    """What a job needs to know to run cases; hashable, and cheap to send to another process."""

    config: RunConfig
    adapter: Path
    source_sha256: str  # of the adapter
    options: tuple[tuple[str, str], ...]
    worker: WorkerConfig
    parent: int | None = None  # process id of the runner, if that is another process


@dataclass(frozen=True)
class ModelDescription:
    """What a loaded model reports: its `AdapterInfo`, and the software it runs with."""

    info: AdapterInfo
    environment: dict[str, Any]  # versions of Python, numpy and torch; device


def job_settings(config: RunConfig) -> JobSettings:
    """Find the adapter and its interpreter, and divide the processors between the jobs.

    Raises
    ------
    AdapterNotFound, AdapterError
        If there is no such adapter or option, or its environment cannot be built.
    """
    adapter, options = resolve_model(config.model, config.option)
    return JobSettings(
        config=config,
        adapter=adapter,
        source_sha256=source_sha256(adapter),
        options=tuple(sorted(options.items())),
        worker=WorkerConfig(
            python=find_interpreter(adapter, config.python),
            step_timeout=config.step_timeout,
            threads=threads.threads_per_model(config.jobs, config.threads),
        ),
        parent=os.getpid() if config.jobs > 1 else None,
    )


_models: dict[Hashable, WorkerModel | InProcessModel] = {}


def model_of(job: JobSettings) -> WorkerModel | InProcessModel:
    """Return this process's model for a job; it is loaded once and kept over the cases.

    Raises
    ------
    AdapterError
        If the model cannot be loaded.
    """
    # the source is part of the key: an adapter that was edited meanwhile is another model
    key = job.adapter, job.source_sha256, job.options, job.worker, job.config.in_process
    if key not in _models:
        close_models()
        options = dict(job.options)
        _models[key] = (
            InProcessModel(job.adapter, options)
            if job.config.in_process
            else WorkerModel(job.adapter, options, job.worker)
        )
    return _models[key]


def describe_model(job: JobSettings) -> ModelDescription:
    """Load the model of this process, if it is not loaded yet, and describe it."""
    model = model_of(job)
    return ModelDescription(model.info, model.environment)


@atexit.register
def close_models() -> None:
    """Close the models of this process."""
    while _models:
        _models.popitem()[1].close()


def exit_if_orphaned(job: JobSettings) -> None:
    """End a job whose runner was killed: its results are not awaited, and it holds a model."""
    # joblib may run a job in the runner itself, for example inside a daemonic process
    if job.parent not in (None, os.getpid(), os.getppid()):
        close_models()
        os._exit(1)
