"""The command `segbench`: its group, its errors, its exit status."""

from __future__ import annotations

from typing import Any

import click

from segbench.errors import SegbenchError


class Group(click.Group):
    """Turns an expected error into one line on stderr and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (SegbenchError, OSError) as error:
            click.echo(f"segbench: {error}", err=True)
            ctx.exit(2)


@click.group(
    cls=Group,
    context_settings={
        "auto_envvar_prefix": "SEGBENCH",
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "max_content_width": 100,
    },
)
@click.version_option(package_name="segbench")
def cli() -> None:
    """Evaluate any model by the protocol of the interactive 3D segmentation challenge.

    Every option can be set by a variable: SEGBENCH_RUN_JOBS=2 is --jobs 2 of run. Exit status:
    0 done, 1 a case failed or was invalid (compare: a run is worse than allowed), 2 the request is
    wrong.
    """
