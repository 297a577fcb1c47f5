"""What a shell offers after Tab where click does not know it: adapters by name and by path."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_adapter(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the adapters whose names begin so; the shell adds files and folders."""
    from segbench.models.registry import adapter_names

    names = [name for name in adapter_names() if name.startswith(incomplete)]
    files = CompletionItem(incomplete, type="file")
    return [files, *map(CompletionItem, names)]  # bash empties its list at "file": so it is first
