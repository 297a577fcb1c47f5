"""Check one case: all of its groups of checks, one case in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from segbench.core import Box, Grid, LabelMap
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.check.boxes import box_findings
from segbench.data.check.file import CaseParts, read_parts
from segbench.data.check.finding import CaseFacts, CheckedCase, Finding
from segbench.data.check.geometry import (
    axis_evidence,
    grid_findings,
    order_findings,
    size_findings,
)
from segbench.data.check.intensity import intensity_findings, summarize
from segbench.data.check.labels import label_facts, label_findings, saturation_findings
from segbench.data.dataset import CaseFile


def check_case(source: CaseFile) -> CheckedCase:
    """Return the findings on one case, and its facts; a part that is refused ends no other."""
    parts = read_parts(source)
    found, facts = list(parts.findings), _facts(source, parts)
    if parts.image is not None:
        summary = summarize(parts.image)
        found += intensity_findings(source.name, summary)
        axes = axis_evidence(parts.image, parts.spacing) if parts.spacing else None
        facts = replace(facts, image_sha256=summary.sha256, axes=axes)
        found += _geometry(facts, parts.grid)
    parts.image = None  # its memory is needed for the labels
    if parts.reference is not None:
        facts = replace(facts, reference_sha256=summarize(parts.reference).sha256)
        found += _labels(facts, parts.reference, parts.boxes)
    return CheckedCase(facts, tuple(found))


def fingerprint(source: CaseFile) -> CaseFacts:
    """Return what compares a case with those of another folder; refuse an unreadable image.

    Raises
    ------
    CaseError
        If the image cannot be read.
    """
    with ChallengeFile(source.file) as file:
        digest = summarize(file.read("imgs")).sha256
    return replace(_facts(source, CaseParts()), image_sha256=digest)


def _facts(source: CaseFile, parts: CaseParts) -> CaseFacts:
    array = parts.reference if parts.image is None else parts.image
    return CaseFacts(
        source.name,
        **vars(source.metadata),
        shape=() if array is None else array.shape,
        spacing=parts.spacing,
        labels=parts.labels,
        n_boxes=len(parts.boxes),
        memory_mb=source.array_bytes() / 1e6,
    )


def _geometry(facts: CaseFacts, grid: Grid | None) -> Iterator[Finding]:
    name, modality, shape, spacing = facts.name, facts.modality, facts.shape, facts.spacing
    if spacing is None:
        return
    yield from order_findings(name, modality, shape, spacing, facts.axes)
    yield from size_findings(name, modality, shape, spacing)
    if grid is not None:
        yield from grid_findings(name, shape, spacing, grid)


def _labels(facts: CaseFacts, reference: LabelMap, boxes: Sequence[Box]) -> Iterator[Finding]:
    labels = label_facts(reference, facts.spacing)
    yield from label_findings(facts.name, labels)
    yield from box_findings(facts.name, boxes, labels, reference)
    if facts.spacing is not None:
        yield from saturation_findings(facts.name, labels, facts.spacing)
