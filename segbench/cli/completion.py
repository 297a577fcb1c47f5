"""What a shell offers after Tab where click does not know it: adapters by name and by path."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem


def complete_adapter(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the adapters that begin so; the shell adds files and folders.

    bash adds them only if nothing else begins so, and empties its list when it is told to: so
    adapters in the current folder are listed here, too, and the files of the shell come first.
    """
    from segbench.models.registry import adapter_names

    files = CompletionItem(incomplete, type="file")
    known = [*adapter_names(), *_adapters_in(Path())]
    return [files, *(CompletionItem(name) for name in known if name.startswith(incomplete))]


def _adapters_in(folder: Path) -> list[str]:
    folders = (file.parent for file in folder.glob("*/__init__.py"))
    return sorted(path.name for path in (*folder.glob("*.py"), *folders))
