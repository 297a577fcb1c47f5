"""The training entry of an adapter, found as the adapter itself is."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from segbench.errors import AdapterError
from segbench.models.loading import import_file
from segbench.models.registry import find, wants_own_environment


def train(name: str, arguments: Sequence[str]) -> None:
    """Hand ``arguments`` to the function ``main`` of the adapter's sub-package ``training``.

    Raises
    ------
    AdapterNotFound, AdapterError
        There is no such adapter, or it cannot be trained from here.
    """
    file = find(name)
    if wants_own_environment(file):
        raise AdapterError(f"{name}: runs in an environment of its own, which train does not enter")
    entry = f"{import_file(file).__name__}.training"
    try:
        training = importlib.import_module(entry)
    except ModuleNotFoundError as error:
        if not entry.startswith(error.name or entry):
            raise
        raise AdapterError(f"{name}: has no training; expected training/__init__.py") from error
    training.main(arguments, program=f"segbench train {name}")
