"""Options, arguments and commands as all of segbench has them.

A single-valued option is given at most once. Every option and argument has a heading in the help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from segbench.cli.misuse import WORDS, ExtraArguments, Misuse, option_names
from segbench.cli.option_types import WholeNumber

WHAT, WHERE, HOW, ADVANCED = HEADINGS = ("What", "Where", "How", "Advanced")
FIRST_COLUMN = 24  # of a help page; longer options have a line of their own
LONGEST_DEFAULT = 46  # of what is kept on one line
SPACE, HYPHEN = "\N{NO-BREAK SPACE}", "\N{NON-BREAKING HYPHEN}"  # while lines are filled


class Option(click.Option):
    """An option that is given once, unless it is repeatable; a flag and its opposite are one."""

    def __init__(self, *args: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser keep every value, not the last one only."""
        if not self.is_flag:
            parser.add_option(self, self.opts, self.name, action="append", nargs=self.nargs)
            return
        for names, value in ((self.opts, True), (self.secondary_opts, False)):
            if names:
                parser.add_option(self, names, self.name, action="append_const", const=value)

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """Return the only value, or all of a repeatable option."""
        given = opts.get(self.name)
        if not isinstance(given, list):
            return super().consume_value(ctx, opts)
        if not ctx.resilient_parsing:
            self._refuse_option_as_value(ctx, given)
            self._refuse_second_value(given)
        read: dict[str, Any] = {**opts, self.name: given if self.multiple else given[-1]}
        return super().consume_value(ctx, read)

    def _refuse_option_as_value(self, ctx: click.Context, given: Sequence[Any]) -> None:
        names = option_names(ctx.command)
        for value in given:
            if value in names:
                example = f"{self.opts[0]} {self.make_metavar(ctx)}"
                raise Misuse("a value", f"the option {value}", f"write {example}")

    def _refuse_second_value(self, given: Sequence[Any]) -> None:
        if len(given) == 1 or self.multiple:
            return
        found = f"it {len(given)} times"
        if self.secondary_opts:
            found += f": {', '.join((self.opts if on else self.secondary_opts)[0] for on in given)}"
        elif not self.is_flag:
            found += f": {', '.join(map(repr, given))}"
        raise Misuse("this option once", found, "keep one of them")

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Return the value as its type; only a variable can give a flag a wrong one."""
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter as error:
            if not self.is_flag:
                raise
            raise Misuse("1 or 0 (or true or false)", repr(value)) from error

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return default and range for the help, in plain words."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        if isinstance(self.type, WholeNumber) and self.type.range:
            extra["range"] = self.type.range
        return extra


class Argument(click.Argument):
    """An argument with an explanation."""

    def __init__(self, *args: Any, heading: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.heading = heading


class Command(click.Command):
    """A command whose help has examples, and its options under headings."""

    allow_extra_args = True  # refused below, in the form of all messages

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; none may be left."""
        ctx.meta[WORDS] = tuple(args)
        with errors_of(ctx):
            rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            raise ExtraArguments(rest, ctx)
        return rest

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, and examples."""
        super().format_help_text(ctx, formatter)
        write_examples(self.examples, formatter)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write nothing: arguments are under the headings of the options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write all options and arguments."""
        write_parameters(self.get_params(ctx), ctx, formatter)


class Group(click.Group):
    """A group whose help has examples, its commands in order of use, and no summary cut short."""

    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = tuple(examples)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words before the command."""
        with errors_of(ctx):
            return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order in which they were added."""
        return list(self.commands)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the group does, and examples."""
        super().format_help_text(ctx, formatter)
        write_examples(self.examples, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options of the group."""
        rows = [(name, summary(command)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        write_parameters(self.get_params(ctx), ctx, formatter)


@contextmanager
def errors_of(ctx: click.Context) -> Iterator[None]:
    """Let every usage error know its command; click's parser leaves it out of some."""
    try:
        yield
    except click.UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help, whole."""
    return command.get_short_help_str(limit=1000)


def write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write command lines as they are: a wrapped one could not be copied."""
    if examples:
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def write_parameters(
    params: Sequence[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write options and arguments under their headings, all explanations in one column."""
    sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*HEADINGS, "Help")}
    for param in params:
        record = param.get_help_record(ctx)
        if record is not None:
            sections[getattr(param, "heading", "Help")].append(record)
    names = [name for records in sections.values() for name, _ in records]
    width = max(len(name) for name in names if len(name) <= FIRST_COLUMN)
    for heading, records in sections.items():
        if records:
            rows = [(f"{name:<{width}}", _whole_words(text)) for name, text in records]
            with formatter.section(heading):
                formatter.write_dl(rows, width)
    lines = (text.replace(SPACE, " ").replace(HYPHEN, "-") for text in formatter.buffer)
    formatter.buffer = list(lines)


def _whole_words(text: str) -> str:
    """Keep names with hyphens, and a short ``[default: ...]``, on one line."""
    explanation, bracket, default = text.rpartition("  [")
    if bracket and len(default) <= LONGEST_DEFAULT:
        text = explanation + bracket + default.replace(" ", SPACE)
    return text.replace("-", HYPHEN)


def option(*names: str, heading: str, **attributes: Any) -> Callable[[Any], Any]:
    """Add an option to a command, as `click.option` does."""
    return click.option(*names, cls=Option, heading=heading, **attributes)


def argument(name: str, *, heading: str, **attributes: Any) -> Callable[[Any], Any]:
    """Add an argument to a command, as `click.argument` does."""
    return click.argument(name, cls=Argument, heading=heading, **attributes)


def command(**attributes: Any) -> Callable[[Any], Command]:
    """Make a command of a function, as `click.command` does."""
    return click.command(cls=Command, **attributes)
