"""One case of an official folder scored again, in a process of its own where there are several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segbench.core import LabelMap, Spacing
from segbench.data.challenge_npz import ChallengeFile
from segbench.data.dataset import CaseFile, read_reference
from segbench.errors import CaseError
from segbench.protocol.validation import checked_label_map, checked_spacing
from segbench.report.parity.causes import CAST, REFERENCE, SPACING, SWAPPED, Explanation
from segbench.report.parity.metrics_table import OfficialRow, printable
from segbench.report.parity.stored_maps import (
    FileScores,
    Mapped,
    MapScorer,
    final_dsc,
    score_file,
)

HIGHEST = 255  # of uint8


@dataclass(frozen=True)
class StoredCase:
    """A case of the data, and the official file of its predictions."""

    case: CaseFile
    file: Path


@dataclass(frozen=True)
class Rescored:
    """What the reference of a case and its stored predictions are found to be."""

    labels: tuple[int, ...] = ()
    has_boxes: bool = False
    scores: FileScores | None = None
    problem: str = ""  # why there are no scores
    is_case_problem: bool = False  # the reference cannot be read, not the prediction


@dataclass(frozen=True)
class Variant:
    """The stored predictions scored in another way, which a cause would have led to."""

    explanation: Explanation
    scores: FileScores


@dataclass(frozen=True)
class VariantJob:
    """What is tried on a case whose official numbers differ."""

    stored: StoredCase
    row: OfficialRow
    others: tuple[StoredCase, ...]  # whose files may be swapped with this one
    references: tuple[Path, ...]  # folders of other references
    raw_values: tuple[tuple[int, float], ...]  # of segs, see `FileScores`
    nsd_alone: bool  # differs: the spacing may be another


def rescore(stored: StoredCase) -> Rescored:
    """Score the stored predictions of one case; what cannot be read is a problem, no error."""
    try:
        reference, spacing, has_boxes = _read_reference(stored.case)
        scorer = MapScorer(reference, spacing)
    except CaseError as error:
        return Rescored(problem=str(error), is_case_problem=True)
    try:
        scores = score_file(stored.file, scorer)
    except CaseError as error:
        return Rescored(scorer.labels, has_boxes, problem=str(error))
    return Rescored(scorer.labels, has_boxes, scores)


def _read_reference(case: CaseFile) -> tuple[LabelMap, Spacing, bool]:
    """Return what is needed to score; the script takes references that `run` refuses, too."""
    name = case.file.name
    with ChallengeFile(case.file) as file:
        reference = checked_label_map(read_reference(case, file), f"{name}: gts")
        spacing = checked_spacing(file.read("spacing"), name)
        return reference, spacing, "boxes" in file.keys


def score_variants(job: VariantJob) -> list[Variant]:
    """Score the stored predictions in every way that a cause would have led to."""
    try:
        reference, spacing, _ = _read_reference(job.stored.case)
    except CaseError:
        return []
    return [
        *_cast_variants(job, reference, spacing),
        *_reference_variants(job, reference, spacing),
        *(_spacing_variants(job, reference, spacing) if job.nsd_alone else ()),
        *_swapped_variants(job, reference, spacing),
    ]


def _cast_variants(job: VariantJob, reference: LabelMap, spacing: Spacing) -> Iterator[Variant]:
    """Undo the cast of ``all_segs``: the script scores label maps before it casts them."""
    scorer = MapScorer(reference, spacing)
    taken_for = _uncast_values(scorer.labels, dict(job.raw_values))
    if taken_for:
        pairs = ", ".join(f"{stored} for {value}" for stored, value in taken_for.items())
        what = f"the stored label map is cast to 8 bits, the official score is not: {pairs}"
        yield from _tried(CAST, what, job.stored.file, scorer, taken_for=taken_for)


def _uncast_values(labels: tuple[int, ...], raw_values: Mapping[int, float]) -> Mapped:
    """Return what stored values stand for, as far as the reference and the last step tell."""
    wide = [label for label in labels if label > HIGHEST]
    by_cast = {
        label % 256: label
        for label in wide
        if label % 256 not in (0, *labels) and sum(each % 256 == label % 256 for each in wide) == 1
    }
    # a value that is no label is scored as none
    raw = {cast: int(value) if value in labels else 0 for cast, value in raw_values.items()}
    return by_cast | raw


def _reference_variants(
    job: VariantJob, reference: LabelMap, spacing: Spacing
) -> Iterator[Variant]:
    file, labels = job.stored.file, MapScorer(reference, spacing).labels
    if reference.max() > HIGHEST:
        scorer = MapScorer(reference.astype(np.uint8), spacing)
        yield from _tried(CAST, "the official reference was cast to 8 bits", file, scorer)
    in_order = tuple(range(1, len(labels) + 1))
    if labels and labels != in_order:
        renumbered = (np.searchsorted(labels, reference) + 1) * np.isin(reference, labels)
        scorer = MapScorer(renumbered.astype(np.uint16), spacing)
        what = f"the labels of the official reference are numbered 1 to {len(labels)}"
        yield from _tried(REFERENCE, what, file, scorer)
    for folder in job.references:
        other = _other_reference(folder / job.stored.case.file.name)
        if other is not None:
            what = f"the official reference is that of {folder.name}"
            yield from _tried(REFERENCE, what, file, MapScorer(other, spacing))


def _other_reference(file: Path) -> LabelMap | None:
    try:
        with ChallengeFile(file) as stored:
            return checked_label_map(stored.read("gts"), file.name)
    except CaseError:
        return None


def _spacing_variants(job: VariantJob, reference: LabelMap, spacing: Spacing) -> Iterator[Variant]:
    z, y, x = spacing
    tried = {(x, y, z): "the spacing in the order (x, y, z)", (1.0, 1.0, 1.0): "1 mm on all axes"}
    for other, what in tried.items():
        if other != spacing:
            scorer = MapScorer(reference, other)
            detail = f"the official NSD has {what}"
            yield from _tried(SPACING, detail, job.stored.file, scorer)


def _swapped_variants(job: VariantJob, reference: LabelMap, spacing: Spacing) -> Iterator[Variant]:
    """Score the files of other cases against this reference."""
    scorer = MapScorer(reference, spacing)
    for other in job.others if scorer.labels else ():
        dsc = final_dsc(other.file, scorer)
        if dsc is not None and job.row.matches("DSC_Final", dsc):
            what = f"the file of {printable(other.case.name)} has the predictions of this case"
            yield from _tried(SWAPPED, what, other.file, scorer)


def _tried(
    cause: str, detail: str, file: Path, scorer: MapScorer, *, taken_for: Mapped | None = None
) -> Iterator[Variant]:
    """Yield the scores of a way that can be tried; none if the arrays do not go together."""
    try:
        scores = score_file(file, scorer, taken_for)
    except CaseError:
        return
    yield Variant(Explanation(cause, detail), scores)
