"""Annotated scans and their objects; the split by patient."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segbench.core import Box, LabelMap, Voxel
from segbench.data.challenge_npz import ChallengeFile
from segbench.errors import AdapterError
from segbench_adapters import kit

from ..intensity import Intensity, occupied_box
from .clicks import next_clicks

MIN_VOXELS = 60
CLICK_EDGE = 48  # voxels per axis that the search for a first click looks at


@dataclass(frozen=True)
class Scan:
    """One annotated volume."""

    name: str
    voxels: NDArray[Any]  # as stored
    label_map: LabelMap
    intensity: Intensity

    @property
    def modality(self) -> str:
        """The first part of the name; empty for a name of one part."""
        first, underscore, _ = self.name.partition("_")
        return first if underscore else ""

    @property
    def collection(self) -> str:
        """The second part of ``MODALITY_COLLECTION_..._PATIENT``; empty for shorter names."""
        parts = self.name.split("_")
        return parts[1] if len(parts) > 2 else ""

    @property
    def patient(self) -> str:
        """Collection and patient, without the modality: the unit of the split."""
        return f"{self.collection}_{self.name.split('_')[-1]}" if self.collection else self.name

    @property
    def group(self) -> str:
        """Modality and collection: the unit of balanced sampling and of the tune sets."""
        return f"{self.name.split('_')[0]}_{self.collection}" if self.collection else ""


@dataclass(frozen=True)
class ScanObject:
    """One labelled object of a scan and its bounding box."""

    scan: Scan
    box: Box

    @cached_property
    def first_click(self) -> Voxel:
        """A voxel deep inside the object: the first click, on every few voxels of a large object.

        Training draws windows around it, for which the exact voxel does not matter.
        """
        part = tuple(slice(low, high) for low, high in zip(self.box.low, self.box.high))
        mask = self.scan.label_map[part] == self.box.label
        step = -(-max(mask.shape) // CLICK_EDGE)
        while not mask[::step, ::step, ::step].any():
            step -= 1
        reference = torch.from_numpy(np.ascontiguousarray(mask[::step, ::step, ::step]))[None]
        clicks = next_clicks(torch.zeros_like(reference), reference)
        return _voxel(step * clicks.voxels[0].numpy() + self.box.low)


def read_scans(folder: Path, left_out: Sequence[str] = ()) -> list[Scan]:
    """Read every scan of a folder, except those whose names start with one of ``left_out``.

    Raises
    ------
    AdapterError
        There is no scan in the folder.
    """
    paths = sorted(folder.glob("[!.]*.npz"))
    if not paths:
        raise AdapterError(f"{folder}: expected a folder with .npz cases, found none")
    return [read_scan(path) for path in paths if not path.name.startswith(tuple(left_out))]


def read_scan(path: Path) -> Scan:
    """Read the image and the label map; training simulates its own boxes."""
    with ChallengeFile(path) as file:
        voxels, label_map = kit.finite_image(file.read("imgs")), file.read("gts")
    return Scan(path.stem, voxels, label_map, Intensity.of(voxels))


def split_by_patient(
    scans: Sequence[Scan], tune_patients: Collection[str]
) -> tuple[list[Scan], list[Scan]]:
    """Split into training scans and the held-out scans of ``tune_patients``."""
    unknown = set(tune_patients) - {scan.patient for scan in scans}
    if unknown:
        raise AdapterError(f"no scan of {', '.join(sorted(unknown))}: cannot be held out")
    train = [scan for scan in scans if scan.patient not in tune_patients]
    return train, [scan for scan in scans if scan.patient in tune_patients]


def draw_tune_patients(scans: Sequence[Scan], share: float, seed: int) -> list[str]:
    """Draw a ``share`` of each collection's patients, at least one if there are several.

    Each collection is drawn independently, so that one more collection does not change the
    held-out patients of the others: initial weights were trained on the same side of the split.
    """
    tune_patients: list[str] = []
    for collection in sorted({scan.collection for scan in scans}):
        patients = sorted({scan.patient for scan in scans if scan.collection == collection})
        count = max(round(share * len(patients)), int(len(patients) > 1))
        rng = np.random.default_rng([seed, *collection.encode()])
        tune_patients += rng.permutation(patients)[:count].tolist()
    return sorted(tune_patients)


def cropped_to_nonzero(scan: Scan) -> Scan:
    """Return the part of a scan in the box of its non-zero voxels; the z-score is the same."""
    region = occupied_box(scan.voxels)
    return replace(scan, voxels=scan.voxels[region], label_map=scan.label_map[region])


def objects_of(scan: Scan, min_voxels: int = MIN_VOXELS) -> list[ScanObject]:
    """Return the scan's objects of at least ``min_voxels`` voxels."""
    counts = np.bincount(scan.label_map.ravel())
    labels = [label for label in range(1, len(counts)) if counts[label] >= min_voxels]
    return [ScanObject(scan, tight_box(scan.label_map, label)) for label in labels]


def tight_box(label_map: LabelMap, label: int) -> Box:
    """Return the bounding box of a label."""
    spans = occupied_box(label_map == label)
    low, high = (_voxel([getattr(span, end) for span in spans]) for end in ("start", "stop"))
    return Box(label, low, high, mid_slice=(low[0] + high[0]) // 2)


def _voxel(values: Iterable[Any]) -> Voxel:
    z, y, x = (int(value) for value in values)
    return (z, y, x)
