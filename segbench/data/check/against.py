"""Cases against those of another folder: the same image, or the same patient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from segbench.data.check.finding import CaseFacts, Finding


def patient_of(case: CaseFacts, pattern: str | None) -> str:
    """Return the patient of a case, empty if it is not stated.

    Parameters
    ----------
    case : CaseFacts
    pattern : str or None
        A regular expression searched in the case's name: its first group is the patient, or the
        whole match. Without one, the patient of index.csv counts. Patients of two datasets are two
        patients even if their names are equal, such as 001.
    """
    patient = case.patient
    if pattern is not None:
        match = re.search(pattern, case.name)
        patient = (match.group(min(match.re.groups, 1)) or "") if match else ""
    return f"{case.dataset}/{patient}" if patient else ""


def overlap_findings(
    cases: Sequence[CaseFacts],
    others: Sequence[CaseFacts],
    folders: tuple[str, str],
    pattern: str | None,
) -> Iterator[Finding]:
    """Yield the cases whose image or patient is also in the second of two folders."""
    folder = folders[1]
    images = {other.image_sha256: other.name for other in others if other.image_sha256}
    patients: dict[str, list[str]] = {}
    for other in others:
        patients.setdefault(patient_of(other, pattern), []).append(other.name)
    for case in cases:
        same = images.get(case.image_sha256)
        if same is not None:
            what = f"imgs: expected an image that is not in {folder}, found that of {same}"
            yield Finding("case-in-both", case.name, what, {"other": same})
        patient = patient_of(case, pattern)
        scans = patients.get(patient, []) if patient else []
        if scans:
            n_more = f" and {len(scans) - 1} more" if len(scans) > 1 else ""
            what = (
                f"patient: expected one that is not in {folder}, "
                f"found {patient}, also of {scans[0]}{n_more}"
            )
            yield Finding("patient-in-both", case.name, what, {"patient": patient, "others": scans})
    for name, there in zip(folders, (cases, others), strict=True):
        yield from _unknown(there, name, pattern)


def _unknown(cases: Sequence[CaseFacts], folder: str, pattern: str | None) -> Iterator[Finding]:
    alone = [case.name for case in cases if not patient_of(case, pattern)]
    if alone:
        source = f"that {pattern!r} finds" if pattern else "in index.csv"
        found = f"none of {len(alone)} of {len(cases)}"
        what = f"patient: expected one of each case {source}, found {found}"
        yield Finding("patient-unknown", folder, what, {"cases": alone})
