"""How each run was made: adapter, weights, protocol, number of cases, failures, policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from segbench.report.methods import Method
from segbench.report.tables.notes import common_notes, policy_name
from segbench.report.tables.table import Cell, Column, Row, Table, Value

HASH_LENGTH = 12


def facts_table(methods: Sequence[Method]) -> Table:
    """Return fact x method."""
    return Table(
        name="facts",
        title="The runs",
        columns=(Column("Fact"), *(Column(method.display_name, "p") for method in methods)),
        groups=(tuple(_fact_row(name, methods) for name in _FACTS),),
        notes=common_notes(methods),
    )


def _fact_row(name: str, methods: Sequence[Method]) -> Row:
    return (Cell(name), *(Cell(_FACTS[name](method)) for method in methods))


def _weights(method: Method) -> str | None:
    sha256 = method.run.adapter.weights_sha256
    return sha256[:HASH_LENGTH] if sha256 else None


def _protocol(method: Method) -> str:
    protocol = method.run.manifest.protocol
    return f"{protocol.name} v{protocol.version}"


def _options(method: Method) -> str | None:
    options = method.run.manifest.options
    return ", ".join(f"{key}={_hide_folder(value)}" for key, value in options.items()) or None


def _boxes(method: Method) -> str:
    return "withheld" if method.run.manifest.boxes == "none" else "as the cases have them"


def _hide_folder(text: str) -> str:
    # Reports are published, so they show no absolute path of the machine.
    return Path(text).name if Path(text).is_absolute() else text


def _failed_steps(method: Method) -> int:
    return sum(step.failure is not None for case in method.case_results for step in case.steps)


def _unknown_labels(method: Method) -> str:
    steps = [step for case in method.case_results for step in case.steps if step.unknown_labels]
    labels = sorted({label for step in steps for label in step.unknown_labels})
    return f"{len(steps)} (labels {', '.join(map(str, labels))})" if steps else "0"


def _over_time(method: Method) -> str:
    return f"{method.n_over_time} (above {method.time_limit:g} s per label)"


def _limit_applied(method: Method) -> str:
    limit = method.policy.time_limit
    return "none" if limit is None else f"{limit:g} s per label"


_FACTS: dict[str, Callable[[Method], Value]] = {
    "Adapter": lambda method: method.run.adapter.name,
    "Adapter version": lambda method: method.run.adapter.version,
    "Adapter note": lambda method: method.run.adapter.note or None,
    "Options": _options,
    "Boxes": _boxes,
    "Weights sha256": _weights,
    "Licence": lambda method: method.run.adapter.licence,
    "Prompts used": lambda method: ", ".join(method.run.adapter.prompts) or "none",
    "Sees the reference": lambda method: "no" if method.ranked else "yes: shown, never ranked",
    "Protocol": _protocol,
    "Protocol settings": lambda method: method.run.manifest.protocol.hash,
    "Data": lambda method: Path(method.run.manifest.data.path).name,
    "Cases of the data": lambda method: method.run.manifest.data.cases,
    "Cases done": lambda method: len(method.case_results),
    "Cases ok": lambda method: method.count("ok"),
    "Cases failed": lambda method: method.count("failed"),
    "Cases invalid": lambda method: method.count("invalid"),
    "Cases scored (n)": lambda method: len(method.scored_cases),
    "Failed steps": _failed_steps,
    "Steps with unknown labels": _unknown_labels,
    "Cases over time": _over_time,
    "Failure policy": lambda method: policy_name(method.policy),
    "Time limit applied": _limit_applied,
}
