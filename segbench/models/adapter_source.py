"""What the source of an adapter tells without importing it: its name, its licence, its options.

Names, types and defaults of options are those of the signature of ``make_adapter``. The meaning of
each is the paragraph under its name in the section Parameters of the docstring. Types are ``str``,
``int``, ``float``, ``bool`` and ``Literal``, also with ``| None``; a value of any other type is
passed as text.

Standard library only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.errors import AdapterError

SWITCH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def adapter_name(file: Path) -> str:
    """Return the name of an adapter: of its file, or of the folder of its ``__init__.py``."""
    return (file.parent if file.name == "__init__.py" else file).stem


def parse_source(file: Path) -> ast.Module:
    """Return a file's syntax tree; an empty one if it is not Python: importing it reports that."""
    try:
        return ast.parse(file.read_bytes())
    except SyntaxError:
        return ast.Module([], [])


def first_line(file: Path) -> str:
    """Return the first line of a file's docstring."""
    docstring = ast.get_docstring(parse_source(file)) or ""
    return docstring.partition("\n")[0].replace("``", "")


def licence_in_source(file: Path) -> str:
    """Return the licence in the file's AdapterInfo, if it is a string literal there."""
    for node in ast.walk(parse_source(file)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "AdapterInfo":
            for keyword in node.keywords:
                if keyword.arg == "licence" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return "not stated"


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


def parse_options(file: Path, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the options given, as their types in the source of an adapter.

    Raises
    ------
    AdapterError
        An option is unknown or missing, or its value has another type.
    """
    options, name = adapter_options(file), adapter_name(file)
    if options is None:
        return dict(given)
    known = {option.name: option for option in options}
    for key in given:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
            raise AdapterError(
                f"{name}: no option {key!r}{hint} Known: {', '.join(known) or 'none'}"
            )
    for key, option in known.items():
        if option.default is None and key not in given:
            raise AdapterError(f"{name}: expected --option {key}=VALUE. {option.meaning}".rstrip())
    return {key: _parse(name, known[key], text) for key, text in given.items()}


def _parse(adapter: str, option: AdapterOption, text: str) -> Any:
    try:
        return option.parse(text)
    except (ValueError, KeyError):
        expected = f"one of {option.values}" if option.choices else option.values
        raise AdapterError(f"{adapter}: {option.name} {text!r}: expected {expected}") from None


def adapter_options(file: Path) -> tuple[AdapterOption, ...] | None:
    """Return the options of an adapter in the order of its signature.

    None if the source does not tell: it has no function ``make_adapter``, or one that takes any
    option.
    """
    function = _make_adapter(file)
    if function is None or function.args.kwarg is not None:
        return None
    meanings = _parameters(ast.get_docstring(function) or "")
    return tuple(
        AdapterOption(
            argument.arg,
            *_type_and_choices(argument.annotation),
            default=None if default is None else ast.unparse(default),
            meaning=meanings.get(argument.arg, ""),
        )
        for argument, default in _arguments(function.args)
    )


def _make_adapter(file: Path) -> ast.FunctionDef | None:
    functions = (node for node in parse_source(file).body if isinstance(node, ast.FunctionDef))
    return next((node for node in functions if node.name == "make_adapter"), None)


def _arguments(arguments: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    required = [None] * (len(arguments.args) - len(arguments.defaults))
    yield from zip(arguments.args, [*required, *arguments.defaults])
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults)


def _type_and_choices(annotation: ast.expr | None) -> tuple[str, tuple[Any, ...]]:
    if annotation is None:
        return "str", ()
    text = ast.unparse(annotation).strip("'\"")
    optional = re.fullmatch(r"(?:typing\.)?Optional\[(.*)\]", text)
    text = optional[1] if optional else re.sub(r" \| None$|^None \| ", "", text)
    literal = re.fullmatch(r"(?:typing\.)?Literal\[(.*)\]", text)
    return ("", ast.literal_eval(f"({literal[1]},)")) if literal else (text, ())


def _parameters(docstring: str) -> dict[str, str]:
    """Return the paragraphs of a docstring's section Parameters, by parameter."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=\n\n?\w[^\n]*\n-+\n|\Z)", docstring, re.M | re.S)
    if section is None:
        return {}
    entries = re.findall(r"^(\w+)\b[^\n]*((?:\n[ \t]+[^\n]*)*)", section[1], re.M)
    return {name: " ".join(text.replace("``", "").split()) for name, text in entries}
