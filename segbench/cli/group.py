"""The command `segbench`: its group, its errors, its exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from segbench.cli.misuse import Fault, Refusal, describe
from segbench.cli.params import Group
from segbench.errors import SegbenchError


@contextmanager
def refusals() -> Iterator[None]:
    """Turn every expected error into a `Refusal`."""
    try:
        yield
    except NoArgsIsHelpError:  # no error in itself: it shows the help
        raise
    except click.UsageError as error:
        raise Refusal(str(describe(error))) from error
    except OSError as error:
        raise Refusal(_system_message(error)) from error
    except SegbenchError as error:
        raise Refusal(str(error)) from error


def _system_message(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    cure = "check this path, its permissions, and the space on its disk"
    return str(Fault(str(error.filename), "a path that can be used", repr(error.strerror), cure))


class Root(Group):
    """The group of all commands: the one place where errors become messages."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse the words before the command."""
        with refusals():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Parse the words of the command and run it."""
        with refusals():
            return super().invoke(ctx)


@click.group(
    cls=Root,
    name="segbench",
    context_settings={
        "auto_envvar_prefix": "SEGBENCH",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
    examples=[
        "segbench phantoms val/",
        "segbench run --model boxfill --data val/",
        "segbench models check mine.py",
        "segbench run --model mine.py --data val/",
        "segbench report runs --out reports/mine",
    ],
)
@click.version_option(package_name="segbench")
def cli() -> None:
    """Evaluate any model by the protocol of the interactive 3D segmentation challenge.

    Every option can be set by a variable: SEGBENCH_RUN_JOBS=2 is --jobs 2 of run. Exit status:
    0 done, 1 a case failed or was invalid (compare: a run is worse than allowed), 2 the request is
    wrong.

    Documentation: README.md and the folder docs of the repository, docs/run.md for the commands.
    """
