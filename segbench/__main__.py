"""``python -m segbench``."""

from segbench.cli import cli

cli()
