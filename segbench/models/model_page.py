"""What `segbench models` prints of all adapters, and of one; no adapter is imported."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from segbench.models.adapter_option import AdapterOption
from segbench.models.adapter_source import adapter_options, first_line
from segbench.models.environments import readiness
from segbench.models.resolve import how_to_get
from segbench.models.weights import ModelEntry, Weights, model_entries, state_of
from segbench.text_table import WIDTH, text_table, wrapped_table

HEADINGS = ("MODEL", "ENVIRONMENT", "WEIGHTS")
OPTION_HEADINGS = ("OPTION", "VALUES", "DEFAULT")


def models_list(folder: Path, *, width: int = WIDTH) -> str:
    """Return all adapters, each with what it lacks and a line about it."""
    rows, descriptions = [HEADINGS], [""]
    for entry in model_entries():
        states = [f"{each.name}: {state_of(entry, each, folder)}" for each in entry.weights]
        environment = readiness(entry.file, entry.needs)
        rows.append((entry.name, environment, states[0] if states else "none"))
        rows += [("", "", state) for state in states[1:]]
        descriptions += ["" for _ in states[1:]] + [first_line(entry.file)]
    return _with_descriptions(rows, descriptions, width)


def _with_descriptions(
    rows: Sequence[Sequence[str]], descriptions: Sequence[str], width: int
) -> str:
    """Return a table with the description of each row below it."""
    lines = []
    for line, description in zip(text_table(rows).splitlines(), descriptions, strict=True):
        lines.append(line)
        if description:
            lines.append(textwrap.indent(textwrap.fill(description, width - 4), "    "))
    return "\n".join(lines)


def model_page(entry: ModelEntry, folder: Path, *, width: int = WIDTH) -> str:
    """Return an adapter's description, environment, licences, weights and options as text."""
    facts = [
        ("model", entry.name),
        ("file", str(entry.file)),
        ("environment", readiness(entry.file, entry.needs)),
        ("code", entry.licence),
        *(("weights", weights_text(entry, each, folder)) for each in entry.weights),
    ]
    parts = [
        "\n".join(textwrap.wrap(first_line(entry.file), width)),
        wrapped_table(facts, width=width),
        options_table(adapter_options(entry.file), width=width),
    ]
    return "\n\n".join(part for part in parts if part)


def weights_text(entry: ModelEntry, weights: Weights, folder: Path) -> str:
    """Return what is known of a set of weights, and what to do if it is missing."""
    state = state_of(entry, weights, folder)
    origin = "comes with segbench" if weights.bundled else f"from {weights.source}"
    parts = [f"{weights.name} ({weights.licence}): {state}", origin]
    if weights.page and weights.page != weights.source:
        parts.append(weights.page)
    parts += [weights.note] if weights.note else []
    if not state.startswith("in place"):
        parts.append(how_to_get(entry, weights, entry.folder(weights, folder)))
    return "; ".join(parts)


def options_table(options: tuple[AdapterOption, ...] | None, *, width: int = WIDTH) -> str:
    """Return the table of an adapter's options."""
    if options is None:
        return "options: not stated in its source"
    if not options:
        return "options: none"
    rows = [(option.name, option.values, option.default_text) for option in options]
    meanings = [option.meaning for option in options]
    return _with_descriptions([OPTION_HEADINGS, *rows], ["", *meanings], width)
