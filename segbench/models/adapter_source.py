"""What the source of an adapter tells without importing it: its name, its licence, its options.

Names, types and defaults of options are those of the signature of ``make_adapter``. The meaning of
each is the paragraph under its name in the section Parameters of the docstring. Types are ``str``,
``int``, ``float``, ``bool`` and ``Literal``, also with ``| None``; a value of any other type is
passed as text.

Standard library only, syntax of Python 3.9: the worker uses this.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from segbench.errors import AdapterError
from segbench.messages import and_hint, named
from segbench.models.adapter_option import AdapterOption

LICENCE_POSITION = 2  # in the arguments of AdapterInfo
PEP_723 = re.compile(r"^# /// script\s*$", re.MULTILINE)


def adapter_name(file: Path) -> str:
    """Return the name of an adapter: of its file, or of the folder of its ``__init__.py``."""
    return (file.parent if file.name == "__init__.py" else file).stem


def adapter_package(file: Path) -> str:
    """Return the name of the package that an adapter is imported into."""
    return "segbench_adapter_" + re.sub(r"\W", "_", adapter_name(file))


def has_own_environment(file: Path) -> bool:
    """Whether the adapter file declares its dependencies in a PEP 723 header."""
    return PEP_723.search(read_source(file)) is not None


def read_source(file: Path) -> str:
    """Return the text of a Python file, in the encoding that it has as Python reads it.

    Raises
    ------
    AdapterError
        If it cannot be read, or has bytes that are no text in this encoding.
    """
    try:
        with tokenize.open(file) as stream:
            return stream.read()
    except (SyntaxError, UnicodeDecodeError) as error:  # SyntaxError: of its first two lines
        raise AdapterError(
            f"{file}: expected Python source in UTF-8, or with a line that names its encoding, "
            f"found {named(error)}; save it as UTF-8"
        ) from None
    except OSError as error:
        raise AdapterError(
            f"{file}: expected a file that can be read, found {error.strerror!r}"
        ) from None


def parse_source(file: Path) -> ast.Module:
    """Return a file's syntax tree; an empty one if it is not Python: importing it reports that."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # ValueError: null bytes
        return ast.Module([], [])


def first_line(file: Path) -> str:
    """Return the first line of a file's docstring."""
    docstring = ast.get_docstring(parse_source(file)) or ""
    return docstring.partition("\n")[0].replace("``", "")


def licence_in_source(file: Path) -> str:
    """Return the licence in the file's AdapterInfo, if it is a string there, or a constant."""
    tree = parse_source(file)
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "AdapterInfo":
            given = [*node.args[LICENCE_POSITION:][:1]]
            given += [keyword.value for keyword in node.keywords if keyword.arg == "licence"]
            found = [constants.get(getattr(each, "id", ""), each) for each in given]
            if found and isinstance(found[0], ast.Constant):
                return str(found[0].value)
    return "not stated"


def parse_options(file: Path, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of the options given, as their types in the source of an adapter.

    Raises
    ------
    AdapterError
        An option is unknown or missing, or its value has another type.
    """
    refuse_unknown_options(file, given)
    options, name = adapter_options(file), adapter_name(file)
    if options is None:
        return dict(given)
    known = {option.name: option for option in options}
    for key, option in known.items():
        if option.default is None and key not in given:
            meaning = f" ({option.meaning.rstrip('.')})" if option.meaning else ""
            raise AdapterError(f"{name}: --option: expected {key}=VALUE{meaning}, found none")
    return {key: _parse(name, known[key], text) for key, text in given.items()}


def refuse_unknown_options(file: Path, given: Iterable[str]) -> None:
    """Raise an AdapterError with the right name if an adapter does not have one of the options."""
    options = adapter_options(file)
    if options is None:
        return
    known = [option.name for option in options]
    for key in given:
        if key not in known:
            expected = f"one of {', '.join(known)}" if known else "none"
            raise AdapterError(
                f"{adapter_name(file)}: --option: expected {expected}, found {key!r}"
                f"{and_hint(key, known) if known else '; it has no options'}"
            )


def _parse(adapter: str, option: AdapterOption, text: str) -> Any:
    try:
        return option.parse(text)
    except (ValueError, KeyError):
        expected = f"one of {option.values}" if option.choices else option.values
        raise AdapterError(
            f"{adapter}: --option {option.name}: expected {expected}, found {text!r}"
        ) from None


def adapter_options(file: Path) -> tuple[AdapterOption, ...] | None:
    """Return the options of an adapter in the order of its signature.

    None if the source does not tell: ``make_adapter`` is neither a function nor a class in it, or
    takes any option and passes it to something else than such a class.
    """
    function = _maker(parse_source(file).body)
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


def _maker(body: Sequence[ast.stmt]) -> ast.FunctionDef | None:
    """Return the function whose arguments are the options.

    It is ``make_adapter``, or the ``__init__`` of a class that is ``make_adapter`` or gets all of
    its options: ``def make_adapter(**options): return Mine(**options)``.
    """
    defined = {
        node.name: node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            for target in node.targets:
                if isinstance(target, ast.Name) and node.value.id in defined:
                    defined[target.id] = defined[node.value.id]
    found = defined.get("make_adapter")
    if isinstance(found, ast.FunctionDef):
        found = defined.get(_gets_all_options(found), found)
    return _constructor(found) if isinstance(found, ast.ClassDef) else found


def _gets_all_options(function: ast.FunctionDef) -> str:
    """Return the name of what a function calls with nothing but its ``**options``, or ""."""
    statement = function.body[-1]
    call = statement.value if isinstance(statement, ast.Return) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        return ""
    passed = [ast.unparse(keyword) for keyword in call.keywords]
    options = function.args.kwarg
    if options is None or function.args.args or function.args.kwonlyargs:
        return ""
    return call.func.id if passed == [f"**{options.arg}"] else ""


def _constructor(definition: ast.ClassDef) -> ast.FunctionDef | None:
    """Return ``__init__`` without ``self``; None if the class inherits or generates it."""
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            node.args.args = node.args.args[1:]
            return node
    if definition.bases or definition.decorator_list:
        return None
    empty = ast.parse("def __init__(): ...").body[0]
    return empty if isinstance(empty, ast.FunctionDef) else None


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
