"""Objects of annotated scans, cut out as the adapter will see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.challenge import ChallengeFile
from segbench.core import Box, LabelMap, Voxel

from ..crop import Floats, Window, cut_image, cut_mask, window_around
from ..intensity import Intensity, occupied_box
from .scenes import Scene

FEWEST_VOXELS = 60
# licence not stated; share-alike, which would pass to the weights; scattered, so never boxed
LEFT_OUT = ("US_DeepRegTRUS", "MR_MSDHippocampus", "MR_OpenMS")


@dataclass(frozen=True)
class Scan:
    """One annotated volume."""

    name: str
    voxels: NDArray[Any]  # as stored
    labels: LabelMap
    intensity: Intensity

    @property
    def patient(self) -> str:
        """Collection and patient, without the modality: the unit that a split must not cut."""
        _, collection, *rest = self.name.split("_")
        return f"{collection}_{rest[-1]}" if rest else collection

    @property
    def group(self) -> str:
        """Modality and collection: what sampling balances."""
        return "_".join(self.name.split("_")[:2])


@dataclass(frozen=True)
class Target:
    """One labelled object of a scan and the smallest box that holds it."""

    scan: Scan
    box: Box


def read_scans(folder: Path, left_out: Sequence[str] = LEFT_OUT) -> list[Scan]:
    """Read every scan of a folder but those whose names start with one of ``left_out``."""
    paths = sorted(folder.glob("*.npz"))
    return [read_scan(path) for path in paths if not path.name.startswith(tuple(left_out))]


def read_scan(path: Path) -> Scan:
    """Read image and labels; boxes are made anew in training."""
    with ChallengeFile(path) as file:
        voxels, labels = file.read("imgs"), file.read("gts")
    return Scan(path.stem, voxels, labels, Intensity.of(voxels))


def split_by_patient(
    scans: Sequence[Scan], share: float, rng: np.random.Generator
) -> tuple[list[Scan], list[Scan]]:
    """Split into a part to train on and a ``share`` of each collection's patients to tune on.

    At least one patient of a collection that has several.
    """
    held: set[str] = set()
    patients = sorted({scan.patient for scan in scans})
    for collection in sorted({patient.split("_")[0] for patient in patients}):
        members = [patient for patient in patients if patient.split("_")[0] == collection]
        count = max(round(share * len(members)), int(len(members) > 1))
        held |= set(rng.permutation(members)[:count].tolist())
    train = [scan for scan in scans if scan.patient not in held]
    return train, [scan for scan in scans if scan.patient in held]


def targets_of(scan: Scan) -> list[Target]:
    """Return the scan's objects that are large enough to learn from."""
    counts = np.bincount(scan.labels.ravel())
    labels = [label for label in range(1, len(counts)) if counts[label] >= FEWEST_VOXELS]
    return [Target(scan, tight_box(scan.labels, label)) for label in labels]


def tight_box(labels: LabelMap, label: int) -> Box:
    """Return the smallest box that holds a label."""
    spans = occupied_box(labels == label)
    low, high = (_voxel([getattr(span, end) for span in spans]) for end in ("start", "stop"))
    return Box(label, low, high, drawn_at=(low[0] + high[0]) // 2)


def scene_of(target: Target, rng: np.random.Generator, patch: int, *, centred: bool) -> Scene:
    """Cut a target out of its scan with a jittered crop rule and change its looks a little.

    Not ``centred``: round one of its voxels instead of its box, as when no box was given.
    """
    window = jittered_window(target, rng, patch, centred=centred)
    scan = target.scan
    image = cut_image(scan.voxels, window, patch, intensity=scan.intensity, antialias=True)
    reference = cut_mask(scan.labels, window, patch, label=target.box.label)
    axes = rng.permutation(3)
    flipped = tuple(slice(None, None, int(step)) for step in rng.choice([-1, 1], 3))
    turned = np.ascontiguousarray(np.transpose(image, axes)[flipped])
    return Scene(
        _altered(turned, rng), np.ascontiguousarray(np.transpose(reference, axes)[flipped])
    )


def jittered_window(
    target: Target, rng: np.random.Generator, patch: int, *, centred: bool
) -> Window:
    """Return the crop rule's window, shifted, scaled and stretched a little."""
    rule = window_around(target.box, patch)
    scale = np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.07, 3))
    size = np.maximum(np.round(np.array(rule.size) * scale), 2).astype(int)
    middle = np.add(target.box.low, target.box.high) / 2 + rng.uniform(-0.05, 0.05, 3) * size
    if not centred:
        middle = _random_voxel(target, rng)
    return Window(_voxel(np.round(middle - size / 2).astype(int)), _voxel(size))


def _random_voxel(target: Target, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
    part = tuple(slice(low, high) for low, high in zip(target.box.low, target.box.high))
    voxels = np.argwhere(target.scan.labels[part] == target.box.label)
    chosen: NDArray[np.integer[Any]] = voxels[int(rng.integers(len(voxels)))] + target.box.low
    return chosen


def _altered(image: Floats, rng: np.random.Generator) -> Floats:
    """Bend, invert, rescale and roughen the grey values, each now and then; padding stays zero."""
    padding = image == 0
    if rng.random() < 0.3:
        low, high = float(image.min()), float(image.max())
        unit = (image - low) / (high - low + 1e-6)
        image = unit ** float(np.exp(rng.uniform(-0.5, 0.5))) * (high - low) + low
    if rng.random() < 0.1:
        image = -image
    if rng.random() < 0.6:
        image = image * float(np.exp(rng.normal(0, 0.25))) + float(rng.normal(0, 0.35))
    if rng.random() < 0.25:
        noise = rng.standard_normal(image.shape, np.float32)
        image = image + float(rng.uniform(0, 0.3)) * noise
    altered: Floats = np.where(padding, np.float32(0), image).astype(np.float32)
    return altered


def _voxel(values: Iterable[Any]) -> Voxel:
    z, y, x = (int(value) for value in values)
    return (z, y, x)
