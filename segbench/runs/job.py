"""What one job of a run needs, and the one model that each process keeps over its cases."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from segbench import threads
from segbench.activity import Activity, silent
from segbench.core import AdapterInfo
from segbench.models.environments import find_interpreter
from segbench.models.given import GivenModel, made_here
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
    adapter: Path  # its file, or that of a factory of the caller
    source_sha256: str | None  # of the adapter; None for a model of the caller
    options: tuple[tuple[str, str], ...]
    worker: WorkerConfig
    parent: int | None = None  # process id of the runner, if that is another process
    given: GivenModel | None = None  # a model of the caller, if it runs in this process
    call: str = field(default_factory=lambda: uuid4().hex, compare=False)  # of segbench


@dataclass(frozen=True)
class ModelDescription:
    """What a loaded model reports: its `AdapterInfo`, and the software it runs with."""

    info: AdapterInfo
    environment: dict[str, Any]  # versions of Python, numpy and torch; device
    modules_sha256: str | None = None  # of its author's modules that are not its source


def job_settings(config: RunConfig, activity: Activity = silent) -> JobSettings:
    """Find the adapter and its interpreter, and divide the processors between the jobs.

    ``activity`` shows the building of an environment.

    Raises
    ------
    AdapterNotFound, AdapterError
        If there is no such adapter or option, or its environment cannot be built.
    """
    adapter, options = resolve_model(config.model, config.option)
    in_process = config.in_process
    python = None if in_process else find_interpreter(adapter, config.python, activity=activity)
    return JobSettings(
        config=config,
        adapter=adapter,
        source_sha256=source_sha256(adapter),
        options=tuple(sorted(options.items())),
        worker=worker_config(config, python),
        parent=os.getpid() if config.jobs > 1 else None,
    )


def job_settings_of(given: GivenModel, file: Path, config: RunConfig) -> JobSettings:
    """Return the settings for a model of the caller; ``file`` is that of its factory."""
    return JobSettings(
        config=config,
        adapter=file,
        source_sha256=None,
        options=given.options,
        worker=worker_config(config, None),
        parent=os.getpid() if config.jobs > 1 else None,
        given=given if config.in_process else None,
    )


def worker_config(config: RunConfig, python: Path | None) -> WorkerConfig:
    """Return the limits of each worker, and its interpreter; None is that of segbench."""
    return WorkerConfig(
        python=python or Path(sys.executable),
        step_timeout=config.step_timeout,
        threads=threads.threads_per_model(config.jobs, config.threads),
    )


# each with the call that loaded it
_models: dict[Hashable, tuple[WorkerModel | InProcessModel, str]] = {}


def model_of(job: JobSettings) -> WorkerModel | InProcessModel:
    """Return this process's model for a job; it is loaded once and kept over the cases.

    Raises
    ------
    AdapterError
        If the model cannot be loaded.
    """
    # the source is part of the key: an adapter that was edited meanwhile is another model
    key = (
        *(job.adapter, job.source_sha256, job.options, job.worker, job.config.in_process),
        job.given,
    )
    model, call = _models.get(key, (None, ""))
    # modules that are not the adapter's source may have been edited since an earlier call
    if model is None or (model.modules_sha256 is not None and call != job.call):
        close_models()
        model = _load_model(job)
        _models[key] = model, job.call
    return model


def _load_model(job: JobSettings) -> WorkerModel | InProcessModel:
    if job.given is not None:
        return InProcessModel(made_here(job.given), is_owned=not job.given.in_process)
    options = dict(job.options)
    if job.config.in_process:
        return InProcessModel.load(job.adapter, options)
    return WorkerModel(job.adapter, options, job.worker)


def describe_model(job: JobSettings) -> ModelDescription:
    """Load the model of this process, if it is not loaded yet, and describe it."""
    model = model_of(job)
    return ModelDescription(model.info, model.environment, model.modules_sha256)


@atexit.register
def close_models() -> None:
    """Close the models of this process."""
    while _models:
        _models.popitem()[1][0].close()


def exit_if_orphaned(job: JobSettings) -> None:
    """End a job whose runner was killed: its results are not awaited, and it holds a model."""
    # joblib may run a job in the runner itself, for example inside a daemonic process
    if job.parent not in (None, os.getpid(), os.getppid()):
        close_models()
        os._exit(1)
