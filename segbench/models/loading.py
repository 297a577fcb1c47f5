"""Import an adapter's file and make its adapter, in this process.

Standard library and numpy only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from segbench.contract import Adapter
from segbench.errors import AdapterError
from segbench.messages import named
from segbench.models.adapter_contract import checked_adapter, plain_info
from segbench.models.adapter_failure import load_failure
from segbench.models.adapter_source import adapter_package, parse_options
from segbench.models.source_files import imports_now, own_modules_sha256

FACTORY_SUFFIX = ".factory"  # of the file that has a caller's class or factory, see `given`


def load_adapter(file: Path, options: Mapping[str, str]) -> Adapter:
    """Import ``file`` in this process and make its adapter.

    A file with the suffix ``.factory`` is one that this segbench has written for this worker: it
    has a pickled class or factory of the caller, with its options, and the caller's import path.

    Raises
    ------
    AdapterError
        If it does not have the options, or cannot be imported or made, or is no adapter. The
        message is one line that names the file and the line where it failed.
    """
    is_factory = file.suffix == FACTORY_SUFFIX
    values = {} if is_factory else parse_options(file, options)
    try:
        if is_factory:
            return checked_adapter(_unpickled_factory(file)(), maker=file.stem)
        make_adapter = _make_adapter(file)
        _refuse_options(make_adapter, values)
        return checked_adapter(make_adapter(**values))
    except (Exception, SystemExit) as error:  # of any kind: it is a fault of the adapter
        raise AdapterError(load_failure(error, file)) from error


def load_described(file: Path, options: Mapping[str, str]) -> tuple[Adapter, dict[str, Any]]:
    """Load an adapter; return it with its info and its author's modules, as JSON has them."""
    before = imports_now()
    adapter = load_adapter(file, options)
    modules = None if file.suffix == FACTORY_SUFFIX else own_modules_sha256(file, before)
    info = dataclasses.asdict(plain_info(adapter.info))
    return adapter, {"info": info, "modules_sha256": modules}


def _unpickled_factory(file: Path) -> Callable[..., Adapter]:
    paths, pickled = pickle.loads(file.read_bytes())
    sys.path += [path for path in paths if path not in sys.path]
    factory: Callable[..., Adapter] = pickle.loads(pickled)
    return factory


def _make_adapter(file: Path) -> Callable[..., Adapter]:
    found = getattr(import_adapter_file(file), "make_adapter", None)
    if not callable(found):
        raise AdapterError("expected a function make_adapter in it, found none")
    make_adapter: Callable[..., Adapter] = found
    return make_adapter


def _refuse_options(make_adapter: Callable[..., Adapter], values: Mapping[str, Any]) -> None:
    """Refuse options that ``make_adapter`` does not take, if its source did not tell them."""
    try:
        signature = inspect.signature(make_adapter)
    except (TypeError, ValueError):  # of a compiled one
        return
    try:
        signature.bind(**values)
    except TypeError as error:
        known = ", ".join(signature.parameters) or "none"
        raise AdapterError(
            f"--option: expected what make_adapter takes ({known}), found {named(error)}"
        ) from None


def import_adapter_file(file: Path) -> ModuleType:
    """Import an adapter as the module ``segbench_adapter_NAME.NAME``.

    The package ``segbench_adapter_NAME`` is the folder that has the adapter, so that relative
    imports find modules next to it: ``from ._shared import ...`` in a single file,
    ``from .._shared import ...`` in a folder's module. Each adapter gets its own copy of them.
    """
    package = ModuleType(adapter_package(file))
    name = package.__name__.removeprefix("segbench_adapter_")
    place = file.parent.parent if file.name == "__init__.py" else file.parent
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
