"""Run the training program of an adapter."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from segbench.errors import AdapterError
from segbench.models.loading import import_adapter_file
from segbench.models.registry import find_adapter, has_own_environment


def train(name: str, arguments: Sequence[str]) -> None:
    """Call ``main(arguments, program)`` of the adapter's sub-package ``training``.

    Raises
    ------
    AdapterNotFound
        There is no such adapter.
    AdapterError
        It has no training program, or an environment of its own.
    """
    file = find_adapter(name)
    if has_own_environment(file):
        raise AdapterError(
            f"{name}: expected an adapter in the environment of segbench, the only ones that can "
            "be trained, found one with its own"
        )
    entry = f"{import_adapter_file(file).__name__}.training"
    try:
        training = importlib.import_module(entry)
    except ModuleNotFoundError as error:
        if not entry.startswith(error.name or entry):
            raise
        raise AdapterError(
            f"{name}: expected a training program in training/__init__.py, found none"
        ) from error
    training.main(arguments, program=f"segbench train {name}")
