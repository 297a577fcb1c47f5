"""From the planes of slices to one grid: their order, their distance, and what is wrong with them.

Slices are ordered by their position along the normal of the image plane. Their centres must be on
a regular grid within `OFF_GRID` of the slice distance; the affine has the mean distance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segbench.data.convert.dicom_files import listed
from segbench.data.convert.dicom_frames import Frame
from segbench.data.convert.volume import Affine
from segbench.errors import CaseError
from segbench.messages import are, counted

OFF_GRID = 0.05  # of the slice distance; more is refused
NOTED_OFF_GRID = 0.01  # more is noted
SAME_PLACE_MM = 1e-3  # two slices nearer than this are at one position
SAME_COSINE = 1e-4  # of directions of slices
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def ordered(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames in the order of their positions along the normal.

    Raises
    ------
    CaseError
        If there are fewer than two, their planes differ in direction or pixel size, or some have
        the same position.
    """
    if len(frames) < 2:
        raise CaseError(f"{frames[0].file}: expected at least two slices, found one")
    _check_alike(frames)
    along = _positions(frames) @ _normal(frames[0])
    order = np.argsort(along, kind="stable")
    found = [frames[index] for index in order]
    _check_places(found, np.diff(along[order]))
    return found


def grid_of(frames: Sequence[Frame]) -> tuple[Affine, tuple[str, ...]]:
    """Return the matrix from (column, row, slice) to mm in RAS, and what is to be noted.

    Parameters
    ----------
    frames : sequence of Frame
        In their order.

    Raises
    ------
    CaseError
        If slices are missing or their distances differ.
    """
    positions, normal = _positions(frames), _normal(frames[0])
    _check_distances(frames, np.diff(positions @ normal))
    last = len(frames) - 1
    step = (positions[-1] - positions[0]) / last
    regular = positions[0] + np.arange(last + 1)[:, None] * step
    off = np.linalg.norm(positions - regular, axis=1)
    distance = float(step @ normal)
    if off.max() > OFF_GRID * distance:
        raise CaseError(
            f"{frames[int(off.argmax())].file}: expected slices on a regular grid, found one that "
            f"is {off.max():.3f} mm off it, at a slice distance of {distance:.3f} mm"
        )
    plane = frames[0].plane
    matrix = np.eye(4)
    matrix[:3, 0] = LPS_TO_RAS @ plane.orientation[:3] * plane.spacing[1]
    matrix[:3, 1] = LPS_TO_RAS @ plane.orientation[3:] * plane.spacing[0]
    matrix[:3, 2] = LPS_TO_RAS @ step
    matrix[:3, 3] = LPS_TO_RAS @ positions[0]
    return matrix, _notes(float(off.max()), distance)


def _notes(off: float, distance: float) -> tuple[str, ...]:
    if off <= NOTED_OFF_GRID * distance:
        return ()
    text = f"slices are up to {off:.3f} mm off a regular grid of {distance:.3f} mm"
    return (f"{text}; the grid is used",)


def _positions(frames: Sequence[Frame]) -> NDArray[np.float64]:
    return np.array([frame.plane.position for frame in frames])


def _normal(frame: Frame) -> NDArray[np.float64]:
    axes = np.reshape(frame.plane.orientation, (2, 3))
    normal: NDArray[np.float64] = np.cross(axes[0], axes[1])
    return normal / np.linalg.norm(normal)


def _check_alike(frames: Sequence[Frame]) -> None:
    first = frames[0]
    for frame in frames:
        turned = np.abs(np.subtract(frame.plane.orientation, first.plane.orientation)).max()
        if turned > SAME_COSINE:
            raise CaseError(
                f"{frame.file}: expected the direction of {first.file}, found another one (a "
                "localizer, or several stacks in one series)"
            )
        if np.abs(np.subtract(frame.plane.spacing, first.plane.spacing)).max() > SAME_PLACE_MM:
            raise CaseError(
                f"{frame.file}: expected the pixel size of {first.file}, {first.plane.spacing}, "
                f"found {frame.plane.spacing}"
            )


def _check_places(frames: Sequence[Frame], steps: NDArray[np.float64]) -> None:
    same = np.flatnonzero(steps < SAME_PLACE_MM)
    if not same.size:
        return
    starts = np.flatnonzero(np.concatenate([[True], steps >= SAME_PLACE_MM]))
    counts = np.diff([*starts, len(frames)])
    first, second = frames[same[0]].file, frames[same[0] + 1].file
    if len(counts) > 1 and (counts == counts[0]).all():
        raise CaseError(
            f"{first}: expected one slice at each position, found {counts[0]} at each of "
            f"{len(counts)}, such as {second} (4D: times, echoes, b-values or stacks, or all files "
            "twice)"
        )
    raise CaseError(
        f"{first}: expected one slice at each position, found "
        f"{listed(counts[counts > 1].tolist())} at {(counts > 1).sum()} of {len(counts)} "
        f"positions, such as {second}"
    )


def _check_distances(frames: Sequence[Frame], steps: NDArray[np.float64]) -> None:
    smallest = steps.min()
    ratio = steps / smallest
    gap = int(ratio.argmax())
    if ratio[gap] < 1.5:
        return
    file, between = frames[gap].file, f"{steps[gap]:.3f} mm to {frames[gap + 1].file}"
    if np.abs(ratio - ratio.round()).max() < 3 * OFF_GRID:
        missing = int((ratio.round() - 1).sum())
        raise CaseError(
            f"{file}: expected slices {smallest:.3f} mm apart, found {between}: "
            f"{counted(missing, 'slice')} {are(missing)} missing, or the distance changes"
        )
    raise CaseError(
        f"{file}: expected one slice distance, found {smallest:.3f} mm at the least and {between}"
    )
