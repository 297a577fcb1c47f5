"""Check a folder of cases: every case, then all of them together."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segbench.data.case_folder import find_cases, npz_files
from segbench.data.check.against import overlap_findings
from segbench.data.check.case import check_case, fingerprint
from segbench.data.check.codes import CODES, Level
from segbench.data.check.dataset import dataset_findings
from segbench.data.check.finding import CaseFacts, CheckedCase, Finding
from segbench.data.dataset import CaseFile, metadata_in_name
from segbench.data.pool import each
from segbench.errors import CaseError
from segbench.keywords import suggest_keywords

OnCase = Callable[[str, int, int], None]  # name, how many are done, of how many


@dataclass(frozen=True)
class CheckedData:
    """What a check has found, the worst first, and the facts of all cases."""

    findings: tuple[Finding, ...]
    cases: tuple[CaseFacts, ...]

    def count(self, level: Level) -> int:
        """Return how many findings have a level."""
        return sum(finding.level == level for finding in self.findings)


@suggest_keywords
def check(
    data: str | Path,
    *,
    references: str | Path | None = None,
    against: str | Path | None = None,
    patient_pattern: str | None = None,
    ignore: Collection[str] = (),
    jobs: int = 1,
) -> tuple[Finding, ...]:
    """Find mistakes in data, as ``segbench check`` does with the options of these names.

    Parameters
    ----------
    data : path
        A folder of cases, or one file.
    references : path, optional
        A folder with the references, if the cases have none.
    against : path, optional
        A folder, such as that of the training cases, that must not share cases or patients.
    patient_pattern : str, optional
        Regular expression that finds the patient in the name of a case.
    ignore : collection of str
        Codes that are left out.
    jobs : int
        How many cases are checked at the same time, each in a process.

    Returns
    -------
    tuple of Finding
        The worst first. Each has ``code``, ``level``, ``case``, ``message`` and ``numbers``.

    Raises
    ------
    CaseError
        If there is no case, or an argument is wrong. Broken cases are findings.
    """
    found = check_data(
        Path(data),
        references=None if references is None else Path(references),
        against=None if against is None else Path(against),
        patient_pattern=patient_pattern,
        ignore=ignore,
        jobs=jobs,
    )
    return found.findings


def silent(name: str, done: int, total: int) -> None:
    """Show no progress."""


def check_data(  # noqa: PLR0913
    data: Path,
    *,
    references: Path | None = None,
    against: Path | None = None,
    patient_pattern: str | None = None,
    ignore: Collection[str] = (),
    jobs: int = 1,
    on_case: OnCase = silent,
) -> CheckedData:
    """Check all cases of a folder, and tell ``on_case`` of each that is done."""
    _refuse_wrong_arguments(patient_pattern, ignore, jobs)
    sources, found = _sources(data, references)
    others, unused = _sources(against, None) if against else ([], [])
    total = len(sources) + len(others)
    cases: list[CaseFacts] = []
    for source, checked in each(check_case, sources, jobs):
        checked = checked or _died(source)
        cases.append(checked.facts)
        found += checked.findings
        on_case(source.name, len(cases), total)
    cases.sort(key=lambda case: case.name)
    found += dataset_findings(cases)
    if against is not None:
        count = partial(_count, on_case, len(cases), total)
        compared, refused = _fingerprints(others, jobs, count)
        found += unused + refused
        found += overlap_findings(cases, compared, (data.name, against.name), patient_pattern)
    kept = sorted((f for f in found if f.code not in ignore), key=lambda f: f.order)
    return CheckedData(tuple(kept), tuple(cases))


def _refuse_wrong_arguments(pattern: str | None, ignore: Collection[str], jobs: int) -> None:
    if jobs < 1:
        raise CaseError(f"jobs: expected a number of at least 1, found {jobs}")
    unknown = sorted(set(ignore) - set(CODES))
    if unknown:
        raise CaseError(f"ignore: expected codes of docs/check.md, found {', '.join(unknown)}")
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise CaseError(
            f"patient_pattern: expected a regular expression, found {pattern!r}: {error}"
        ) from None


def _sources(data: Path, references: Path | None) -> tuple[list[CaseFile], list[Finding]]:
    """Return the cases; if the folder is refused as a whole, that and the files by themselves."""
    try:
        return find_cases(data, references=references), []
    except CaseError as refusal:
        files = sorted(npz_files(data)) if data.is_dir() else []
        if not files:
            raise
        what = str(refusal).removeprefix(f"{data}/")
        return [_unnamed(file, data, references) for file in files], [
            Finding("data-refused", data.name, what)
        ]


def _unnamed(file: Path, data: Path, references: Path | None) -> CaseFile:
    """Return a case known by its file alone: no index counts."""
    inner = file.relative_to(data)
    prefix = "".join(f"{folder}__" for folder in inner.parts[:-1])
    return CaseFile(file, references and references / inner, metadata_in_name(file.stem), prefix)


def _died(source: CaseFile) -> CheckedCase:
    about = source.metadata
    facts = CaseFacts(source.name, about.modality, about.dataset, about.patient)
    what = "expected an answer of the process that checks it, found that it was ended"
    return CheckedCase(facts, (Finding("check-died", source.name, what),))


def _count(on_case: OnCase, before: int, total: int, name: str, done: int) -> None:
    on_case(name, before + done, total)


def _fingerprints(
    sources: Sequence[CaseFile], jobs: int, count: Callable[[str, int], None]
) -> tuple[list[CaseFacts], list[Finding]]:
    """Return what compares the cases of the other folder, and those that cannot be read."""
    compared: list[CaseFacts] = []
    refused: list[Finding] = []
    for done, (source, found) in enumerate(each(_fingerprint, sources, jobs), 1):
        if isinstance(found, CaseFacts):
            compared.append(found)
        else:
            what = (found or "its process was ended").removeprefix(f"{source.file.name}: ")
            refused.append(Finding("against-unreadable", source.name, what))
        count(source.name, done)
    return sorted(compared, key=lambda case: case.name), refused


def _fingerprint(source: CaseFile) -> CaseFacts | str:
    try:
        return fingerprint(source)
    except CaseError as refusal:
        return str(refusal)
