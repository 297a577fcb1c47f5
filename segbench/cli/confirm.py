"""A question that must be answered with yes."""

from __future__ import annotations

import sys

import click

from segbench.cli.misuse import Fault, Refusal


class NotDone(Refusal):
    """The user said no: nothing is wrong with the request, and nothing was done."""

    exit_code = 1


def confirm(question: str, *, thing: str, not_done: str, flag: str) -> None:
    """Ask; go on only after yes.

    Raises
    ------
    NotDone
        If the answer is no, or nobody can answer; it says what was not done, and the flag that
        answers yes.
    """
    try:
        found = "yes" if click.confirm(question) else "no"
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        click.echo(err=True)
        found = "no answer, because there is no terminal"
    if found != "yes":
        cure = f"{not_done}, {flag} answers yes"
        raise NotDone(str(Fault(thing, f"yes to {question!r}", found, cure)))
