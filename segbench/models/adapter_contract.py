"""What an adapter must have and what its ``predict`` must return, checked at run time.

Standard library and numpy only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import EXPECTED_LABEL_MAP
from segbench.contract import Adapter
from segbench.core import AdapterInfo
from segbench.errors import AdapterError
from segbench.messages import one_line
from segbench.models.adapter_failure import NoLabelMapError

METHODS = {"set_image": ("image", "labels"), "predict": ("interactions",)}
OPTIONAL_METHODS: dict[str, tuple[str, ...]] = {"close": ()}
ADVICE = "docs/adapters.md describes the contract"
KINDS = {  # of the fields of AdapterInfo; the others are text
    "prompts": "a tuple of text",
    "weights_sha256": "text or None",
    "deterministic": "True or False",
    "sees_reference": "True or False",
}


def checked_adapter(found: Any, what: str = "", *, maker: str = "make_adapter") -> Adapter:
    """Return an object as the adapter that it must be.

    Parameters
    ----------
    found : object
        What ``maker`` returned.
    what : str
        Begins the message.
    maker : str
        The name of the function that made it.

    Raises
    ------
    AdapterError
        It has no ``info``, or a wrong one, or lacks a method, or one cannot take its arguments.
    """
    fault = _fault_of(found, maker)
    if fault is not None:
        raise AdapterError(f"{what + ': ' if what else ''}{fault}; {ADVICE}")
    adapter: Adapter = found
    return adapter


def plain_info(info: AdapterInfo) -> AdapterInfo:
    """Return an adapter's description without what a class of its own adds to it."""
    values = {each.name: getattr(info, each.name) for each in dataclasses.fields(AdapterInfo)}
    return AdapterInfo(**{**values, "prompts": tuple(info.prompts)})


def _fault_of(found: Any, maker: str) -> str | None:
    if found is None or isinstance(found, type):
        what = "None" if found is None else f"the class {found.__name__}, not an instance"
        return f"expected {maker} to return the adapter, found {what}"
    info = getattr(found, "info", None)
    if not isinstance(info, AdapterInfo):
        what = "no info" if info is None else _described(info)
        return f"expected info to be an AdapterInfo, found {what}"
    given = [name for name in OPTIONAL_METHODS if getattr(found, name, None) is not None]
    methods = {**METHODS, **{name: OPTIONAL_METHODS[name] for name in given}}
    faults = (_method_fault(found, name, arguments) for name, arguments in methods.items())
    return next(filter(None, (_info_fault(info), *faults)), None)


def _info_fault(info: AdapterInfo) -> str | None:
    """Return which field of an AdapterInfo has a value of another type; None if none has."""
    for field in dataclasses.fields(AdapterInfo):
        value = getattr(info, field.name)
        if not _has_kind(value, KINDS.get(field.name, "text")):
            kind = KINDS.get(field.name, "text")
            return f"info: expected {field.name} to be {kind}, found {one_line(repr(value))[:80]}"
    return None


def _has_kind(value: object, kind: str) -> bool:
    if kind == "a tuple of text":
        return isinstance(value, (tuple, list)) and all(isinstance(each, str) for each in value)
    if kind == "True or False":
        return isinstance(value, bool)
    return isinstance(value, str) or (kind == "text or None" and value is None)


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
