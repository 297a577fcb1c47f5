"""What a conversion decided and guessed, case by case: ``conversion.json`` and ``conversion.txt``.

Both name the source files, so they are for you; the cases do not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from segbench.data.convert.conversion_record import Conversion, is_converted
from segbench.errors import CaseError
from segbench.files import write_text

JSON, TEXT = "conversion.json", "conversion.txt"
SCHEMA = 1
SINCE = "refused_since"  # of a case that is there: why a later call did not replace it
LOST = (
    "what was decided for it is not known, because the report of its conversion is missing; remove "
    "the file and convert it again"
)
SIZES = ("shape", "spacing")  # lists that are written with a cross between their numbers


def require_report(folder: Path) -> None:
    """Refuse a folder whose report is another's, which must not be replaced.

    Raises
    ------
    CaseError
        If its ``conversion.json`` is none that was written here.
    """
    file = folder / JSON
    if file.exists() and _cases(file) is None:
        raise CaseError(
            f"{file}: expected no file or the report of a conversion, found another file; choose "
            "another folder, or move the file away"
        )


def write_report(
    folder: Path, layout: str, unpaired: Sequence[str], conversions: Sequence[Conversion]
) -> list[Path]:
    """Write the report; what earlier calls said of the cases of this folder stays in it.

    What was decided for a case is said for as long as the case is there: when it is found
    unchanged, and when a later call refuses to replace it, whose reason is then said, too.
    """
    cases = {case["name"]: case for case in _cases(folder / JSON) or []}
    for each in conversions:
        cases[each.name] = _entry(each, cases.get(each.name), folder / f"{each.name}.npz")
    listed = [cases[name] for name in sorted(cases)]
    facts = {"schema": SCHEMA, "layout": layout, "unpaired": list(unpaired), "cases": listed}
    files = [folder / JSON, folder / TEXT]
    write_text(files[0], json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    write_text(files[1], _text(listed, unpaired))
    return files


def _entry(done: Conversion, old: Mapping[str, Any] | None, file: Path) -> dict[str, Any]:
    """Return what the report says of a case, given what it said before."""
    described = old is not None and old["status"] != "refused"
    if old is not None and described and done.status == "unchanged":
        return {key: value for key, value in old.items() if key != SINCE}
    if old is not None and described and done.status == "refused" and is_converted(file):
        return {**old, SINCE: done.reason}
    lost = (LOST,) if done.status == "unchanged" else ()
    return asdict(replace(done, warnings=(*done.warnings, *lost)))


def _cases(file: Path) -> list[dict[str, Any]] | None:
    """Return the cases of an earlier report; None if it is not ours, is damaged or missing."""
    try:
        cases = json.loads(file.read_text(encoding="utf-8"))["cases"]
        for case in cases:
            Conversion(**{key: value for key, value in case.items() if key != SINCE})
        return [{**asdict(Conversion("", "", "refused")), **case} for case in cases]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


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
        text = " x ".join(map(_value, value)) if key in SIZES else _value(value)
        lines.append(f"  {key.replace('_', ' ')}: {text}")
    for kind, word in (("guessed", "guessed"), ("warnings", "warning")):
        lines += [f"  {word}: {text}" for text in case[kind]]
    if SINCE in case:
        lines.append(f"  refused since, and left as it is: {case[SINCE]}")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        separator = "; " if value and isinstance(value[0], Mapping) else " and "
        return separator.join(map(_value, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
