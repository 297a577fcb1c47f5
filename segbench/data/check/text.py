"""The findings as text for a terminal, and as JSON for programs."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from segbench.data.check.check_data import CheckedData
from segbench.data.check.codes import CODES, LEVELS
from segbench.data.check.finding import Finding
from segbench.text_table import wrapped

WIDTH = 80
SHOWN = 4  # findings of one code; the other formats have all
SCHEMA = 1


def as_text(checked: CheckedData) -> str:
    """Return the findings grouped by code, and a summary, in 80 columns."""
    groups = (list(group) for _, group in groupby(checked.findings, lambda found: found.code))
    blocks = ["\n".join(_group_lines(group)) for group in groups]
    return "\n\n".join([*blocks, wrapped(summary(checked), width=WIDTH)]) + "\n"


def _group_lines(group: Sequence[Finding]) -> Iterator[str]:
    code = CODES[group[0].code]
    yield wrapped([f"{code.level} {group[0].code} ({len(group)}): {code.meaning}"], width=WIDTH)
    for found in group[:SHOWN]:
        yield textwrap.indent(_wrapped(f"{found.case}: {found.what}", WIDTH - 2), "  ")
    if len(group) > SHOWN:
        yield f"  and {len(group) - SHOWN} more"
    yield textwrap.indent(wrapped([code.cure], bullet="-> ", width=WIDTH - 2), "  ")


def _wrapped(text: str, width: int) -> str:
    """Return a text in lines with a hanging indent; a word longer than a line is broken."""
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)


def summary(checked: CheckedData) -> list[str]:
    """Return two sentences: how many findings, and what a run is expected to need."""
    cases, levels = checked.cases, [(level, checked.count(level)) for level in LEVELS]
    found = ", ".join(f"{n} {level}{'' if n == 1 else 's'}" for level, n in levels)
    without = sum(not case.n_boxes for case in cases)
    largest = max(cases, key=lambda case: case.memory_mb)
    seconds = sum(case.run_seconds for case in cases)
    return [
        f"{found} in {len(cases)} case{'' if len(cases) == 1 else 's'}; {without} without boxes.",
        f"A run needs about {largest.memory_mb:.0f} MB per job for arrays ({largest.name}) and "
        f"{math.ceil(seconds)} s of processor time for all cases, without its model.",
    ]


def as_json(checked: CheckedData, generator: str) -> str:
    """Return all findings and the facts of all cases as JSON; it names what made it."""
    counts = {level: checked.count(level) for level in LEVELS}
    cases = [
        {key: value for key, value in asdict(case).items() if key != "axes"}
        | {"run_seconds": round(case.run_seconds, 3)}
        for case in checked.cases
    ]
    content = {
        "schema": SCHEMA,
        "generator": f"{generator} check",
        "counts": counts,
        "findings": [_finding_json(found) for found in checked.findings],
        "cases": cases,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, default=_plain) + "\n"


def _finding_json(found: Finding) -> dict[str, object]:
    return {
        "code": found.code,
        "level": found.level,
        "case": found.case,
        "message": found.message,
        "numbers": dict(found.numbers),
    }


def _plain(value: object) -> object:
    """Return a number of numpy as one of Python."""
    item = getattr(value, "item", None)
    return item() if item is not None else str(value)
