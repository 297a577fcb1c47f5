"""One option of an adapter: its type, its default, and what a user's text means as a value.

Standard library only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SWITCH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class AdapterOption:
    """One option of an adapter."""

    name: str
    type: str = "str"  # the name of a Python type; "" with choices
    choices: tuple[Any, ...] = ()
    default: str | None = None  # in Python's notation; None if the option must be given
    meaning: str = ""

    @property
    def default_text(self) -> str:
        """The default as a user gives it; empty without one, for which None or "" stands."""
        if self.default is None:
            return "required"
        text = {"True": "yes", "False": "no", "None": ""}.get(self.default, self.default)
        return text.strip("'")

    @property
    def values(self) -> str:
        """The values that it takes, as a short text."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        return EXPECTED.get(self.type, "text")

    def parse(self, text: str) -> Any:
        """Return the value of a text.

        Raises
        ------
        ValueError
            The text is not a value of the option's type.
        """
        if self.choices:
            return {str(choice): choice for choice in self.choices}[text]
        return PARSERS.get(self.type, str)(text)


def parse_number(text: str) -> float:
    """Return a number that is finite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


PARSERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": parse_number,
    "bool": lambda text: SWITCH[text.lower()],
}
EXPECTED = {"int": "a whole number", "float": "a number", "bool": "yes or no"}
