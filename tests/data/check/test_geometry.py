"""Which axis is odd, and whether the shape agrees."""

import math

import numpy as np
import pytest

from segbench.core import Grid
from segbench.data.check.geometry import (
    axis_evidence,
    grid_findings,
    looks_reversed,
    odd_axis,
    order_findings,
)


def image(shape, spacing):
    """Return noise that is as smooth along each axis as its spacing says."""
    z, y, x = np.indices(shape)
    return np.sin(z * spacing[0] / 9) + np.sin(y * spacing[1] / 9) + np.cos(x * spacing[2] / 9)


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((3.0, 1.0, 1.0), 0),
        ((1.0, 3.0, 1.0), 1),
        ((1.0, 1.0, 3.0), 2),
        ((1.0, 2.0, 2.01), 0),
        ((1.0, 1.0, 1.0), None),
        ((1.0, 1.05, 1.05), None),
        ((3.0, 2.0, 1.0), None),
    ],
)
def test_the_odd_axis_is_the_one_with_another_spacing(spacing, axis):
    assert odd_axis(spacing) == axis


def test_the_two_axes_in_plane_have_similar_sides():
    right = axis_evidence(image((30, 90, 100), (3, 1, 1)), (3, 1, 1))
    swapped = axis_evidence(image((30, 90, 100), (3, 1, 1)), (1, 1, 3))
    assert right.size == pytest.approx(math.log(90 / 30) - math.log(100 / 90))
    assert swapped.size == pytest.approx(-right.size)
    assert right.smoothness > 0 > swapped.smoothness
    assert not looks_reversed(right)
    assert looks_reversed(swapped)


def test_a_middle_axis_or_an_isotropic_spacing_tells_nothing():
    voxels = image((30, 90, 100), (1, 1, 1))
    assert axis_evidence(voxels, (1, 1, 1)) is None
    assert axis_evidence(voxels, (1, 3, 1)) is None
    assert axis_evidence(voxels[:1], (3, 1, 1)) is None


def test_a_narrow_crop_is_not_taken_for_a_swap():
    # the sides 60 and 62 are alike by chance, and the image is as rough along z as it should be
    spacing = (5.0, 1.0, 1.0)
    assert not looks_reversed(axis_evidence(image((60, 62, 120), spacing), spacing))
    constant = np.zeros((60, 62, 120))
    assert axis_evidence(constant, spacing).smoothness == 0


def test_a_cube_of_isotropic_ct_with_a_short_last_axis_has_its_slices_last():
    shape, spacing = (128, 128, 40), (1.5, 1.5, 1.5)
    assert [f.code for f in order_findings("a", "CT", shape, spacing, None)] == ["array-order"]
    assert list(order_findings("a", "MR", shape, spacing, None)) == []
    assert list(order_findings("a", "CT", shape[::-1], spacing, None)) == []


def grid(affine, axes, shape):
    return Grid(tuple(map(tuple, affine)), axes, shape, "0")


def test_spacing_and_shape_are_those_of_the_grid_in_any_orientation():
    # the source has its axes along z, x and y of the case
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -3, 0.8, 0.7, 1
    source = grid(affine, "IRA", (26, 66, 60))
    assert list(grid_findings("a", (26, 60, 66), (3.0, 0.7, 0.8), source)) == []
    for shape, spacing in (
        ((26, 60, 66), (3.0, 0.8, 0.7)),
        ((26, 66, 60), (3.0, 0.7, 0.8)),
        ((26, 60, 66), (6.0, 0.7, 0.8)),
    ):
        (found,) = grid_findings("a", shape, spacing, source)
        assert found.code == "spacing-grid"


def test_unknown_directions_of_a_grid_are_a_finding():
    for axes in ("", "XYZ", "LLL", "LP"):
        (found,) = grid_findings("a", (4, 4, 4), (1, 1, 1), grid(np.eye(4), axes, (4, 4, 4)))
        assert "grid_axes" in found.what
