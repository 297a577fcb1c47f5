"""Plain data out of a pickle, without ever executing one.

numpy keeps object arrays (the challenge's boxes and clicks) as pickles. This reads them with a
stack machine of its own that knows plain containers, numbers, strings and how numpy writes arrays,
dtypes and scalars, and nothing else: a name is only compared with a short list, never imported,
and numpy is only ever given dtypes spelt from that list's kinds and bytes of the right length.

Standard library and numpy only, syntax of Python 3.9; rank 0.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

MAX_BYTES = 1 << 24  # of a pickle; the largest real one, thousands of clicks, is far below
MAX_VALUES = 1_000_000  # after sharing is undone: a few bytes can share a list with itself often
MAX_DEPTH = 20
DTYPE_NAMES = re.compile(r"(b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6}|O8?)\Z")
PARSE_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

ALLOWED = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    **{
        (f"{root}.multiarray", name): name
        for root in ("numpy.core", "numpy._core")  # as numpy 1 and numpy 2 spell it
        for name in ("_reconstruct", "scalar")
    },
}


class UnsafePickle(ValueError):
    """The pickle holds something else than plain data."""


class AllowedName:
    """An admitted name; calling it is a matter of the machine, not of Python."""

    def __init__(self, name: str) -> None:
        self.name = name


class Pending:
    """A dtype or an array whose state is still to come."""

    def __init__(self, dtype_name: str | None) -> None:
        self.dtype_name = dtype_name  # of a dtype; None: an array
        self.value: Any = None


def load_plain(data: bytes) -> Any:
    """Return the plain value of a pickle.

    Raises
    ------
    Refused
        If it names or does anything beyond plain data, by name and before any of it happens; or
        if it is damaged, or larger than any honest file.
    """
    if len(data) > MAX_BYTES:
        raise UnsafePickle(f"is a pickle of {len(data)} bytes, expected at most {MAX_BYTES}")
    machine = PickleMachine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return Resolver().resolve(machine.stack.pop())
            machine.execute(opcode.name, argument)
    except UnsafePickle:
        raise
    except PARSE_ERRORS as error:
        raise UnsafePickle(f"is not a plain pickled array: {error}") from None
    raise UnsafePickle("is not a plain pickled array: it has no end")


class PickleMachine:
    """The few operations of a pickle that make plain data."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def execute(self, opcode: str, argument: Any) -> None:
        """Do one operation; refuse those that plain data does not need."""
        if opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode])
        elif opcode in LITERALS:
            self.stack.append(argument)
        elif opcode in OPERATIONS:
            OPERATIONS[opcode](self, argument)
        elif opcode not in IGNORED:
            raise UnsafePickle(f"uses the operation {opcode}, expected plain arrays and containers")

    def pop_mark(self) -> list[Any]:
        """Return and remove what was pushed since the last mark."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def push_name(self, module: str, name: str) -> None:
        """Push an admitted name; refuse any other."""
        if (module, name) not in ALLOWED:
            raise UnsafePickle(
                f"names {module}.{name}, expected plain numpy arrays and containers; "
                "refused, nothing of it was run"
            )
        self.stack.append(AllowedName(ALLOWED[module, name]))

    def reduce(self) -> None:
        """Apply an admitted name to its arguments."""
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(CALLS[function.name](*arguments))

    def set_state(self) -> None:
        """Give the pending value on top of the stack its state."""
        state, pending = self.stack.pop(), self.stack[-1]
        if not isinstance(pending, Pending):
            raise UnsafePickle("sets the state of something that has none")
        complete = _complete_array if pending.dtype_name is None else _complete_dtype
        complete(pending, state)

    def append(self, values: list[Any]) -> None:
        """Extend the list on top of the stack."""
        target = self.stack[-1]
        if type(target) is not list:
            raise UnsafePickle("appends to something that is no list")
        target.extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        """Update the dictionary on top of the stack with keys and values in turn."""
        target = self.stack[-1]
        if type(target) is not dict or not all(_is_key(key) for key in pairs[::2]):
            raise UnsafePickle("sets items of something that is no plain dictionary")
        for key, value in zip(*[iter(pairs)] * 2):
            target[key] = value

    def make_tuple(self, size: int) -> None:
        """Make a tuple of the topmost values."""
        values = tuple(self.stack[-size:])
        del self.stack[-size:]
        self.stack.append(values)


def _is_key(key: Any) -> bool:
    return isinstance(key, (str, int, float, bytes, bool, type(None)))


# ---- what numpy writes -----------------------------------------------------------------------


def _dtype(dtype_name: str, *_: Any) -> Pending:
    if not DTYPE_NAMES.match(dtype_name):
        raise UnsafePickle(f"holds a dtype {dtype_name!r}, expected numbers, strings or objects")
    return Pending(dtype_name)


def _complete_dtype(pending: Pending, state: tuple[Any, ...]) -> None:
    order, *structure = state[1:5]
    if order not in ("<", ">", "|", "=") or structure != [None, None, None]:
        raise UnsafePickle("holds a structured dtype, expected numbers, strings or objects")
    pending.value = np.dtype(f"{order}{pending.dtype_name}")


def _reconstruct(kind: Any, *_: Any) -> Pending:
    if not isinstance(kind, AllowedName) or kind.name != "ndarray":
        raise UnsafePickle("rebuilds something that is no array")
    return Pending(None)


def _complete_array(pending: Pending, state: tuple[Any, ...]) -> None:
    _, shape, dtype, in_fortran_order, data = state
    kind = _finished_dtype(dtype)
    order = "F" if in_fortran_order else "C"
    if kind.hasobject:
        array = np.empty(len(data), object)
        for index, value in enumerate(data):  # one by one: a list must stay a list
            array[index] = value
    else:
        array = np.frombuffer(bytes(data), kind).copy()
    pending.value = array.reshape(shape, order=order)  # type: ignore[call-overload]


def _scalar(dtype: Any, data: bytes = b"") -> Any:
    kind = _finished_dtype(dtype)
    if kind.hasobject or len(data) != kind.itemsize:
        raise UnsafePickle(f"holds a scalar of {kind} in {len(data)} bytes")
    return np.frombuffer(bytes(data), kind)[0].item()


def _finished_dtype(dtype: Any) -> np.dtype[Any]:
    if not isinstance(dtype, Pending) or not isinstance(dtype.value, np.dtype):
        raise UnsafePickle("holds an array without a dtype")
    return dtype.value


CALLS: dict[str, Callable[..., Any]] = {
    "dtype": _dtype,
    "_reconstruct": _reconstruct,
    "scalar": _scalar,
}


# ---- the operations --------------------------------------------------------------------------


def _memoize(machine: PickleMachine, index: int) -> None:
    machine.memo[index] = machine.stack[-1]


CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
IGNORED = {"PROTO", "FRAME"}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
OPERATIONS: dict[str, Callable[[PickleMachine, Any], Any]] = {
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.stack.pop(),
    "GLOBAL": lambda m, arg: m.push_name(*arg.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.push_name(*reversed([m.stack.pop(), m.stack.pop()])),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.set_state(),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "LIST": lambda m, _: m.stack.append(m.pop_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_mark())),
    "TUPLE1": lambda m, _: m.make_tuple(1),
    "TUPLE2": lambda m, _: m.make_tuple(2),
    "TUPLE3": lambda m, _: m.make_tuple(3),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop() for _ in range(2)][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    "PUT": _memoize,
    "BINPUT": _memoize,
    "LONG_BINPUT": _memoize,
    "MEMOIZE": lambda m, _: _memoize(m, len(m.memo)),
    "GET": lambda m, index: m.stack.append(m.memo[index]),
    "BINGET": lambda m, index: m.stack.append(m.memo[index]),
    "LONG_BINGET": lambda m, index: m.stack.append(m.memo[index]),
}


class Resolver:
    """Puts finished arrays in the place of pending ones, and undoes sharing within bounds."""

    def __init__(self) -> None:
        self._remaining = MAX_VALUES

    def resolve(self, value: Any, depth: int = 0) -> Any:
        """Return a value with everything in it finished."""
        self._remaining -= 1
        if self._remaining < 0 or depth > MAX_DEPTH:
            raise UnsafePickle(f"unfolds to more than {MAX_VALUES} values, {MAX_DEPTH} deep")
        if isinstance(value, (list, tuple)):
            return type(value)(self.resolve(item, depth + 1) for item in value)
        if isinstance(value, dict):
            return {key: self.resolve(item, depth + 1) for key, item in value.items()}
        if isinstance(value, Pending):
            return self._resolve_array(value, depth)
        if isinstance(value, AllowedName):
            raise UnsafePickle(f"holds the name {value.name}, expected plain values")
        return value

    def _resolve_array(self, pending: Pending, depth: int) -> Any:
        array = pending.value
        if not isinstance(array, np.ndarray):
            raise UnsafePickle("holds an array without content")
        if array.dtype != object:
            return array
        resolved = np.empty(array.shape, object)
        for index in np.ndindex(array.shape):
            resolved[index] = self.resolve(array[index], depth + 1)
        return resolved
