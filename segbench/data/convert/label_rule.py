"""Which values of a label map become which labels: what a user asks for, and how it is written.

``--labels "liver,tumor=2+3"`` has one entry per label, separated by commas, in the order of their
numbers. An entry is a name or a value of the source, or ``NAME=A+B`` for a new name and the names
or values that are merged into it. ``all`` stands for every value: ``cells=all`` is one label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from segbench.data.convert.label_names import LabelNames
from segbench.errors import CaseError

ALL = "all"
IGNORED = "ignore"  # what nnU-Net calls voxels that nobody annotated


@dataclass(frozen=True)
class LabelEntry:
    """A label that is asked for."""

    name: str
    sources: tuple[str, ...]  # names or values


@dataclass(frozen=True)
class LabelRule:
    """Which labels, from which values, with which numbers."""

    entries: tuple[LabelEntry, ...] = ()  # none: every value is a label
    names: LabelNames = field(default_factory=dict)  # stated by the user or the data set
    keep_values: bool = False  # else 1..N in each case

    @property
    def sources(self) -> set[str] | None:
        """The names and values that are asked for; None: all that there are."""
        asked = set[str]().union(*self.merged)
        return None if not asked or ALL in asked else asked

    @property
    def merged(self) -> tuple[set[str], ...]:
        """The names and values of each label that is asked for."""
        return tuple(
            {text for source in entry.sources for text in self._texts(source)}
            for entry in self.entries
        )

    def _texts(self, source: str) -> list[str]:
        return [str(value) for value in self.names.get(source, ())] or [source]


@dataclass(frozen=True)
class LabelGroup:
    """A label of the case and the values that it is made of."""

    name: str
    values: tuple[int, ...]
    by_user: bool  # whether the name is not from the header of a file


def parse_labels(text: str) -> tuple[LabelEntry, ...]:
    """Return the entries of a text such as ``liver,tumor=2+3``.

    Raises
    ------
    CaseError
        If an entry has no name or no source, or two have one name.
    """
    entries = tuple(_entry(part.strip()) for part in text.split(","))
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise CaseError(f"labels {text!r}: expected each name once, found {name!r} twice")
    return () if entries == (LabelEntry(ALL, (ALL,)),) else entries


def _entry(part: str) -> LabelEntry:
    name, equals, right = (word.strip() for word in part.partition("="))
    sources = tuple(source.strip() for source in right.split("+")) if equals else (name,)
    if name == ALL and equals:
        raise CaseError(
            f"labels: expected another name than {ALL!r}, which stands for every value, found "
            f"{part!r}"
        )
    if not name or not all(sources):
        raise CaseError(f"labels: expected NAME, VALUE or NAME=A+B, found {part!r}")
    return LabelEntry(name, sources)


def label_groups(
    rule: LabelRule, file_names: Mapping[int, str], present: Sequence[int], name: str
) -> list[LabelGroup]:
    """Return the labels that are asked for, in the order of their numbers.

    Parameters
    ----------
    rule : LabelRule
    file_names : mapping of int to str
        From the file of the labels.
    present : sequence of int
        Values in the file, ascending, without 0.
    name : str
        Begins the message of an error.

    Raises
    ------
    CaseError
        If a name is unknown, or a value is asked for twice.
    """
    if not rule.entries:
        return _every_value(rule.names, file_names, present)
    known = _values_by_name(file_names) | dict(rule.names)
    groups = [_group(entry, known, present, name) for entry in rule.entries]
    taken = [value for group in groups for value in group.values]
    for value in taken:
        if taken.count(value) > 1:
            raise CaseError(
                f"{name}: labels: expected each value in one label, found {value} twice"
            )
    return groups


def _values_by_name(file_names: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    """Return the values of each name; several segments of a file may have one name."""
    values: dict[str, tuple[int, ...]] = {}
    for value, text in sorted(file_names.items()):
        values[text] = (*values.get(text, ()), value)
    return values


def _every_value(
    names: LabelNames, file_names: Mapping[int, str], present: Sequence[int]
) -> list[LabelGroup]:
    stated = _stated(names)
    groups = []
    for value in present:
        text = stated.get(value, file_names.get(value, str(value)))
        if value not in names.get(IGNORED, ()):
            by_user = value in stated or value not in file_names
            groups.append(LabelGroup(text, (value,), by_user))
    return groups


def _stated(names: LabelNames) -> dict[int, str]:
    """Return the name of each value.

    Names that share values are regions, such as nnU-Net's whole tumor and tumor core: they name
    none of these, but where one has a single value.
    """
    owners = Counter(value for values in names.values() for value in values)
    stated = {
        value: text
        for text, values in names.items()
        for value in values
        if all(owners[each] == 1 for each in values)
    }
    return stated | {values[0]: text for text, values in names.items() if len(values) == 1}


def _group(entry: LabelEntry, known: LabelNames, present: Sequence[int], name: str) -> LabelGroup:
    values: list[int] = []
    for source in entry.sources:
        values += _values(source, known, present, name)
    if 0 in values:
        raise CaseError(f"{name}: labels: {entry.name}: expected labels, found 0, the background")
    return LabelGroup(entry.name, tuple(values), by_user=True)


def _values(source: str, known: LabelNames, present: Sequence[int], name: str) -> tuple[int, ...]:
    if source in known:
        return known[source]
    if source == ALL:
        return tuple(present)
    if source.isdecimal():
        return (int(source),)
    listed = ", ".join(known) if known else "none, so give values"
    raise CaseError(
        f"{name}: labels: expected a value or a known name ({listed}), found {source!r}"
    )
