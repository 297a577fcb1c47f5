"""Real objects made large, tiny or faint.

To enlarge or shrink an object, image and label are interpolated. An enlarged object is its part of
the scan, magnified. A shrunk one replaces a piece of its own scan where the surroundings are like
its own, so that the image around it stays a scan with its noise; the object itself stays where it
was without being a label. A faded one loses contrast.
"""

import numpy as np
from scipy import ndimage

from segbench.core import Case, Image, Mask, Roi
from segbench.phantoms.scene import Field
from segbench.protocol.boxes import draw_box

MAX_FACTOR = 4.0  # more would make borders of the interpolation, not of the scan
MARGIN = 0.12  # of each side, around an enlarged object
FADED = 0.6  # the share of the contrast that a faded object loses
RIM = 4  # voxels around a shrunk object that come with it
PLACES = 200  # tried for a shrunk object
CONNECTIVITY = np.ones((3, 3, 3))


def single_object(name: str, image: Image, mask: Mask, rng: np.random.Generator) -> Case:
    """Return a case with one object and its box."""
    box = draw_box(mask, 1, rng)
    return Case(name, image, mask.astype(np.uint8), (box,), (1,), name.split("_")[0])


def enlarged(case: Case, label: int, side: int, rng: np.random.Generator) -> Case | None:
    """Return one object of a case with a longest side of about ``side`` voxels.

    None if that would take a factor below 1 or above `MAX_FACTOR`.
    """
    mask = case.reference == label
    roi = ndimage.find_objects(mask.view(np.uint8))[0]
    factor = side / max(_sides(roi))
    if not 1 <= factor <= MAX_FACTOR:
        return None
    margins = [max(3, int(MARGIN * n)) for n in _sides(roi)]
    around = tuple(
        slice(max(part.start - m, 0), part.stop + m) for part, m in zip(roi, margins, strict=True)
    )
    voxels = ndimage.zoom(case.image.voxels[around], factor, order=1)
    spacing = tuple(mm / factor for mm in case.image.spacing)
    larger = ndimage.zoom(mask[around].astype(np.float32), factor, order=1) > 0.5
    return single_object(_name(case, "largereal", label), Image(voxels, spacing), larger, rng)


def shrunk(case: Case, label: int, size: int, rng: np.random.Generator) -> Case | None:
    """Return one object of a case with ``size`` voxels, and elsewhere in its scan.

    None if the scan has no place for it, or if the object falls into parts.
    """
    scan = case.image.voxels.astype(np.float32)
    patch, mask = _shrunk_patch(scan, case.reference == label, size)
    if ndimage.label(mask, CONNECTIVITY)[1] > 1:
        return None
    place = _most_similar_place(scan, case.reference > 0, patch, ~mask, rng)
    if place is None:
        return None
    weight = np.clip((RIM - ndimage.distance_transform_edt(~mask)) / (RIM - 1), 0, 1)
    scan[place] += weight * (patch - ndimage.gaussian_filter(scan, 1.0)[place])
    reference = np.zeros(scan.shape, bool)
    reference[place] = mask
    voxels = np.clip(scan, 0, 255).astype(np.uint8)
    image = Image(voxels, case.image.spacing)
    return single_object(_name(case, "tinyreal", label), image, reference, rng)


def faded(case: Case, label: int, rng: np.random.Generator) -> Case:
    """Return one object of a case, nearer to the mean intensity of what is around it."""
    mask = case.reference == label
    near = ndimage.binary_dilation(mask, iterations=RIM) & ~ndimage.binary_dilation(mask)
    voxels = case.image.voxels.astype(np.float32)
    contrast = voxels[mask].mean() - voxels[near].mean()
    voxels -= FADED * contrast * ndimage.gaussian_filter(mask.astype(np.float32), 0.7)
    image = Image(np.clip(voxels, 0, 255).astype(np.uint8), case.image.spacing)
    return single_object(_name(case, "faintreal", label), image, mask, rng)


def _shrunk_patch(scan: Field, mask: Mask, size: int) -> tuple[Field, Mask]:
    """Return an object and its surroundings, shrunk until the object has ``size`` voxels."""
    factor = (size / int(mask.sum())) ** (1 / 3)
    margin = int(np.ceil(RIM / factor))
    roi = ndimage.find_objects(mask.view(np.uint8))[0]
    around = tuple(slice(part.start, part.stop + 2 * margin) for part in roi)
    patch, covered = (
        ndimage.zoom(ndimage.gaussian_filter(part[around], 0.5 / factor), factor, order=1)
        for part in (
            np.pad(scan, margin, mode="edge"),
            np.pad(mask.astype(np.float32), margin),
        )
    )
    smaller = np.zeros(covered.shape, bool)
    smaller.flat[np.argsort(-covered, axis=None, kind="stable")[:size]] = True
    return patch, smaller


def _most_similar_place(
    scan: Field, labelled: Mask, patch: Field, outside: Mask, rng: np.random.Generator
) -> Roi | None:
    """Return where the scan, free of objects, is most like the surroundings of a patch."""
    room = np.subtract(scan.shape, patch.shape)
    if min(room) < 0:
        return None
    corners = rng.integers(0, room + 1, (PLACES, 3))
    places = [
        tuple(slice(low, low + n) for low, n in zip(map(int, corner), patch.shape, strict=True))
        for corner in corners
    ]
    free = [place for place in places if not labelled[place].any()]
    differences = [np.abs(scan[place] - patch)[outside].mean() for place in free]
    return free[int(np.argmin(differences))] if free else None


def _sides(roi: Roi) -> list[int]:
    return [part.stop - part.start for part in roi]


def _name(case: Case, kind: str, label: int) -> str:
    modality, rest = case.name.split("_", 1)
    return f"{modality}_{kind}_{rest}_{label}"
