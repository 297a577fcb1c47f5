"""What is wrong with a command line, said in one line of one form.

``THING: expected EXPECTATION, found FINDING; WHAT TO DO``, where the thing is an option, an
argument, a variable or a command.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import IO, Any

import click
from click.core import ParameterSource


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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question with the most similar known word, empty if none is similar."""
    nearest = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else ""


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


def _path(ctx: click.Context) -> str:
    words = words_of(ctx)
    return words if words == "segbench" else f"segbench {words}"


def _see_help(ctx: click.Context) -> str:
    return f"{ctx.command_path} --help explains it"


def _example(ctx: click.Context) -> str:
    examples = getattr(ctx.command, "examples", ())
    return f"for example: {examples[0]}" if examples else _see_help(ctx)
