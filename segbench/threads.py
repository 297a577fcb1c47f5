"""Number of threads of segbench, of models and of the numerical libraries.

Cases run in parallel processes (``--jobs``), whose models share the processors equally. segbench
itself uses one thread per case: cc3d and edt hold the interpreter lock, and a step is too short to
gain from more threads (docs/performance.md).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

SEGBENCH_THREADS = 1
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def threads_per_model(
    jobs: int,
    requested: int | None = None,
    *,
    processors: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Return the number of threads of each model.

    Parameters
    ----------
    jobs : int
        Number of models that run at the same time.
    requested : int, optional
        The result, if given. Without it, the result is the model's share of the processors, or the
        value of the first environment variable that is set, if that is smaller.
    processors : int, optional
        Those that all models share; by default the ones that this process may use.
    environ : mapping
        The environment variables.
    """
    share = max(1, (processors or n_processors()) // jobs)
    return requested or min(_environment_limit(environ) or share, share)


def _environment_limit(environ: Mapping[str, str]) -> int | None:
    """Return the value of the first variable that is set to a positive number."""
    for name in VARIABLES:
        first = environ.get(name, "").split(",")[0]  # OpenMP allows one number per nesting level
        if first.isdigit() and int(first) > 0:
            return int(first)
    return None


def environment_variables(threads: int) -> dict[str, str]:
    """Return the environment variables that set this number in numerical libraries and torch."""
    return dict.fromkeys(VARIABLES, str(threads))


def n_processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
