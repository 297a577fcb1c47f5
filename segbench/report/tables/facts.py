"""What the runs are: how each was made, what failed, what a time limit would change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from segbench.core import CaseResult, Policy
from segbench.report.methods import Method, protocol_of
from segbench.report.tables.means import MEASURES, line_of, numbers
from segbench.report.tables.notes import coverage, differences, standing_notes
from segbench.report.tables.table import Cell, Column, Row, Table, Value

SHORT_HASH = 12
MOST_FAILURES = 20  # per method; the case files hold them all
LONGEST_REASON = 160


# ---- facts -----------------------------------------------------------------------------------


def facts_table(methods: Sequence[Method]) -> Table:
    """Return fact x method: adapter, weights, protocol, cases, failures, policy."""
    rows = [(name, [fact(method) for method in methods]) for name, fact in _FACTS.items()]
    return Table(
        name="facts",
        title="The runs",
        columns=(Column("Fact"), *(Column(method.label, "p") for method in methods)),
        groups=(tuple(_fact_row(name, values) for name, values in rows),),
        notes=standing_notes(methods),
    )


def _fact_row(name: str, values: Sequence[Value]) -> Row:
    return (Cell(name), *map(Cell, values))


def _weights(method: Method) -> str | None:
    sha256 = method.run.adapter.weights_sha256
    return sha256[:SHORT_HASH] if sha256 else None


def _protocol(method: Method) -> str:
    facts = protocol_of(method.run)
    return f"{facts['name']} v{facts['version']}"


def _options(method: Method) -> str | None:
    options = method.run.manifest.get("options")
    if not isinstance(options, Mapping):
        return None
    return ", ".join(f"{key}={_short(value)}" for key, value in options.items()) or None


def _boxes(method: Method) -> str:
    given = method.run.manifest.get("boxes", "given")
    return "withheld" if given == "none" else "as the cases have them"


def _short(value: object) -> str:
    # Where a folder lies is nobody's business but its owner's; reports are published.
    text = str(value)
    return Path(text).name if Path(text).is_absolute() else text


def _data(method: Method) -> str | None:
    path = method.data.get("path")
    return Path(path).name if path else None


def _failed_steps(method: Method) -> int:
    return sum(step.failure is not None for case in method.run.case_results for step in case.steps)


def _unknown_labels(method: Method) -> str:
    steps = [step for case in method.run.case_results for step in case.steps if step.unknown_labels]
    labels = sorted({label for step in steps for label in step.unknown_labels})
    return f"{len(steps)} (labels {', '.join(map(str, labels))})" if steps else "0"


def _over_time(method: Method) -> str:
    return f"{method.over_time} (above {method.limit:g} s per label)"


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
    "Protocol settings": lambda method: str(protocol_of(method.run)["hash"]),
    "Data": _data,
    "Cases of the data": lambda method: method.planned,
    "Cases done": lambda method: len(method.run.case_results),
    "Cases ok": lambda method: method.count("ok"),
    "Cases failed": lambda method: method.count("failed"),
    "Cases invalid": lambda method: method.count("invalid"),
    "Cases scored (n)": lambda method: len(method.scored),
    "Failed steps": _failed_steps,
    "Steps with unknown labels": _unknown_labels,
    "Cases over time": _over_time,
    "Failure policy": lambda method: method.policy.failures,
    "Time limit applied": _limit_applied,
}


# ---- time limit ------------------------------------------------------------------------------


def time_limit_table(methods: Sequence[Method]) -> Table | None:
    """Return the scores without and with the time limit, None when no case exceeds it."""
    if not any(method.over_time for method in methods):
        return None
    limit = methods[0].limit
    return Table(
        name="time-limit",
        title="Scores without and with the time limit",
        columns=(
            *(Column("Method"), Column("Scores")),
            *numbers("n", *MEASURES, "Cases above the limit"),
        ),
        groups=tuple((_timed_row(m, None), _timed_row(m, limit)) for m in methods),
        notes=(
            f"Means over n cases. Raw: as scored. Limited: a case whose total time is above "
            f"{limit:g} s per label scores 0 throughout.",
            *coverage(methods),
            *differences(methods),
        ),
    )


def _timed_row(method: Method, limit: float | None) -> Row:
    under = method.under(Policy(method.policy.failures, limit))
    keys = (method.label, "raw" if limit is None else "limited")
    return (*line_of(under, keys, under.scored).row(), Cell(method.over_time))


# ---- failures --------------------------------------------------------------------------------


def failures_table(methods: Sequence[Method]) -> Table | None:
    """Return every failed step and invalid case with its reason, None when there is none."""
    groups = tuple(group for method in methods if (group := _failures(method)))
    if not groups:
        return None
    titles = (Column("Method"), Column("Case", "p"), Column("Step"), Column("Reason", "p"))
    return Table("failures", "Failed steps and invalid cases", titles, groups, keys=2)


def _failures(method: Method) -> tuple[Row, ...]:
    rows = [row for case in method.run.case_results for row in _failures_of(method.label, case)]
    if len(rows) > MOST_FAILURES:
        more = f"+{len(rows) - MOST_FAILURES} more, in the run's case files"
        rows[MOST_FAILURES:] = [_failure_row(method.label, more, None, "")]
    return tuple(rows)


def _failures_of(label: str, case: CaseResult) -> list[Row]:
    if case.status == "invalid":
        return [_failure_row(label, case.case, "invalid", case.reason or "")]
    return [
        _failure_row(label, case.case, step.step, step.failure)
        for step in case.steps
        if step.failure is not None
    ]


def _failure_row(label: str, case: str, step: Value, reason: str) -> Row:
    text = " ".join(reason.split())
    short = text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "…"
    return tuple(map(Cell, (label, case, step, short)))
