"""What an adapter must have and what its ``predict`` must return, checked at run time.

Standard library and numpy only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import EXPECTED_LABEL_MAP
from segbench.contract import Adapter
from segbench.core import AdapterInfo
from segbench.errors import AdapterError
from segbench.models.adapter_failure import NoLabelMapError, one_line

METHODS = {"set_image": ("image", "labels"), "predict": ("interactions",)}
OPTIONAL_METHODS: dict[str, tuple[str, ...]] = {"close": ()}
ADVICE = "docs/adapters.md describes the contract"


def checked_adapter(found: Any, what: str = "") -> Adapter:
    """Return an object as the adapter that it must be; ``what`` begins the message.

    Raises
    ------
    AdapterError
        It has no ``info``, or lacks a method, or one cannot take its arguments.
    """
    fault = _fault_of(found)
    if fault is not None:
        raise AdapterError(f"{what + ': ' if what else ''}{fault}; {ADVICE}")
    adapter: Adapter = found
    return adapter


def _fault_of(found: Any) -> str | None:
    if found is None or isinstance(found, type):
        what = "None" if found is None else f"the class {found.__name__}, not an instance"
        return f"expected make_adapter to return the adapter, found {what}"
    info = getattr(found, "info", None)
    if not isinstance(info, AdapterInfo):
        what = "no info" if info is None else _described(info)
        return f"expected info to be an AdapterInfo, found {what}"
    given = [name for name in OPTIONAL_METHODS if getattr(found, name, None) is not None]
    methods = {**METHODS, **{name: OPTIONAL_METHODS[name] for name in given}}
    faults = (_method_fault(found, name, arguments) for name, arguments in methods.items())
    return next(filter(None, faults), None)


def _method_fault(found: object, name: str, arguments: tuple[str, ...]) -> str | None:
    method = getattr(found, name, None)
    expected = f"expected a method {name}({', '.join(arguments)})"
    if not callable(method):
        return f"{expected}, found none in {type(found).__name__}"
    signature = _signature(method)
    if signature is None:
        return None
    try:
        signature.bind(*arguments)
    except TypeError:
        return f"{expected}, found {name}({', '.join(signature.parameters)})"
    return None


def _signature(method: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature of a method; None if it has none, as some compiled ones."""
    try:
        return inspect.signature(method)
    except (TypeError, ValueError):
        return None


def predicted_array(returned: Any) -> NDArray[Any]:
    """Return what ``predict`` returned as an array of numbers, whose shape is not checked.

    Raises
    ------
    NoLabelMapError
        It is none, as None, a list, an array of objects, or a tensor on a GPU.
    """
    if not hasattr(returned, "__array__"):
        raise NoLabelMapError(f"returned {_described(returned)}, {EXPECTED_LABEL_MAP}")
    try:
        array = np.asarray(returned)
    except Exception as error:  # of a tensor's own kind, with what to do about it
        what = f"returned {_described(returned)}, {EXPECTED_LABEL_MAP}"
        raise NoLabelMapError(one_line(f"{what}; {error}")) from None
    if array.dtype.kind not in "biufc":
        raise NoLabelMapError(f"returned an array of {array.dtype}, {EXPECTED_LABEL_MAP}")
    return array


def _described(found: Any) -> str:
    """Return what kind of object something is, in words."""
    if found is None:
        return "None"
    kind = type(found).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    if isinstance(found, (list, tuple)):
        kinds = dict.fromkeys(type(each).__name__ for each in found)
        return f"{article} {kind} of {', '.join(kinds)}" if found else f"an empty {kind}"
    return f"{article} {kind}"
