"""Who may use how many processors: the one rule for jobs, models and numerical libraries.

Cases run side by side in processes (``--jobs``), and the models of these share the processors out
between them. segbench itself computes on one thread a case: cc3d and edt hold the interpreter, and
a step is too short to be divided (docs/performance.md).
"""

from __future__ import annotations

import os

OF_SEGBENCH = 1
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def of_each_model(jobs: int, wanted: int | None = None) -> int:
    """Return the threads of each model: as wanted, or its share; less if the environment says so.

    What the environment says is said without a thought of jobs, and must not give more than there
    are processors.
    """
    share = max(1, processors() // jobs)
    return wanted or min(_environment_limit() or share, share)


def _environment_limit() -> int | None:
    """Return what the first of the variables that is set says."""
    for name in VARIABLES:
        first = os.environ.get(name, "").split(",")[0]  # OpenMP has a number for each level
        if first.isdigit() and int(first) > 0:
            return int(first)
    return None


def variables(threads: int) -> dict[str, str]:
    """Return the environment variables that numerical libraries, torch's too, take this from."""
    return dict.fromkeys(VARIABLES, str(threads))


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
