"""Where a case is: its arrays in the order of its source's axes, its voxels in millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.core import Case, Grid
from segbench.data.convert.volume import Affine, case_affine, from_case_order
from segbench.errors import CaseError

RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
STATED_GRID = "no source grid: LPS axes, origin 0"


@dataclass(frozen=True, eq=False)
class Placement:
    """The grid of a case's files.

    Attributes
    ----------
    grid : Grid or None
        That of the source; None: the axes of the case count as LPS, its first voxel is at 0.
    affine : array, shape (4, 4)
        From voxel index of a written file to mm in RAS.
    case_to_ras : array, shape (4, 4)
        From voxel index (x, y, z) of the case to mm in RAS.
    """

    grid: Grid | None
    affine: Affine
    case_to_ras: Affine

    @staticmethod
    def of(case: Case) -> Placement:
        """Return where a case is.

        Raises
        ------
        CaseError
            If its arrays do not have the shape of its source.
        """
        if case.grid is None:
            z, y, x = case.image.spacing
            affine = np.diag([-x, -y, z, 1.0])
            return Placement(None, affine, affine)
        found = Placement(case.grid, np.asarray(case.grid.affine), case_affine(case.grid))
        try:
            found.in_file_order(np.broadcast_to(np.uint8(0), case.reference.shape))
        except CaseError as error:
            raise CaseError(f"{case.name}: {error}") from None
        return found

    @property
    def note(self) -> str:
        """What a file says of its grid; empty if it is that of the source."""
        return STATED_GRID if self.grid is None else ""

    def in_file_order(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return an array of the case, (z, y, x), in the axis order of a written file."""
        if self.grid is None:
            return array.transpose(2, 1, 0)
        return from_case_order(array, self.grid)

    def in_lps(self, point: Sequence[float]) -> NDArray[np.float64]:
        """Return a point of the case's voxel grid, (z, y, x), in mm in LPS."""
        index = np.array([*point[::-1], 1.0])
        lps: NDArray[np.float64] = (self.case_to_ras @ index)[:3] * RAS_TO_LPS
        return lps

    def axes_in_lps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the directions of the case's x, y and z in LPS as columns, and the voxel sizes.

        The directions are orthonormal and right-handed: those of a sheared grid are the nearest
        ones, and one of a mirrored grid is reversed.
        """
        steps = RAS_TO_LPS[:, None] * self.case_to_ras[:3, :3]
        sizes = np.linalg.norm(steps, axis=0)
        u, _, v = np.linalg.svd(steps / sizes)
        axes: NDArray[np.float64] = u @ v
        if np.linalg.det(axes) < 0:
            axes[:, 0] *= -1
        return axes, sizes
