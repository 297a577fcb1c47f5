"""Cases against each other: label sets, order of axes, and duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from segbench.data.check.finding import AxisEvidence, CaseFacts, Finding
from segbench.data.check.geometry import SIZE_DIFFERS, looks_reversed, reversed_finding
from segbench.data.check.labels import numbers_text
from segbench.messages import counted

FEWEST_CASES = 3  # of a dataset, before its cases say what is usual
USUAL = 0.75  # of the cases of a dataset that have the same odd axis
SHOWN = 5  # names in a message


def dataset_findings(cases: Sequence[CaseFacts]) -> Iterator[Finding]:
    """Yield what is wrong with cases compared with the others."""
    groups: dict[str, list[CaseFacts]] = defaultdict(list)
    for case in cases:
        groups[case.group].append(case)
    for name, group in groups.items():
        yield from label_set_findings([case for case in group if case.labels])
        yield from axis_findings(name, group)
    yield from duplicate_findings(cases)


def label_set_findings(group: Sequence[CaseFacts]) -> Iterator[Finding]:
    """Yield the cases of a dataset with other labels than more than half of its cases.

    Without such a majority the labels are objects without a fixed meaning, such as cells.
    """
    if len(group) < FEWEST_CASES:
        return
    usual, count = Counter(case.labels for case in group).most_common(1)[0]
    if count <= len(group) / 2:
        return
    others = f"{count} of {counted(len(group), 'case')} of {group[0].group}"
    for case in group:
        for code, labels in (
            ("label-unexpected", sorted(set(case.labels) - set(usual))),
            ("label-missing", sorted(set(usual) - set(case.labels))),
        ):
            if labels:
                verb = "also" if code == "label-unexpected" else "no"
                what = (
                    f"gts: expected labels {numbers_text(list(usual))} as in {others}, "
                    f"found {verb} {numbers_text(labels)}"
                )
                yield Finding(code, case.name, what, {"labels": labels, "usual": list(usual)})


def axis_findings(name: str, group: Iterable[CaseFacts]) -> Iterator[Finding]:
    """Yield spacings in another order than the arrays, by what all cases of a dataset show."""
    known = [(case, case.axes) for case in group if case.axes is not None]
    if len(known) < FEWEST_CASES:
        return
    usual, count = Counter(axes.odd_axis for _, axes in known).most_common(1)[0]
    alike = [(case, axes) for case, axes in known if axes.odd_axis == usual]
    if count >= USUAL * len(known):
        for case, axes in known:
            if axes.odd_axis != usual and axes.size < 0 and not looks_reversed(axes):
                yield _unusual(case, axes, f"{count} of {counted(len(known), 'case')} of {name}")
    if sum(axes.size for _, axes in alike) / count <= -SIZE_DIFFERS:
        names = [case.name for case, axes in alike if not looks_reversed(axes)]
        if names:
            facts = f"on average of {counted(count, 'case')}, among them {_names(names)}"
            numbers = {"cases": names}
            yield reversed_finding(name, alike[0][0].modality, alike[0][1], facts, numbers)


def _unusual(case: CaseFacts, axes: AxisEvidence, others: str) -> Finding:
    facts = f"shape {case.shape}, spacing {case.spacing}, unlike {others}"
    numbers = {"shape": case.shape, "spacing": case.spacing}
    return reversed_finding(case.name, case.modality, axes, facts, numbers)


def duplicate_findings(cases: Sequence[CaseFacts]) -> Iterator[Finding]:
    """Yield cases with the image of an earlier one."""
    first: dict[str, list[CaseFacts]] = defaultdict(list)
    for case in cases:
        if not case.image_sha256:
            continue
        earlier = first[case.image_sha256]
        if earlier:
            same = [c for c in earlier if c.reference_sha256 == case.reference_sha256]
            code = "duplicate-case" if same else "duplicate-image"
            other = (same or earlier)[0].name
            what = f"imgs: expected an image of its own, found that of {other}"
            yield Finding(code, case.name, what, {"other": other})
        earlier.append(case)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
