"""Three volumes to measure on, made by seed: what real cases cost, without their data.

organs: 160x512x512, 13 bumpy organs of a CT; three: 192x256x256, 3 large solid labels; vessel:
600x500x500, one branching tree whose errors take the path for large components.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Volume:
    """A reference, a prediction of middling quality, and the voxel size in mm."""

    reference: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, float, float]
    buffer: np.ndarray | None = None  # for predictions, which then overwrite the first one, too

    @property
    def labels(self) -> tuple[int, ...]:
        return tuple(range(1, int(self.reference.max()) + 1))


def three(scale: float = 1) -> Volume:
    rng = np.random.RandomState(102)
    reference = np.zeros(_scaled((192, 256, 256), scale), np.uint8)
    organs = [
        ((96, 128, 120), (70, 85, 80)),
        ((100, 120, 120), (35, 45, 45)),
        ((80, 150, 170), (15, 18, 22)),
    ]
    _add_organs(reference, organs, rng, scale)
    return Volume(reference, with_errors(reference, rng), (1.0, 1.0, 1.0))


def organs(scale: float = 1, labels: int = 13) -> Volume:
    rng = np.random.RandomState(101)
    reference = np.zeros(_scaled((160, 512, 512), scale), np.uint8)
    organs = [
        ((90, 220, 330), (45, 95, 110)),  # like a liver
        ((100, 260, 130), (30, 50, 45)),  # spleen
        ((60, 330, 180), (32, 35, 32)),  # kidneys
        ((62, 330, 340), (32, 35, 32)),
        ((95, 190, 200), (30, 45, 60)),  # stomach
        ((70, 270, 260), (14, 22, 70)),  # pancreas
        ((80, 290, 255), (78, 14, 14)),  # aorta
        ((80, 285, 290), (78, 12, 14)),  # vena cava
        ((20, 250, 256), (18, 50, 60)),  # bladder
        ((78, 300, 215), (6, 8, 12)),  # adrenals
        ((78, 300, 300), (6, 8, 12)),
        ((95, 230, 390), (10, 18, 22)),  # gallbladder
        ((140, 270, 245), (19, 10, 12)),  # oesophagus
    ]
    _add_organs(reference, organs[:labels], rng, scale)
    return Volume(reference, with_errors(reference, rng), (2.5, 0.8, 0.8))


def vessel() -> Volume:
    rng = np.random.RandomState(103)
    reference = np.zeros((600, 500, 500), np.uint8)
    _branch(reference, (20, 250, 250), (1, 0, 0), (13, 190, 5), rng)
    return Volume(reference, with_errors(reference, rng), (0.8, 0.8, 0.8))


VOLUMES: dict[str, Callable[[], Volume]] = {"three": three, "organs": organs, "vessel": vessel}


def with_errors(reference: np.ndarray, rng: np.random.RandomState, times: int = 2) -> np.ndarray:
    """Shift each label by a few voxels, erode or dilate it, bite chunks out and add blobs."""
    prediction = np.zeros_like(reference)
    for label, box in enumerate(ndimage.find_objects(reference), start=1):
        roi = tuple(
            slice(max(0, side.start - 8), min(size, side.stop + 8))
            for side, size in zip(box, reference.shape, strict=True)
        )
        shift = tuple(rng.randint(-3, 4, 3))
        mask = np.roll(reference[roi] == label, shift, (0, 1, 2))
        change = ndimage.binary_erosion if label % 2 else ndimage.binary_dilation
        mask = change(mask, iterations=times) if times else mask
        for number in range(4):
            center = [rng.randint(size) for size in mask.shape]
            part, distance = _ellipsoid(
                mask.shape, center, [max(2, 0.08 * size) for size in mask.shape]
            )
            mask[part][distance <= 1] = bool(number % 2)
        prediction[roi][mask] = label
    return prediction


def corrected(
    prediction: np.ndarray, reference: np.ndarray, clicks, segmentation=None
) -> np.ndarray:
    """Predict as a good model does: right in a ball around each click, unchanged elsewhere.

    The prediction may be written into a buffer, whose allocation is not measured then.
    """
    segmentation = np.empty_like(prediction) if segmentation is None else segmentation
    segmentation[:] = prediction
    radius = max(reference.shape) / 10
    for click in clicks:
        roi, distance = _ellipsoid(reference.shape, click.voxel, [radius] * 3)
        near = distance <= 1
        segmentation[roi][near] = reference[roi][near]
    return segmentation


def _scaled(values, scale):
    return tuple(round(value * scale) for value in values)


def _ellipsoid(shape, center, radii):
    """Return a roi around an ellipsoid, and in it the distance to its centre, 1 on its rim."""
    low = [max(0, int(at - r) - 1) for at, r in zip(center, radii, strict=True)]
    high = [min(size, int(at + r) + 2) for at, r, size in zip(center, radii, shape, strict=True)]
    roi = tuple(slice(*sides) for sides in zip(low, high, strict=True))
    z, y, x = (
        ((np.arange(side.start, side.stop) - at) / r) ** 2
        for side, at, r in zip(roi, center, radii, strict=True)
    )
    return roi, z[:, None, None] + y[:, None] + x


def _add_organs(reference, organs, rng, scale, bumps=0.35):
    """Add ellipsoids with a smooth random surface, later ones over earlier."""
    for label, (center, radii) in enumerate(organs, start=1):
        center, radii = ([v * scale for v in values] for values in (center, radii))
        roi, distance = _ellipsoid(reference.shape, center, [r * (1 + bumps) for r in radii])
        sides = distance.shape
        noise = ndimage.zoom(rng.randn(8, 8, 8), [side / 8 for side in sides], order=1)
        noise = noise[tuple(slice(side) for side in sides)]
        reference[roi][distance * (1 + bumps) ** 2 <= 1 + bumps * noise] = label


def _branch(reference, start, direction, size, rng):
    """Grow a tube that wanders, thins and splits until it leaves the volume."""
    radius, length, splits = size
    at, direction = np.array(start, float), np.array(direction, float)
    for step in range(int(length)):
        at = at + direction
        direction = direction + rng.randn(3) * 0.12
        direction /= np.linalg.norm(direction)
        if not all(2 < a < n - 3 for a, n in zip(at, reference.shape, strict=True)):
            return
        roi, distance = _ellipsoid(reference.shape, at, [radius * (1 - 0.3 * step / length)] * 3)
        reference[roi][distance <= 1] = 1
    if splits:
        for _ in range(3 if splits > 3 else 2):
            turned = direction + rng.randn(3) * 0.7
            thinner = (radius * 0.75, length * 0.8, splits - 1)
            _branch(reference, at, turned / np.linalg.norm(turned), thinner, rng)
