"""Cases with nested and touching labels, made by seed, from nothing or from real scans.

KINDS: one lesion in an organ, two lesions, two organs that touch, two of equal size that do, and a
lesion in an organ without boxes.
A lesion's voxels have the lesion's label only, as in the challenge, while the organ's box contains
both. ``python -m tests.bench.nested_scenes OUT [--scans FOLDER] [--seed N]`` writes them as files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from segbench.core import Case, Image, LabelMap, Mask
from segbench.data.dataset import CaseFile, read_case
from segbench.phantoms.scene import MODALITIES, coordinates, radius, waves
from segbench.protocol.boxes import draw_box
from tests.bench.scene_parts import TISSUE, imaged, write_scenes

SHAPE = (48, 112, 112)
INNER = 2  # labels: 1 is the organ, or the first of two that touch
PER_KIND = 2


def generated(kind: str, seed: int) -> Case:
    """Return a scene; seeds take turns through the modalities."""
    number = sorted(KINDS).index(kind)
    rng = np.random.default_rng([seed, number])
    modality = sorted(MODALITIES)[(seed + number) % len(MODALITIES)]
    reference = KINDS[kind](rng)
    levels = np.full(SHAPE, TISSUE, np.float32)
    levels += 0.05 * waves(SHAPE, rng, cycles=2)
    for label in np.unique(reference)[1:]:
        levels[reference == label] = TISSUE + rng.choice((-1, 1)) * rng.uniform(0.12, 0.3)
        levels[reference == label] += 0.1 * (label - 1)
    image = imaged(ndimage.gaussian_filter(levels, 0.5), modality, (2.0, 1.0, 1.0), rng)
    return _case(f"{modality}_{kind}_{seed}", image, reference, rng)


def implanted(case: Case, n_lesions: int, seed: int) -> Case:
    """Return a real case with lesions implanted into its largest object."""
    rng = np.random.default_rng([seed, n_lesions])
    sizes = np.bincount(case.reference.ravel())[1:]
    organ = case.reference == int(sizes.argmax()) + 1
    reference = organ.astype(np.uint8)
    for label in range(INNER, INNER + n_lesions):
        reference[_lesion(reference == 1, rng, share=rng.uniform(0.4, 0.75))] = label
    if case.image.voxels.dtype != np.uint8:
        raise ValueError(f"{case.name}: expected voxels of uint8, found {case.image.voxels.dtype}")
    voxels = case.image.voxels.astype(np.float32)
    contrast = rng.uniform(1, 2) * max(float(voxels[organ].std()), 12)
    sign = 1 if voxels[organ].mean() < voxels.max() / 2 else -1
    voxels += (
        sign * contrast * ndimage.gaussian_filter((reference >= INNER).astype(np.float32), 0.7)
    )
    image = Image(np.clip(voxels, 0, 255).astype(np.uint8), case.image.spacing)
    name = f"{case.modality}_implanted{n_lesions}_{case.name.split('_', 1)[1]}_{seed}"
    return _case(name, image, reference, rng)


def scenes(scans: Sequence[CaseFile], seed: int) -> Iterator[Case]:
    """Yield generated scenes of every kind, then each real scan with one and with two lesions."""
    for kind in sorted(KINDS):
        yield from (generated(kind, seed * PER_KIND + i) for i in range(PER_KIND))
    for scan in scans:
        yield from (implanted(read_case(scan), n, seed) for n in (1, 2))


def only(case: Case, labels: Sequence[int]) -> Case:
    """Return a case in which only some labels are to be segmented."""
    kept = np.where(np.isin(case.reference, labels), case.reference, 0)
    boxes = tuple(box for box in case.boxes if box.label in labels)
    return replace(case, reference=kept, boxes=boxes, labels=tuple(labels))


def inner_labels(case: Case) -> tuple[int, ...]:
    """Return the labels of a case's lesions; none if its objects only touch."""
    return tuple(label for label in case.labels if label >= INNER and "touch" not in case.name)


def _case(name: str, image: Image, reference: LabelMap, rng: np.random.Generator) -> Case:
    labels = tuple(int(label) for label in np.unique(reference)[1:])
    organ = reference > 0 if "touch" not in name else reference == 1
    masks = {label: organ if label == 1 else reference == label for label in labels}
    boxes = tuple(draw_box(masks[label], label, rng) for label in labels)
    boxes = () if "withoutboxes" in name else boxes
    return Case(name, image, reference, boxes, labels, name.split("_")[0])


def _organ(rng: np.random.Generator, centre: Sequence[float], scale: float = 1.0) -> Mask:
    points = [axis + 0.03 * waves(SHAPE, rng, cycles=1.6) for axis in coordinates(SHAPE)]
    radii = scale * rng.uniform((0.5, 0.35, 0.35), (0.75, 0.6, 0.6))
    mask: Mask = radius(points, centre, radii) < 1
    return mask


def _lesion(organ: Mask, rng: np.random.Generator, share: float) -> Mask:
    """Return a bumpy ball in an organ; ``share`` is its radius as a fraction of the depth."""
    depth = ndimage.distance_transform_edt(np.pad(organ, 1))[1:-1, 1:-1, 1:-1]
    deep = np.argwhere(depth >= 0.7 * depth.max())
    centre = deep[rng.integers(len(deep))]
    grid = np.ogrid[tuple(slice(0, n) for n in organ.shape)]
    distance = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)))
    size = share * depth.max() * (1 + 0.15 * waves(organ.shape, rng, cycles=3))
    lesion: Mask = organ & (distance < size)
    return lesion


def _nested(rng: np.random.Generator, shares: Sequence[float]) -> LabelMap:
    reference = _organ(rng, rng.uniform(-0.15, 0.15, 3)).astype(np.uint8)
    for label, share in enumerate(shares, INNER):
        reference[_lesion(reference == 1, rng, share)] = label
    return reference


def _touching(rng: np.random.Generator, scale: float) -> LabelMap:
    first = _organ(rng, (0, -0.35, 0))
    second = _organ(rng, (0, 0.35, 0.1), scale)
    return np.where(second, 2, first).astype(np.uint8)


KINDS: dict[str, Callable[[np.random.Generator], LabelMap]] = {
    "inside": lambda rng: _nested(rng, [rng.uniform(0.4, 0.8)]),
    "twoinside": lambda rng: _nested(rng, rng.uniform(0.4, 0.7, 2)),
    "touching": lambda rng: _touching(rng, 0.5),
    "equaltouching": lambda rng: _touching(rng, 1.0),
    "withoutboxes": lambda rng: _nested(rng, [rng.uniform(0.4, 0.8)]),
}


if __name__ == "__main__":
    write_scenes(scenes, __doc__)
