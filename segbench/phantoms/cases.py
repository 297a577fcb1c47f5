"""Generate phantoms: their structures become labels, and the image shows them as a modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segbench.core import Case, Image, Spacing, Voxel
from segbench.data.dataset import PHANTOM_DATASET
from segbench.phantoms.scene import Rng, Structure, make_scene
from segbench.protocol.boxes import draw_box

MIN_VOXELS = 60  # one or two clicks would correct a smaller label


@dataclass(frozen=True)
class PhantomKind:
    """How to generate phantoms of one modality; each pair is the smallest and the largest value."""

    n_slices: tuple[int, int]
    side: tuple[int, int]  # voxels along y and x
    slice_thickness_mm: tuple[float, float]
    pixel_mm: tuple[float, float]
    n_labels: tuple[int, int] = (1, 4)


KINDS = {
    "CT": PhantomKind((28, 64), (80, 120), (2.0, 4.0), (0.7, 1.2)),
    "MR": PhantomKind((24, 48), (80, 120), (2.0, 5.0), (0.7, 1.2)),
    "PET": PhantomKind((48, 72), (64, 96), (3.0, 4.0), (2.5, 4.0), (1, 3)),
    "US": PhantomKind((40, 64), (80, 120), (0.5, 0.9), (0.4, 0.7)),
    "Microscopy": PhantomKind((24, 48), (64, 112), (1.0, 2.0), (1.0, 1.0), (2, 5)),
}


def phantom(modality: str, rng: Rng, *, name: str, with_boxes: bool = True) -> Case:
    """Generate one phantom.

    With boxes, its labels are compact structures with a box each. Without boxes, they are vessel
    trees and scattered lesions. Labels are 1 to K, each of at least 60 voxels.

    Parameters
    ----------
    modality : a key of ``KINDS``
    rng : the only source of randomness
    name : of the case
    with_boxes : False is possible for CT and MR only
    """
    kind = KINDS[modality]
    shape, spacing = _shape_and_spacing(kind, rng)
    voxels, structures = make_scene(modality, shape, rng, with_boxes=with_boxes)
    n_labels = int(rng.integers(kind.n_labels[0], kind.n_labels[1] + 1))
    reference = annotate(structures, rng, n_labels=n_labels)
    if not reference.any():  # rare: all chosen structures are too small
        return phantom(modality, rng, name=name, with_boxes=with_boxes)
    labels = tuple(range(1, int(reference.max()) + 1))
    boxes = (draw_box(reference == label, label, rng) for label in labels if with_boxes)
    return Case(name, Image(voxels, spacing), reference, tuple(boxes), labels, modality)


def _shape_and_spacing(kind: PhantomKind, rng: Rng) -> tuple[Voxel, Spacing]:
    x = int(rng.integers(*kind.side, endpoint=True))
    y = max(int(x * rng.uniform(0.78, 1.05)), kind.side[0])
    z = int(rng.integers(*kind.n_slices, endpoint=True))
    pixel = round(rng.uniform(*kind.pixel_mm), 2)
    return (z, y, x), (round(rng.uniform(*kind.slice_thickness_mm), 1), pixel, pixel)


def annotate(structures: Sequence[Structure], rng: Rng, *, n_labels: int) -> NDArray[np.uint8]:
    """Return a label map of up to ``n_labels`` randomly chosen targets, in painting order."""
    targets = [index for index, structure in enumerate(structures) if structure.target]
    chosen = rng.permutation(targets)[:n_labels]
    label_map = np.zeros(structures[0].mask.shape, np.uint8)
    for index, structure in enumerate(structures):
        label_map[structure.mask] = index + 1 if index in chosen else 0
    return contiguous(label_map)


def contiguous(label_map: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Renumber labels to 1..K in their order; drop those of fewer than 60 voxels."""
    sizes = np.bincount(label_map.ravel())
    kept = [label for label in range(1, len(sizes)) if sizes[label] >= MIN_VOXELS]
    lookup = np.zeros(len(sizes), np.uint8)
    lookup[kept] = np.arange(1, len(kept) + 1)
    return lookup[label_map]


def case_name(index: int) -> str:
    """Return the name of a phantom; the modalities take turns."""
    cycle, position = divmod(index, len(KINDS))
    return f"{list(KINDS)[position]}_{PHANTOM_DATASET}_{cycle + 1:04d}"


def numbered_phantom(index: int, seed: int) -> Case:
    """Generate the phantom of a number; every second CT and MR phantom has no boxes."""
    cycle, position = divmod(index, len(KINDS))
    modality = list(KINDS)[position]
    boxless = (modality == "CT" and cycle % 2 == 1) or (modality == "MR" and cycle % 2 == 0)
    rng = np.random.default_rng([seed, index])
    return phantom(modality, rng, name=case_name(index), with_boxes=not boxless)
