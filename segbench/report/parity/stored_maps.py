"""A stored prediction of the official script, scored again.

``CASE.npz`` has the last label map as the model wrote it (``segs``) and those of all steps cast to
uint8 (``all_segs``), although the script scores each uncast (PROTOCOL 3.1, 3.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.arrays import label_map_dtype
from segbench.core import LabelMap, Spacing, StepScore, mean_scores
from segbench.data.challenge_npz import ChallengeFile
from segbench.errors import CaseError
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import NsdSettings, packed_dice
from segbench.protocol.scoring import evaluated_labels, score_pairs

MOST_MAPS = 11  # in all_segs: older scripts store six predictions and five previous ones
Mapped = Mapping[int, int]  # stored value -> the value that it is taken for


@dataclass(frozen=True)
class Pair:
    """DSC and NSD of one label map: means over labels, and of each label."""

    dsc: float
    nsd: float
    labels: tuple[StepScore, ...]

    def value(self, measure: str) -> float:
        """Return one of the two means."""
        return self.dsc if measure == "DSC" else self.nsd


@dataclass(frozen=True)
class FileScores:
    """The scores of all label maps of one file against one reference."""

    maps: tuple[Pair, ...]  # of all_segs, in its order; empty if the file has none
    digests: tuple[str, ...]  # of these label maps
    final: Pair  # of segs, as it is stored
    final_digest: str  # of segs cast to uint8, to be compared with digests
    final_cast: Pair | None  # of segs cast to uint8; None if the cast changes nothing
    labels: tuple[int, ...]  # that are scored
    raw_values: tuple[tuple[int, float], ...]  # of segs: cast value, the one value it comes from


class MapScorer:
    """Scores label maps against one reference, as the script does (PROTOCOL 5, 6)."""

    def __init__(self, reference: LabelMap, spacing: Spacing) -> None:
        self.labels = evaluated_labels(reference)
        self.shape = reference.shape
        self._reference = PreparedReference(reference, self.labels)
        self._nsd = NsdSettings.of(spacing, exact_sum=True)

    def score(self, label_map: NDArray[Any]) -> Pair:
        """Return the scores of one label map of any type of numbers."""
        compared = as_labels(label_map, self.labels)
        scores = score_pairs(self._reference.compare(compared), 0, self._nsd)
        return Pair(*mean_scores(scores), scores)

    def dsc(self, label_map: NDArray[Any]) -> float:
        """Return the mean DSC alone, without the far slower NSD."""
        pairs = self._reference.compare(as_labels(label_map, self.labels))
        expected = pairs.expected
        return float(np.mean([packed_dice(p, expected[n]) for n, p in pairs.predicted.items()]))


def as_labels(label_map: NDArray[Any], labels: Sequence[int]) -> LabelMap:
    """Return the voxels that equal a label, all others as 0: the script compares values only.

    So 257, -1 and 1.75 are no label, and 1.0 is label 1 (PROTOCOL 1.5, 3.4).
    """
    if label_map.dtype in (np.uint8, np.uint16):
        return label_map
    if label_map.dtype.kind not in "biuf":
        raise CaseError(f"segs: expected an array of numbers, found {label_map.dtype}")
    found = np.zeros(label_map.shape, label_map_dtype(labels))
    for label in labels:
        found[label_map == label] = label
    return found


def as_uint8(label_map: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a label map cast as the script does it: modulo 256, and fractions cut off."""
    with np.errstate(invalid="ignore"):
        return label_map.astype(np.uint8)


def score_file(file: Path, scorer: MapScorer, taken_for: Mapped | None = None) -> FileScores:
    """Score every label map of a stored prediction, one in memory at a time.

    Parameters
    ----------
    file : Path
        Not trusted: pickles are not executed, and shapes are compared before arrays are read.
    scorer : MapScorer
        Of the reference.
    taken_for : mapping of int to int, optional
        Values of ``all_segs`` and what they are taken for, to undo a cast.

    Raises
    ------
    CaseError
        If the file is damaged, or its label maps have another shape than the reference.
    """
    with ChallengeFile(file) as stored:
        _require_shape(stored, "segs", scorer.shape)
        final = stored.read("segs")
        maps, digests = [], []
        for label_map in _all_maps(stored, scorer.shape):
            maps.append(scorer.score(_replaced(label_map, taken_for or {})))
            digests.append(digest(label_map))
    cast = as_uint8(final)
    changed = bool((cast != final).any())
    return FileScores(
        tuple(maps),
        tuple(digests),
        scorer.score(final),
        digest(cast),
        scorer.score(cast) if changed else None,
        scorer.labels,
        tuple(_raw_values(final, cast)) if changed else (),
    )


def final_dsc(file: Path, scorer: MapScorer) -> float | None:
    """Return the mean DSC of ``segs``; None if it cannot be compared with the reference."""
    try:
        with ChallengeFile(file) as stored:
            _require_shape(stored, "segs", scorer.shape)
            return scorer.dsc(stored.read("segs"))
    except CaseError:
        return None


def _all_maps(stored: ChallengeFile, shape: Sequence[int]) -> Iterator[NDArray[Any]]:
    if "all_segs" not in stored.keys:
        return
    header = stored.header("all_segs")
    if len(header.shape) != 4 or not 0 < header.shape[0] <= MOST_MAPS:
        raise CaseError(
            f"{stored.name}: all_segs: expected shape (steps, z, y, x), found {header.shape}"
        )
    _require_shape(stored, "all_segs", (header.shape[0], *shape))
    yield from stored.read_parts("all_segs")


def _require_shape(stored: ChallengeFile, key: str, shape: Sequence[int]) -> None:
    header = stored.header(key)
    if header.shape != tuple(shape) or header.dtype.kind not in "biuf":
        raise CaseError(
            f"{stored.name}: {key}: expected numbers of shape {tuple(shape)} as the reference "
            f"has it, found {header.dtype} {header.shape}"
        )


def digest(label_map: NDArray[Any]) -> str:
    """Return the sha256 of a label map cast to uint8."""
    return hashlib.sha256(np.ascontiguousarray(as_uint8(label_map)).tobytes()).hexdigest()


def _replaced(label_map: NDArray[Any], taken_for: Mapped) -> NDArray[Any]:
    if not taken_for:
        return label_map
    table = np.arange(256, dtype=np.uint16)
    for stored, value in taken_for.items():
        table[stored] = value
    replaced: NDArray[np.uint16] = table[as_uint8(label_map)]
    return replaced


def _raw_values(final: NDArray[Any], cast: NDArray[np.uint8]) -> Iterator[tuple[int, float]]:
    """Yield each cast value that comes from one other value alone, and that value."""
    for value in np.unique(cast).tolist():
        raw = np.unique(final[cast == value])
        if len(raw) == 1 and raw[0] != value:
            yield value, float(raw[0])
