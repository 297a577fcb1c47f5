"""Where a frame of a segmentation is in the image: on its voxels, or the frame is refused.

A frame may be flipped or transposed against the image, lie along any two of its axes and cover a
part of it. Every corner must be within `SNAP` of the centre of a voxel; nothing is resampled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.dicom_frames import Plane
from segbench.data.convert.dicom_grid import LPS_TO_RAS
from segbench.data.convert.dicom_painting import Voxels
from segbench.data.convert.volume import Affine, Volume
from segbench.errors import CaseError

SNAP = 0.1  # of a voxel; frames and contours further off the image's grid are refused


def voxels_of(mask: NDArray[np.bool_], plane: Plane, image: Volume, name: str) -> Voxels:
    """Return the voxels of the image where a mask is true.

    Parameters
    ----------
    mask : bool array, shape (row, column)
    plane : Plane
        Where the mask is.
    image : Volume
    name : str
        Of the mask's file, for messages.

    Raises
    ------
    CaseError
        If pixels are not on voxels, with the difference in mm, or outside the image.
    """
    start, axes = _on_voxels(mask.shape, plane, image, name)
    rows, columns = np.nonzero(mask)
    index = start[:, None] + axes @ np.stack([columns, rows])
    last = np.array(image.voxels.shape)[:, None] - 1
    beyond = np.maximum(np.maximum(-index, index - last), 0)
    if beyond.any():
        distance = np.linalg.norm(image.affine[:3, :3] @ beyond, axis=0).max()
        raise CaseError(
            f"{name}: expected segments inside the image, found {int(beyond.any(0).sum())} pixels "
            f"of a frame outside, up to {distance:.1f} mm"
        )
    i, j, k = index
    return i, j, k


def indices_of(points: NDArray[np.float64], affine: Affine) -> NDArray[np.float64]:
    """Return the indices (column, row, slice) of points in mm in LPS, shape (n, 3)."""
    inverse = np.linalg.inv(affine)
    found: NDArray[np.float64] = points @ LPS_TO_RAS @ inverse[:3, :3].T + inverse[:3, 3]
    return found


def _on_voxels(
    shape: tuple[int, ...], plane: Plane, image: Volume, name: str
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the voxel of the first pixel, and the steps (3, 2) of a column and of a row."""
    first = np.array(plane.position)
    directions = np.reshape(plane.orientation, (2, 3)) * np.array(plane.spacing[::-1])[:, None]
    points = indices_of(np.array([first, *(first + directions)]), image.affine)
    start, steps = points[0], (points[1:] - points[0]).T
    axes = np.zeros((3, 2))
    nearest = np.abs(steps).argmax(0)
    axes[nearest, (0, 1)] = np.sign(steps[nearest, (0, 1)])
    rows, columns = shape
    corners = np.array([[0, columns - 1, 0, columns - 1], [0, 0, rows - 1, rows - 1]])
    off = (start - start.round())[:, None] + (steps - axes) @ corners
    if np.abs(off).max() > SNAP or nearest[0] == nearest[1]:
        distance = np.linalg.norm(image.affine[:3, :3] @ off, axis=0).max()
        raise CaseError(
            f"{name}: expected frames on the voxels of the image, found one up to "
            f"{distance:.3f} mm off them"
        )
    return start.round().astype(np.intp), axes.astype(np.intp)
