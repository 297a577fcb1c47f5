"""Every orientation, every axis: voxels keep their place in the world, and come back."""

import itertools

import numpy as np
import pytest
from nibabel.affines import apply_affine

from segbench.core import Grid
from segbench.data.convert.volume import (
    Volume,
    case_affine,
    case_spacing,
    checked_affine,
    from_case_order,
    to_case_order,
)
from segbench.errors import CaseError

SHAPE = (4, 5, 6)
SIZES = (0.7, 1.3, 3.1)


def affines():
    """Yield the matrices of all 48 orientations, and their names."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrix = np.zeros((4, 4))
            for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[world, axis] = sign * SIZES[axis]
            matrix[:, 3] = (-11.5, 7.25, 100.0, 1)
            yield pytest.param(matrix, id=f"{order}{signs}")


def oblique():
    """Return a matrix that is turned about all axes and sheared a little."""
    turn = np.linalg.qr(np.array([[1.0, 0.2, -0.1], [-0.25, 1.0, 0.3], [0.05, -0.3, 1.0]]))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(SIZES) + np.array([[0, 0.02, 0], [0, 0, 0.05], [0, 0, 0]])
    matrix[:3, 3] = (5, -3, 2)
    return matrix


@pytest.mark.parametrize("affine", [*affines(), pytest.param(oblique(), id="oblique")])
def test_a_voxel_keeps_its_place_and_comes_back(affine):
    voxels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    volume = Volume(voxels, affine)
    array = to_case_order(volume)
    grid = Grid(tuple(map(tuple, affine)), volume.axes, SHAPE, "0" * 64)
    np.testing.assert_array_equal(from_case_order(array, grid), voxels)
    to_world = case_affine(grid)
    for index in np.ndindex(SHAPE):
        z, y, x = (int(at[0]) for at in np.nonzero(array == voxels[index]))
        np.testing.assert_allclose(
            apply_affine(to_world, (x, y, z)), apply_affine(affine, index), atol=1e-9
        )
    # x to the left, y to the back, z to the head, as far as the axes allow
    towards = to_world[:3, :3] / np.linalg.norm(to_world[:3, :3], axis=0)
    assert np.all(np.diag(towards) * (-1, -1, 1) > 0.5)
    np.testing.assert_allclose(case_spacing(affine), np.linalg.norm(to_world[:3, :3], axis=0)[::-1])


@pytest.mark.parametrize(
    "affine",
    [np.zeros((4, 4)), np.eye(3), np.full((4, 4), np.nan), np.diag([1.0, 1.0, 0.0, 1.0])],
    ids=["zero", "3 x 3", "nan", "flat"],
)
def test_a_matrix_that_places_no_voxels_is_refused(affine):
    with pytest.raises(CaseError, match=r"scan\.nii: expected a"):
        checked_affine(affine, "scan.nii")


def test_an_array_of_another_shape_is_refused():
    grid = Grid(tuple(map(tuple, np.eye(4))), "RAS", SHAPE, "0" * 64)
    with pytest.raises(CaseError, match="expected an array for a source of shape"):
        from_case_order(np.zeros(SHAPE), grid)
