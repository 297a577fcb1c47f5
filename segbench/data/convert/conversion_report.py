"""What a conversion decided and guessed, case by case: ``conversion.json`` and ``conversion.txt``.

Both name the source files, so they are for you; the cases do not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from segbench.data.convert.conversion import Conversion
from segbench.files import write_text

JSON, TEXT = "conversion.json", "conversion.txt"
SCHEMA = 1


def write_report(
    folder: Path, layout: str, unpaired: Sequence[str], conversions: Sequence[Conversion]
) -> list[Path]:
    """Write the report; what earlier calls said of the cases of this folder stays in it.

    A case that was there already keeps what was said when it was made.
    """
    cases = {case["name"]: case for case in _earlier(folder / JSON)}
    for each in conversions:
        old = cases.get(each.name, {})
        if each.status != "unchanged" or old.get("status", "refused") == "refused":
            cases[each.name] = asdict(each)
    listed = [cases[name] for name in sorted(cases)]
    facts = {"schema": SCHEMA, "layout": layout, "unpaired": list(unpaired), "cases": listed}
    files = [folder / JSON, folder / TEXT]
    write_text(files[0], json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    write_text(files[1], _text(listed, unpaired))
    return files


def _earlier(file: Path) -> list[dict[str, Any]]:
    """Return the cases of an earlier report; none if it is not ours or is damaged."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        return [case for case in facts["cases"] if case["name"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def summary(conversions: Sequence[Conversion], unpaired: Sequence[str]) -> list[str]:
    """Return what a user should see at once: numbers, refusals, guesses and warnings."""
    counts = Counter(each.status for each in conversions)
    lines = [", ".join(f"{counts[status]} {status}" for status in counts)]
    lines += [f"refused: {each.name}: {each.reason}" for each in conversions if each.reason]
    lines += [f"left out: {text}" for text in unpaired]
    for kind in ("guessed", "warnings"):
        lines += _by_text(kind, conversions)
    return lines


def _by_text(kind: str, conversions: Iterable[Conversion]) -> list[str]:
    """Return each text once, with the cases that it is about."""
    cases: dict[str, list[str]] = {}
    for each in conversions:
        for text in getattr(each, kind):
            cases.setdefault(text, []).append(each.name)
    word = kind.removesuffix("s")
    return [
        f"{word}: {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {text}"
        for text, names in cases.items()
    ]


def _text(cases: Sequence[Mapping[str, Any]], unpaired: Sequence[str]) -> str:
    blocks = [_block(case) for case in cases]
    if unpaired:
        blocks.append("\n".join(["left out", *(f"  {text}" for text in unpaired)]))
    return "\n\n".join(blocks) + "\n"


def _block(case: Mapping[str, Any]) -> str:
    lines = [f"{case['name']}: {case['status']}", f"  source: {case['image']}"]
    if case["reason"]:
        lines.append(f"  reason: {case['reason']}")
    for key, value in case["decided"].items():
        lines.append(f"  {key.replace('_', ' ')}: {_value(value)}")
    for kind, word in (("guessed", "guessed"), ("warnings", "warning")):
        lines += [f"  {word}: {text}" for text in case[kind]]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        separator = "; " if value and isinstance(value[0], Mapping) else " x "
        return separator.join(map(_value, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
