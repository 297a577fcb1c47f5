"""Read plain data from a pickle without executing it.

numpy stores object arrays (the challenge's boxes and clicks) as pickles. This module reads them
with its own stack machine, which knows plain containers, numbers, strings, and the arrays, dtypes
and scalars of numpy. It compares names with a short list and never imports them.

Standard library and numpy only, syntax of Python 3.9.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

from segbench.data.pickled_numpy import ALLOWED, AllowedName, Pending, UnsafePickle, call
from segbench.messages import named

MAX_BYTES = 1 << 24  # of a pickle; thousands of clicks, the largest real one, need far less
MAX_VALUES = 1_000_000  # with every shared value counted again: few bytes can share a list often
MAX_DEPTH = 20
PARSE_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def load_plain(data: bytes) -> Any:
    """Return the plain value of a pickle.

    Raises
    ------
    UnsafePickle
        If the pickle uses a name or an operation that plain data does not need, or is damaged or
        too large. No code of the pickle runs before.
    """
    if len(data) > MAX_BYTES:
        raise UnsafePickle(f"has {len(data)} bytes, more than {MAX_BYTES}")
    machine = PickleMachine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return Resolver().resolve(machine.stack.pop())
            machine.execute(opcode.name, argument)
    except UnsafePickle:
        raise
    except PARSE_ERRORS as error:
        raise UnsafePickle(f"is damaged or not of plain arrays: {named(error)}") from None
    raise UnsafePickle("has no end")


class PickleMachine:
    """The operations of a pickle that plain data needs."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def execute(self, opcode: str, argument: Any) -> None:
        """Execute one operation; refuse all others."""
        if opcode in CONSTANTS:
            self.stack.append(CONSTANTS[opcode])
        elif opcode in LITERALS:
            self.stack.append(argument)
        elif opcode in OPERATIONS:
            OPERATIONS[opcode](self, argument)
        elif opcode not in IGNORED:
            raise UnsafePickle(f"uses the operation {opcode}")

    def pop_mark(self) -> list[Any]:
        """Remove and return the values since the last mark."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def push_name(self, module: str, name: str) -> None:
        """Push an allowed name; refuse all others."""
        if (module, name) not in ALLOWED:
            raise UnsafePickle(f"names {module}.{name}; it was refused, nothing of it was run")
        self.stack.append(AllowedName(ALLOWED[module, name]))

    def reduce(self) -> None:
        """Replace an allowed name and its arguments by the result."""
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(call(function, arguments))

    def set_state(self) -> None:
        """Set the state of the pending value on top of the stack."""
        state, pending = self.stack.pop(), self.stack[-1]
        if not isinstance(pending, Pending):
            raise UnsafePickle("sets the state of something that has none")
        pending.set_state(state)

    def append(self, values: list[Any]) -> None:
        """Extend the list on top of the stack."""
        target = self.stack[-1]
        if type(target) is not list:
            raise UnsafePickle("appends to something that is no list")
        target.extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        """Add alternating keys and values to the dictionary on top of the stack."""
        target = self.stack[-1]
        if type(target) is not dict or not all(_is_key(key) for key in pairs[::2]):
            raise UnsafePickle("sets items of something that is no plain dictionary")
        for key, value in zip(*[iter(pairs)] * 2):
            target[key] = value

    def make_tuple(self, size: int) -> None:
        """Replace the topmost values by a tuple of them."""
        values = tuple(self.stack[-size:])
        del self.stack[-size:]
        self.stack.append(values)


def _is_key(key: Any) -> bool:
    return isinstance(key, (str, int, float, bytes, bool, type(None)))


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
    """Replaces pending arrays by finished ones; limits the number and the depth of values."""

    def __init__(self) -> None:
        self._remaining = MAX_VALUES

    def resolve(self, value: Any, depth: int = 0) -> Any:
        """Return a value with all pending arrays in it finished."""
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
            raise UnsafePickle(f"holds the name {value.name} as a value")
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
