"""How each run was made: adapter, weights, protocol, number of cases, failures, policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from segbench.report.comparison import display_names
from segbench.report.frames import Results
from segbench.report.tables.notes import common_notes
from segbench.report.tables.table import Cell, Column, Table, Value

HASH_LENGTH = 12


def facts_table(results: Results) -> Table:
    """Return fact x method, from the frame ``methods``."""
    methods = results.methods.to_dict("records")
    names = display_names(results)
    rows = (
        (Cell(fact), *(Cell(text(method)) for method in methods)) for fact, text in _FACTS.items()
    )
    return Table(
        name="facts",
        title="The runs",
        columns=(Column("Fact"), *(Column(names[method["method"]], "p") for method in methods)),
        groups=(tuple(rows),),
        notes=common_notes(results),
    )


Method = dict[Any, Any]  # a row of Results.methods


def _weights(method: Method) -> str | None:
    sha256 = method["weights_sha256"]
    return None if pd.isna(sha256) else sha256[:HASH_LENGTH]


def _unknown_labels(method: Method) -> str:
    n_steps, labels = method["steps_with_unknown_labels"], method["unknown_labels"]
    return f"{n_steps} (labels {labels})" if n_steps else "0"


def _over_time(method: Method) -> str:
    return f"{method['n_over_time']} (above {method['seconds_per_label']:g} s per label)"


def _limit_applied(method: Method) -> str:
    limit = method["time_limit"]
    return "none" if pd.isna(limit) else f"{limit:g} s per label"


_FACTS: dict[str, Callable[[Method], Value]] = {
    "Adapter": lambda method: method["adapter"],
    "Adapter version": lambda method: method["version"],
    "Adapter note": lambda method: method["note"] or None,
    "Options": lambda method: method["options"] or None,
    "Boxes": lambda method: "withheld" if method["boxes"] == "none" else "as the cases have them",
    "Weights sha256": _weights,
    "Licence": lambda method: method["licence"],
    "Prompts used": lambda method: method["prompts"] or "none",
    "Sees the reference": lambda method: "no" if method["ranked"] else "yes: shown, never ranked",
    "Protocol": lambda method: f"{method['protocol']} v{method['protocol_version']}",
    "Protocol settings": lambda method: method["protocol_hash"],
    "Data": lambda method: method["data"],
    "Cases of the data": lambda method: method["n_cases"],
    "Cases done": lambda method: method["n_done"],
    "Cases ok": lambda method: method["n_ok"],
    "Cases failed": lambda method: method["n_failed"],
    "Cases invalid": lambda method: method["n_invalid"],
    "Cases scored (n)": lambda method: method["n_scored"],
    "Failed steps": lambda method: method["failed_steps"],
    "Steps with unknown labels": _unknown_labels,
    "Cases over time": _over_time,
    "Failure policy": lambda method: method["failures"].replace("_", "-"),
    "Time limit applied": _limit_applied,
}
