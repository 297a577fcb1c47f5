"""Objects of annotated scans, cropped as at inference."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Box, LabelMap, Voxel
from segbench.data.challenge_npz import ChallengeFile
from segbench.errors import AdapterError
from segbench.protocol.simulator import next_click
from segbench_adapters import kit

from ..crop import FloatArray, Window, crop_image, crop_mask, window_around
from ..intensity import Intensity, occupied_box
from .scenes import Scene

MIN_VOXELS = 60
ZOOM_IN_PROBABILITY = 0.3  # of a crop with a box that enlarges a small object
ZOOM_OUT_FACTOR = 1.5  # on the window's edge, per step of the search without a box


@dataclass(frozen=True)
class Scan:
    """One annotated volume."""

    name: str
    voxels: NDArray[Any]  # as stored
    label_map: LabelMap
    intensity: Intensity

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
        """The first click of the simulated user on an empty segmentation."""
        part = tuple(slice(low, high) for low, high in zip(self.box.low, self.box.high))
        reference = np.ascontiguousarray(self.scan.label_map[part] == self.box.label)
        click = next_click(np.zeros_like(reference), reference, label=self.box.label)
        assert click is not None  # objects are not empty
        return _voxel(np.add(click.voxel, self.box.low))


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


def objects_of(scan: Scan) -> list[ScanObject]:
    """Return the scan's objects of at least ``MIN_VOXELS`` voxels."""
    counts = np.bincount(scan.label_map.ravel())
    labels = [label for label in range(1, len(counts)) if counts[label] >= MIN_VOXELS]
    return [ScanObject(scan, tight_box(scan.label_map, label)) for label in labels]


def tight_box(label_map: LabelMap, label: int) -> Box:
    """Return the bounding box of a label."""
    spans = occupied_box(label_map == label)
    low, high = (_voxel([getattr(span, end) for span in spans]) for end in ("start", "stop"))
    return Box(label, low, high, mid_slice=(low[0] + high[0]) // 2)


def crop_scene(
    scan_object: ScanObject, rng: np.random.Generator, patch: int, *, with_box: bool
) -> Scene:
    """Crop an object with a jittered window and augment it: flips, axes, intensities."""
    window = (jittered_window if with_box else search_window)(scan_object, rng, patch)
    scan = scan_object.scan
    image = crop_image(scan.voxels, window, patch, intensity=scan.intensity, antialias=True)
    reference = crop_mask(scan.label_map, window, patch, label=scan_object.box.label)
    axes = rng.permutation(3)
    flips = tuple(slice(None, None, int(step)) for step in rng.choice([-1, 1], 3))
    flipped_image = np.ascontiguousarray(np.transpose(image, axes)[flips])
    return Scene(
        _augment_intensities(flipped_image, rng),
        np.ascontiguousarray(np.transpose(reference, axes)[flips]),
    )


def jittered_window(scan_object: ScanObject, rng: np.random.Generator, patch: int) -> Window:
    """Return the window of the crop rule, randomly shifted, scaled and stretched.

    Some windows are those of the option ``zoom_in``, so that the option works with the weights.
    """
    rule = window_around(scan_object.box, patch, zoom_in=bool(rng.random() < ZOOM_IN_PROBABILITY))
    scale = np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.07, 3))
    size = np.maximum(np.round(np.array(rule.size) * scale), 2).astype(int)
    middle = np.add(scan_object.box.low, scan_object.box.high) / 2
    return _centred_window(middle + rng.uniform(-0.05, 0.05, 3) * size, size)


def search_window(scan_object: ScanObject, rng: np.random.Generator, patch: int) -> Window:
    """Return a random window of the search without a box.

    The search starts at native resolution around the first click, deep inside the object. It
    zooms out by half while the prediction touches the border, centred on the prediction so far.
    """
    enough = 1.2 * window_around(scan_object.box, patch).size[0]
    zooms = 1 + max(0, math.ceil(math.log(enough / patch, ZOOM_OUT_FACTOR)))
    edge = patch * ZOOM_OUT_FACTOR ** int(rng.integers(zooms))
    size = np.round(edge * np.exp(rng.normal(0, 0.07, 3))).astype(int)
    start = np.array(scan_object.first_click)
    end = np.add(scan_object.box.low, scan_object.box.high) / 2
    middle = start + (end - start) * max(rng.uniform(-1, 1), 0.0)
    return _centred_window(middle + rng.uniform(-0.07, 0.07, 3) * size, size)


def _centred_window(middle: NDArray[Any], size: NDArray[Any]) -> Window:
    return Window(_voxel(np.round(middle - size / 2).astype(int)), _voxel(size))


def _augment_intensities(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Apply random gamma, inversion, scaling and noise to the intensities; padding stays zero."""
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
    augmented: FloatArray = np.where(padding, np.float32(0), image).astype(np.float32)
    return augmented


def _voxel(values: Iterable[Any]) -> Voxel:
    z, y, x = (int(value) for value in values)
    return (z, y, x)
