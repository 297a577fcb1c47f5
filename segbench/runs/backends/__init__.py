"""Where the cases of a run are computed: in this process, or in several processes at a time."""

from __future__ import annotations

from segbench.runs.backends.base import Backend
from segbench.runs.backends.serial import SerialBackend
from segbench.runs.job import JobSettings


def open_backend(job: JobSettings) -> Backend:
    """Return the backend for a number of jobs."""
    if job.config.jobs == 1:
        return SerialBackend(job)
    from segbench.runs.backends.loky import LokyBackend

    return LokyBackend(job)
