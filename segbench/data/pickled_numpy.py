"""Build what numpy pickles: dtypes, arrays and scalars, from checked parts.

numpy only gets dtypes with names of a short list, and buffers of the right length.

Standard library and numpy only, syntax of Python 3.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

DTYPE_NAMES = re.compile(r"(b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6}|O8?)\Z")
ALLOWED = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    **{
        (f"{root}.multiarray", name): name
        for root in ("numpy.core", "numpy._core")  # numpy 1 and numpy 2
        for name in ("_reconstruct", "scalar")
    },
}


class UnsafePickle(ValueError):
    """The pickle holds something other than plain data."""


class AllowedName:
    """An allowed name of numpy; Python cannot call it."""

    def __init__(self, name: str) -> None:
        self.name = name


class Pending:
    """A dtype or an array whose state follows later in the pickle."""

    def __init__(self, dtype_name: str | None) -> None:
        self.dtype_name = dtype_name  # of a dtype; None: an array
        self.value: Any = None

    def set_state(self, state: tuple[Any, ...]) -> None:
        """Complete the value."""
        self.value = _array(state) if self.dtype_name is None else _dtype(self.dtype_name, state)


def call(function: AllowedName, arguments: tuple[Any, ...]) -> Any:
    """Return the result of an allowed function."""
    return FUNCTIONS[function.name](*arguments)


def _pending_dtype(name: str, *_: Any) -> Pending:
    if not DTYPE_NAMES.match(name):
        raise UnsafePickle(f"holds the dtype {name!r}, not of numbers, strings or objects")
    return Pending(name)


def _dtype(name: str, state: tuple[Any, ...]) -> np.dtype[Any]:
    order, *structure = state[1:5]
    if order not in ("<", ">", "|", "=") or structure != [None, None, None]:
        raise UnsafePickle("holds a structured dtype, not of numbers, strings or objects")
    return np.dtype(f"{order}{name}")


def _pending_array(kind: Any, *_: Any) -> Pending:
    if not isinstance(kind, AllowedName) or kind.name != "ndarray":
        raise UnsafePickle("rebuilds something that is no array")
    return Pending(None)


def _array(state: tuple[Any, ...]) -> Any:
    _, shape, pending_dtype, fortran_order, data = state
    dtype = _finished_dtype(pending_dtype)
    if dtype.hasobject:
        array = np.empty(len(data), object)
        for index, value in enumerate(data):  # one by one, so that a list stays a list
            array[index] = value
    else:
        array = np.frombuffer(bytes(data), dtype).copy()
    return array.reshape(shape, order="F" if fortran_order else "C")


def _scalar(pending_dtype: Any, data: bytes = b"") -> Any:
    dtype = _finished_dtype(pending_dtype)
    if dtype.hasobject or len(data) != dtype.itemsize:
        raise UnsafePickle(f"holds a scalar of {dtype} in {len(data)} bytes")
    return np.frombuffer(bytes(data), dtype)[0].item()


def _finished_dtype(pending: Any) -> np.dtype[Any]:
    if not isinstance(pending, Pending) or not isinstance(pending.value, np.dtype):
        raise UnsafePickle("holds an array without a dtype")
    return pending.value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "dtype": _pending_dtype,
    "_reconstruct": _pending_array,
    "scalar": _scalar,
}
