"""The numbers of labels in exported files: those of the source, where a case was converted.

A conversion numbers labels 1 to N. Back in the viewer, a label is to have the value that it has
next to it in the source's own label map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import MAX_LABEL, Case, LabelMap

Numbers = Mapping[int, int]  # of a written file, by the label of the case


def written_numbers(case: Case, unknown: Iterable[int] = ()) -> dict[int, int]:
    """Return the number that each label has in written files.

    A label has the value of the source that it was made of, the first one if several were merged.
    Where this cannot be told, or two labels would have one number, as components of a value, all
    labels keep the number that they have in the case.

    Parameters
    ----------
    case : Case
    unknown : iterable of int
        Labels that a model has made up: they keep their number unless it is taken.
    """
    recorded = _recorded(case)
    found = [recorded.get(label, 0) for label in case.labels]
    usable = len(set(found)) == len(found) and all(1 <= value <= MAX_LABEL for value in found)
    numbers = dict(zip(case.labels, found if usable else case.labels, strict=True))
    taken = {*numbers.values(), *unknown}
    for label in sorted(set(unknown) - numbers.keys()):
        free = label not in numbers.values()
        numbers[label] = label if free else _free(taken)
        taken.add(numbers[label])
    return numbers


def _free(taken: Iterable[int]) -> int:
    """Return the smallest number that no label has."""
    there = set(taken)
    return next(number for number in range(1, len(there) + 2) if number not in there)


def _recorded(case: Case) -> dict[int, int]:
    """Return the first value of each label that its conversion recorded."""
    entries = case.grid.facts.get("labels") if case.grid else None
    found: dict[int, int] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and isinstance(values := entry.get("values"), list):
            label, value = entry.get("label"), values[0] if values else None
            if isinstance(label, int) and isinstance(value, int):
                found[label] = value
    return found


def renumbered(label_map: LabelMap, numbers: Numbers) -> NDArray[Any]:
    """Return a label map with the numbers of written files."""
    table = np.arange(max(int(label_map.max(initial=0)), *numbers, 0) + 1)
    for label, number in numbers.items():
        table[label] = number
    kind = label_map_dtype(table.tolist())
    return table.astype(kind)[label_map]
