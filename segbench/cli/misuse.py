"""What is wrong with a command line, said in one line of one form.

``THING: expected EXPECTATION, found FINDING; WHAT TO DO``, where the thing is an option, an
argument, a variable or a command.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import IO, Any

import click
from click.core import ParameterSource

from segbench.errors import SegbenchError
from segbench.keywords import OF_THE_MODEL
from segbench.messages import did_you_mean

WORDS = "segbench.words"  # where a context keeps the words of its command


class Refusal(click.ClickException):
    """A wrong request: printed on stderr behind the name of the program, exit status 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message."""
        click.echo(f"segbench: {self.message}", file=file, err=True)


class Misuse(click.BadParameter):
    """A value that an option or argument does not accept; click adds which one it is."""

    def __init__(self, expected: str, found: str, cure: str = "") -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected, self.found, self.cure = expected, found, cure


class ExtraArguments(click.UsageError):
    """Words that no argument of a command takes."""

    def __init__(self, words: Sequence[str], ctx: click.Context) -> None:
        super().__init__(f"found {words[0]!r} too", ctx)
        self.words = words


@dataclass(frozen=True)
class Fault:
    """The four parts of a message."""

    thing: str
    expected: str
    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.thing}: expected {self.expected}, found {self.found}; {self.cure}"


def words_of(ctx: click.Context) -> str:
    """Return the words that name a command: ``models fetch``; of the root, its name."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name or "")
        ctx = ctx.parent
    return " ".join(names) or "segbench"


@singledispatch
def describe(error: click.UsageError) -> Fault | str:
    """Return what a usage error says."""
    return error.format_message()


@describe.register
def _wrong_value(error: click.BadParameter) -> Fault | str:
    ctx, param = error.ctx, error.param
    if ctx is None or param is None:
        return error.format_message()
    if not isinstance(error, Misuse):
        return f"{_name(param, ctx)}: {error.message}; {_see_help(ctx)}"
    return Fault(_name(param, ctx), error.expected, error.found, error.cure or _see_help(ctx))


@describe.register
def _missing(error: click.MissingParameter) -> Fault | str:
    ctx, param = error.ctx, error.param
    if ctx is None or param is None:
        return error.format_message()
    name = f"{_name(param, ctx)} " if isinstance(param, click.Option) else ""
    wanted = f"{name}{param.make_metavar(ctx)}".removesuffix("...")
    return Fault(words_of(ctx), wanted, "none", _example(ctx))


@describe.register
def _extra(error: ExtraArguments) -> Fault | str:
    ctx = error.ctx or click.get_current_context()
    arguments = [p.make_metavar(ctx) for p in ctx.command.params if isinstance(p, click.Argument)]
    expected = f"only {' '.join(arguments)}" if arguments else "options only"
    return Fault(words_of(ctx), expected, f"the word {error.words[0]!r} too", _see_help(ctx))


@describe.register
def _unknown_option(error: click.NoSuchOption) -> Fault | str:
    name, ctx = error.option_name, error.ctx
    if ctx is None:
        return error.format_message()
    cure = (
        _place_of(name, ctx)
        or _as_option_of_the_model(name, ctx)
        or did_you_mean(name, option_names(ctx.command))
        or f"{ctx.command_path} --help lists them"
    )
    return Fault(name, f"an option of {_path(ctx)}", "none of that name", cure)


@describe.register
def _unknown_command(error: click.NoSuchCommand) -> Fault | str:
    ctx = error.ctx
    if ctx is None or not isinstance(ctx.command, click.Group):
        return error.format_message()
    cure = did_you_mean(error.command_name, ctx.command.commands)
    expected = f"a command of {_path(ctx)}"
    cure = cure or f"{ctx.command_path} --help lists them"
    return Fault(error.command_name, expected, "none of that name", cure)


@describe.register
def _value_of_flag(error: click.BadOptionUsage) -> Fault | str:
    name, ctx = error.option_name, error.ctx
    if ctx is None:
        return error.format_message()
    if name in option_names(ctx.command, flags=True):
        return Fault(name, "no value, because it is a switch", "one", f"write {name} alone")
    return Fault(name, "a value", "none", _see_help(ctx))


def option_names(command: click.Command, *, flags: bool = False) -> list[str]:
    """Return the names of a command's options, or of its flags only."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    chosen = [option for option in options if option.is_flag or not flags]
    names = [name for option in chosen for name in (*option.opts, *option.secondary_opts)]
    return names if flags else [*names, "--help"]


def _name(param: click.Parameter, ctx: click.Context) -> str:
    """Return where a value came from: an option, an argument or a variable."""
    if not isinstance(param, click.Option):
        return param.human_readable_name.removesuffix("...")
    if ctx.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT:
        return f"{ctx.auto_envvar_prefix}_{param.name.upper()}"
    return max(param.opts, key=len)


def _place_of(name: str, ctx: click.Context) -> str:
    """Return where an option belongs that another command on the line has, else nothing."""
    if ctx.parent is not None and name in option_names(ctx.parent.command):
        return f"put it before the word {ctx.info_name}, it is an option of {_path(ctx.parent)}"
    inner = ctx.command.commands if isinstance(ctx.command, click.Group) else {}
    if any(name in option_names(command) for command in inner.values()):
        return f"put it after the command: {_path(ctx)} COMMAND {name}"
    return ""


def _as_option_of_the_model(name: str, ctx: click.Context) -> str:
    """Return how an option of the model is given, if it is one, or sounds like one."""
    if "--option" not in option_names(ctx.command):
        return ""
    words = ctx.meta.get(WORDS, ())
    key, model = name.lstrip("-").replace("-", "_"), _model_in(words, ctx)
    options = _options_of(model)
    if options is not None and key not in options:
        if key not in OF_THE_MODEL:
            return ""
        key = OF_THE_MODEL[key]
        if key not in options:
            return f"segbench models show {shlex.quote(model)} lists the options of the model"
    if options is None and key not in OF_THE_MODEL:
        return ""
    return f"write --option {key}={shlex.quote(_value_of(name, words))}, it is one of the model"


def _model_in(words: Sequence[str], ctx: click.Context) -> str:
    """Return the model on a command line that cannot be parsed, or nothing."""
    if "--model" in option_names(ctx.command):
        return _value_of("--model", words, os.environ.get("SEGBENCH_RUN_MODEL", ""))
    return words[0] if words and not words[0].startswith("-") else ""


def _options_of(model: str) -> list[str] | None:
    """Return the names of a model's options, None if its source does not tell."""
    from segbench.models.adapter_source import adapter_options
    from segbench.models.registry import find_adapter

    try:
        options = adapter_options(find_adapter(model)) if model else None
    except SegbenchError:
        return None
    return None if options is None else [option.name for option in options]


def _value_of(name: str, words: Sequence[str], default: str = "VALUE") -> str:
    """Return the value that follows an option among words."""
    for word, following in zip(words, (*words[1:], "-"), strict=True):
        option, equals, value = word.partition("=")
        if option == name:
            value = value if equals else following
            return value if equals or not value.startswith("-") else default
    return default


def _path(ctx: click.Context) -> str:
    words = words_of(ctx)
    return words if words == "segbench" else f"segbench {words}"


def _see_help(ctx: click.Context) -> str:
    return f"{ctx.command_path} --help explains it"


def _example(ctx: click.Context) -> str:
    examples = getattr(ctx.command, "examples", ())
    return f"for example: {examples[0]}" if examples else _see_help(ctx)
