"""Make the labels of a case from the values of a label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import MAX_LABEL, LabelMap
from segbench.data.convert.label_rule import IGNORED, LabelGroup, LabelRule, label_groups
from segbench.data.convert.label_voxels import require_labels
from segbench.data.convert.slabs import slabs
from segbench.data.convert.volume import LabelVolume
from segbench.errors import CaseError
from segbench.messages import are, counted

LARGEST_TABLE = 1 << 16  # values below are looked up, others searched


@dataclass(frozen=True)
class CaseLabel:
    """A label of a case."""

    label: int
    name: str
    values: tuple[int, ...]  # of the source
    n_voxels: int
    by_user: bool  # whether the name may be in the file of the case
    parent: str = ""  # name of the label that it is a component of

    def facts(self) -> dict[str, Any]:
        """Return what the file of the case says of it: no text from the header of a scan."""
        named = {"name": self.name} if self.by_user else {}
        return {"label": self.label, "values": list(self.values), **named}


@dataclass(frozen=True, eq=False)
class ChosenLabels:
    """A label map with the labels of a case."""

    label_map: LabelMap
    labels: tuple[CaseLabel, ...]
    warnings: tuple[str, ...] = ()
    rule: str = ""  # how voxels were made of what the file holds


def choose_labels(source: LabelVolume, rule: LabelRule, name: str) -> ChosenLabels:
    """Choose, merge, name and number labels; the map stays on its grid and in its order.

    Numbers are 1..N in the order of the rule, or of the values, over the labels that the case
    has; with ``keep_values`` each label has its first value as number.

    Raises
    ------
    CaseError
        If the map has other than whole numbers from 0 on, none of the labels, or a name is
        unknown.
    """
    voxels = source.volume.voxels
    counts = count_values(voxels, name)
    present = [value for value in sorted(counts) if value]
    groups = label_groups(rule, source.names, present, name)
    here = [group for group in groups if set(group.values) & counts.keys()]
    if not here:
        wanted = ", ".join(group.name for group in groups) or "any"
        found = ", ".join(map(str, present[:20])) or "only background"
        raise CaseError(f"{name}: expected a voxel of the labels {wanted}, found {found}")
    warnings = _absent(source, rule, groups, counts) + _ignored(rule, counts)
    numbered = _numbered(here, keep_values=rule.keep_values, name=name)
    label_map = _renumbered(voxels, counts, numbered)
    labels = (
        CaseLabel(label, group.name, group.values, _size(group, counts), group.by_user)
        for label, group in numbered
    )
    return ChosenLabels(label_map, tuple(labels), tuple(warnings), source.rule)


def count_values(voxels: NDArray[Any], name: str) -> dict[int, int]:
    """Return the number of voxels of every value.

    Raises
    ------
    CaseError
        If a value is not a whole number from 0 on; the first one is named.
    """
    counts: dict[int, int] = {}
    for at in slabs(voxels.shape):
        values, sizes = np.unique(voxels[at], return_counts=True)
        require_labels(values, name)
        for value, size in zip(values.tolist(), sizes.tolist(), strict=True):
            counts[int(value)] = counts.get(int(value), 0) + size
    return counts


def without_lost(chosen: ChosenLabels, *, renumber: bool, name: str) -> ChosenLabels:
    """Count again what is left of labels on another grid; drop those that are gone.

    Raises
    ------
    CaseError
        If none is left.
    """
    label_map = chosen.label_map
    sizes = count_values(label_map, name)
    left = [label for label in chosen.labels if label.label in sizes]
    lost = [label.name for label in chosen.labels if label.label not in sizes]
    if not left:
        raise CaseError(f"{name}: expected a label on the grid of the image, found none there")
    table = np.zeros(max(label.label for label in chosen.labels) + 1, label_map.dtype)
    kept = []
    for number, label in enumerate(left, 1):
        table[label.label] = number if renumber else label.label
        kept.append(replace(label, label=int(table[label.label]), n_voxels=sizes[label.label]))
    warnings = [f"no voxel of {', '.join(lost)} is left on the image's grid"] if lost else []
    return replace(
        chosen,
        label_map=table[label_map],
        labels=tuple(kept),
        warnings=(*chosen.warnings, *warnings),
    )


def _absent(
    source: LabelVolume, rule: LabelRule, groups: Sequence[LabelGroup], counts: Mapping[int, int]
) -> list[str]:
    """Return what has no voxel: segments that the file names, and labels that are asked for."""
    unseen = sorted(source.names.keys() - counts.keys() - {0}) if source.empty is None else []
    asked = {value for group in groups for value in group.values}
    warnings = [
        f"no voxel of {source.names[value]!r} ({value})"
        for value in unseen
        if value in asked or not rule.entries
    ]
    known = counts.keys() | source.names.keys()
    absent = [group.name for group in groups if not known & set(group.values)]
    return [*warnings, *([f"no voxel of {', '.join(absent)}"] if absent else [])]


def _ignored(rule: LabelRule, counts: dict[int, int]) -> list[str]:
    values = rule.names.get(IGNORED, ())
    found = sum(counts.get(value, 0) for value in values)
    if rule.entries or not found:
        return []
    what = f"{counted(found, 'voxel')} {are(found)} marked as {IGNORED!r} (not annotated)"
    return [f"{what}: background in the case"]


def _size(group: LabelGroup, counts: dict[int, int]) -> int:
    return sum(counts.get(value, 0) for value in group.values)


def _numbered(
    groups: Sequence[LabelGroup], *, keep_values: bool, name: str
) -> list[tuple[int, LabelGroup]]:
    if not keep_values:
        numbers = list(range(1, len(groups) + 1))
    else:
        numbers = [group.values[0] for group in groups]
        groups = sorted(groups, key=lambda group: group.values[0])
        numbers.sort()
    if numbers[-1] > MAX_LABEL:
        raise CaseError(f"{name}: expected labels up to {MAX_LABEL}, found {numbers[-1]}")
    return list(zip(numbers, groups, strict=True))


def _renumbered(
    voxels: NDArray[Any], counts: dict[int, int], numbered: Sequence[tuple[int, LabelGroup]]
) -> LabelMap:
    """Return the label map, in parts; the memory order stays."""
    label_of = {value: label for label, group in numbered for value in group.values}
    dtype = label_map_dtype(label for label, _ in numbered)
    values = np.array(sorted(counts))
    targets = np.array([label_of.get(int(value), 0) for value in values], dtype)
    direct = values[-1] < LARGEST_TABLE
    if direct:
        table = np.zeros(values[-1] + 1, dtype)
        table[values] = targets
    label_map: LabelMap = np.empty_like(voxels, dtype)
    for at in slabs(voxels.shape):
        slab = voxels[at] if voxels.dtype.kind in "iu" else voxels[at].astype(np.int64)
        label_map[at] = table[slab] if direct else targets[np.searchsorted(values, slab)]
    return label_map
