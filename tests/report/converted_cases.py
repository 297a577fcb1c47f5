"""Cases on grids of every orientation, as a conversion makes them, and their sources."""

import itertools
from dataclasses import dataclass

import numpy as np

from segbench.core import Box, Case, Grid, Image
from segbench.data.convert.volume import Volume, case_spacing, to_case_order

SHAPE = (7, 8, 9)  # of the source, along its axes
SPACINGS = ((0.7, 1.3, 3.1), (5.0, 0.9, 0.9), (1.0, 2.5, 1.7))


@dataclass(frozen=True, eq=False)
class Source:
    """Label map and image in the order of the source, and its matrix as NIfTI stores it."""

    labels: np.ndarray
    image: np.ndarray
    affine: np.ndarray


def orthogonal_affines(sizes):
    """Yield the matrices of all 48 orientations."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrix = np.zeros((4, 4))
            for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[world, axis] = sign * sizes[axis]
            matrix[:, 3] = (-11.5, 7.25, 100.0, 1)
            yield as_stored(matrix)


def oblique_affine(sizes=SPACINGS[0], shear=0.0):
    """Return a matrix that is turned about all axes, mirrored, and sheared by wish."""
    turn = np.linalg.qr(np.array([[1.0, 0.2, -0.1], [-0.25, 1.0, 0.3], [0.05, -0.3, 1.0]]))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(sizes) + shear * np.eye(3, k=1)
    matrix[:3, 3] = (5, -3, 2)
    matrix[:, [0, 2]] = matrix[:, [2, 0]]  # another order of the axes
    return as_stored(matrix)


def as_stored(matrix):
    return matrix.astype(np.float32).astype(np.float64)


def source(affine, seed=0):
    """Return an asymmetric source: no two axes or directions look alike."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 2:7, 3:5] = 1
    labels[1, 2, 6] = labels[5:7, 0:3, 1:8] = 2
    image = (labels * 60 + rng.integers(0, 40, SHAPE)).astype(np.uint8)
    return Source(labels, image, affine)


def case_of(name, found: Source, *, with_grid=True):
    """Return the case of a source, with exact boxes."""
    volume = Volume(found.image, found.affine)
    reference = to_case_order(Volume(found.labels, found.affine))
    rows = tuple(map(tuple, found.affine.tolist()))
    labels = [("liver", 1), ('portal "vein"', 2)]
    facts = {"labels": [{"label": n, "values": [n], "name": name} for name, n in labels]}
    grid = Grid(rows, volume.axes, SHAPE, "0" * 64, facts) if with_grid else None
    image = Image(to_case_order(volume), case_spacing(found.affine))
    boxes = tuple(box_around(reference == label, label) for label in (1, 2))
    return Case(name, image, reference, boxes, (1, 2), "CT", grid=grid)


def box_around(mask, label):
    low = tuple(int(at.min()) for at in np.nonzero(mask))
    high = tuple(int(at.max()) + 1 for at in np.nonzero(mask))
    return Box(label, low, high, (low[0] + high[0] - 1) // 2)
