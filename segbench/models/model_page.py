"""What `segbench models show` prints of one adapter; the adapter is not imported."""

from __future__ import annotations

from pathlib import Path

from segbench.models.adapter_option import AdapterOption
from segbench.models.adapter_source import adapter_options, first_line
from segbench.models.environments import readiness
from segbench.models.weights import ModelEntry, state_of
from segbench.text_table import text_table

OPTION_HEADINGS = ("OPTION", "VALUES", "DEFAULT", "MEANING")


def model_page(entry: ModelEntry, folder: Path) -> str:
    """Return an adapter's description, environment, licences, weights and options as text."""
    facts = [
        ("model", entry.name),
        ("file", str(entry.file)),
        ("environment", readiness(entry.file, entry.needs)),
        ("code", entry.licence),
        *(
            ("weights", f"{each.name} ({each.licence}): {state_of(entry, each, folder)}")
            for each in entry.weights
        ),
    ]
    parts = [first_line(entry.file), text_table(facts), options_table(adapter_options(entry.file))]
    return "\n\n".join(part for part in parts if part)


def options_table(options: tuple[AdapterOption, ...] | None) -> str:
    """Return the table of an adapter's options."""
    if options is None:
        return "options: not stated in its source"
    if not options:
        return "options: none"
    rows = [(option.name, option.values, option.default_text, option.meaning) for option in options]
    return text_table([OPTION_HEADINGS, *rows])
