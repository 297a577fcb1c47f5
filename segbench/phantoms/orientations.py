"""Phantoms as a scanner might store them: axes in several orders and directions, one tilted."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from segbench.core import Case, Grid

# the directions of the axes i, j, k; the tilted one is turned about the axis from right to left
ORIENTATIONS = ("RAS", "LPS", "LAS", "tilted LPS", "PIR", "SAL", "RPI")
TILT_DEGREES = 12.0
POSITIVE = "RAS"


def orientation(index: int) -> str:
    """Return the orientation of a phantom: seven take turns, so that each modality has all."""
    return ORIENTATIONS[index % len(ORIENTATIONS)]


def grid_of(case: Case, name: str) -> Grid:
    """Return the grid in which a phantom is stored; its centre is at 0."""
    axes = name.removeprefix("tilted ")
    sizes, lengths = case.image.spacing[::-1], case.reference.shape[::-1]  # along x, y, z
    matrix, shape = np.zeros((4, 4)), [0, 0, 0]
    for axis, letter in enumerate(axes):
        world = next(at for at, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        matrix[world, axis] = sizes[world] * (1 if letter in POSITIVE else -1)
        shape[axis] = lengths[world]
    if name != axes:
        matrix[:3, :3] = _turn_about_x(TILT_DEGREES) @ matrix[:3, :3]
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(shape) - 1) / 2
    matrix[3, 3] = 1
    i, j, k = shape
    return Grid(tuple(map(tuple, matrix.tolist())), axes, (i, j, k), "")


def _turn_about_x(degrees: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
