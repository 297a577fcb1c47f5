"""Training of ``ours``: generated scenes, annotated scans, simulated clicks, the schedule."""

from __future__ import annotations

from collections.abc import Sequence

from segbench.errors import AdapterError


def main(arguments: Sequence[str], program: str = "train") -> None:
    """Train with the arguments of the command line."""
    try:
        from .command import main as train
    except ImportError as error:
        raise AdapterError(f"training needs {error.name}: pip install 'segbench[ours]'") from error
    train(arguments, program)
