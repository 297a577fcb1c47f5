"""Loading third-party checkpoints: nothing in a file is executed unless the user trusts it.

A ``.pth`` file is a pickle, and a pickle is a program. Used by adapters whose packages unpickle
checkpoints themselves. torch is imported inside the functions.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segbench.errors import AdapterError

FORCE_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # overrules weights_only=False
FORCE_NO_WEIGHTS_ONLY = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # the opposite


@contextmanager
def loading_safely(file: Path) -> Iterator[None]:
    """Restrict every ``torch.load`` inside to tensors, plain values and numpy numbers.

    This includes calls of other packages with ``weights_only=False``.

    Raises
    ------
    AdapterError
        ``file`` needs any other global, or is not a checkpoint.
    """
    import torch

    with torch.serialization.safe_globals(numpy_safe_globals()), _force_weights_only():
        refuse_unsafe(file)
        try:
            yield
        except pickle.UnpicklingError as error:
            raise AdapterError(f"{file.name}: {str(error).splitlines()[0]}") from error


def refuse_unsafe(file: Path) -> None:
    """Refuse a checkpoint that needs unsafe globals, without executing any of it."""
    import torch

    try:
        unsafe = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except (ValueError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise AdapterError(
            f"{file.name}: not a checkpoint that can be examined ({str(error).splitlines()[0]}); "
            "to load it all the same, which may execute code in it: --option trust=yes"
        ) from error
    if unsafe:
        raise AdapterError(
            f"{file.name}: loading it would call {', '.join(unsafe)}; "
            "to allow this, if you trust its source: --option trust=yes"
        )


def numpy_safe_globals() -> list[Any]:
    """Return the globals that numpy numbers and arrays need, by their numpy 1 and 2 names."""
    import numpy as np

    multiarray = np._core.multiarray  # type: ignore[attr-defined]
    reconstructors = [multiarray.scalar, multiarray._reconstruct]
    numpy1_names = [
        (reconstructor, f"numpy.core.multiarray.{reconstructor.__name__}")
        for reconstructor in reconstructors
    ]
    dtypes = [type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "bool")]
    return [*reconstructors, *numpy1_names, np.ndarray, np.dtype, *dtypes]


@contextmanager
def _force_weights_only() -> Iterator[None]:
    before = {
        name: os.environ.pop(name, None) for name in (FORCE_WEIGHTS_ONLY, FORCE_NO_WEIGHTS_ONLY)
    }
    os.environ[FORCE_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        del os.environ[FORCE_WEIGHTS_ONLY]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def sha256_of(file: Path) -> str:
    """Return the sha256 of a file, in hexadecimal, without reading it all into memory."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
