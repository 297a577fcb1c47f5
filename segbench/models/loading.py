"""Import an adapter's file and make its adapter, in this process.

Standard library and numpy only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import importlib.util
import pickle
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from segbench.contract import Adapter
from segbench.core import AdapterInfo
from segbench.errors import AdapterError, SegbenchError
from segbench.models.adapter_source import adapter_name, adapter_options, parse_options

FACTORY_SUFFIX = ".factory"  # of the file that has a caller's class or factory, see `given`


def load_adapter(file: Path, options: Mapping[str, str]) -> Adapter:
    """Import ``file`` in this process and make its adapter.

    A file with the suffix ``.factory`` is one that this segbench has written for this worker: it
    has a pickled class or factory of the caller, with its options, and the caller's import path.

    Raises
    ------
    AdapterError
        If the file defines no ``make_adapter``, or does not have the options.
    """
    if file.suffix == FACTORY_SUFFIX:
        return checked_adapter(_unpickled_factory(file)(), file.stem)
    values = parse_options(file, options)
    module = import_adapter_file(file)
    make_adapter = getattr(module, "make_adapter", None)
    if make_adapter is None:
        raise AdapterError(f"{file}: expected a function make_adapter, found none")
    try:
        adapter: Adapter = make_adapter(**values)
    except TypeError as error:
        if adapter_options(file) is not None:  # they were checked: a fault of the adapter
            raise
        raise AdapterError(f"{file}: make_adapter does not take these options: {error}") from error
    return checked_adapter(adapter, str(file))


def checked_adapter(adapter: Adapter, what: str) -> Adapter:
    """Return an adapter that has what the contract asks for; ``what`` begins the message."""
    if not isinstance(getattr(adapter, "info", None), AdapterInfo):
        raise AdapterError(f"{what}: expected adapter.info to be an AdapterInfo")
    return adapter


def _unpickled_factory(file: Path) -> Callable[[], Adapter]:
    paths, pickled = pickle.loads(file.read_bytes())
    sys.path += [path for path in paths if path not in sys.path]
    factory: Callable[[], Adapter] = pickle.loads(pickled)
    return factory


def import_adapter_file(file: Path) -> ModuleType:
    """Import an adapter as the module ``segbench_adapter_NAME.NAME``.

    The package ``segbench_adapter_NAME`` is the folder that has the adapter, so that relative
    imports find modules next to it: ``from ._shared import ...`` in a single file,
    ``from .._shared import ...`` in a folder's module. Each adapter gets its own copy of them.
    """
    name = re.sub(r"\W", "_", adapter_name(file))
    place = file.parent.parent if file.name == "__init__.py" else file.parent
    package = ModuleType(f"segbench_adapter_{name}")
    package.__path__ = [str(place)]
    for loaded in [key for key in sys.modules if f"{key}.".startswith(f"{package.__name__}.")]:
        del sys.modules[loaded]  # of an adapter with this name from elsewhere
    sys.modules[package.__name__] = package
    spec = importlib.util.spec_from_file_location(f"{package.__name__}.{name}", file)
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and relative imports need it there
    spec.loader.exec_module(module)
    return module


def close_adapter(adapter: Adapter) -> None:
    """Close an adapter if it has a method ``close``."""
    method = getattr(adapter, "close", None)
    if method is not None:
        method()


def describe_failure(error: BaseException) -> str:
    """Return how an adapter failed; a `SegbenchError` is a sentence and needs no type."""
    if isinstance(error, SegbenchError):
        return f"failed: {error}"
    return f"raised {type(error).__name__}: {error}".strip()
