"""DSC and NSD, on masks small enough to be checked by hand and against the published package."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import surface_distance
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from segbench.protocol.metrics import (
    dice,
    has_tie,
    has_too_many_rows,
    offsets_within_tolerance,
    surface_areas,
    surface_dice,
)
from segbench.protocol.packed_mask import pack_mask

thorough = settings(max_examples=200, deadline=None, derandomize=True)
SPACINGS = [(1, 1, 1), (5.0, 0.8, 0.8), (0.5, 2, 1), tuple(np.float32([0.8, 0.7, 3])), (9, 9, 9)]


def mask(drawing):
    """Read one slice drawn as text."""
    return np.array([[[voxel == "#" for voxel in row] for row in drawing.split()]])


def nsd(prediction, reference, spacing=(1, 1, 1), tolerance_mm=2.0, exact_sum=False):
    how = {"spacing": spacing, "tolerance_mm": tolerance_mm, "exact_sum": exact_sum}
    return surface_dice(prediction, reference, **how)


def plain_norm(vector):
    a, b, c = vector.tolist()
    return math.sqrt((a * a + b * b) + c * c)


def published(reference, prediction, spacing):
    """Return what the published package measures, its areas rounded as the official ones."""
    with pytest.MonkeyPatch.context() as patch:  # BLAS gives other last bits on other processors
        patch.setattr(np.linalg, "norm", plain_norm)
        return surface_distance.compute_surface_distances(reference, prediction, spacing)


def chunked_sum(areas):
    total = 0.0
    for start in range(0, len(areas), 8192):
        total += float(np.sum(areas[start : start + 8192]))
    return total


@st.composite
def mask_pairs(draw):
    """Draw two masks of one shape: boxes and salt, possibly empty, full or at the border."""
    shape = draw(st.tuples(*[st.integers(1, 9)] * 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pair = []
    for _ in range(2):
        volume = rng.random(shape) < draw(st.sampled_from([0, 0.05, 0.5]))
        if draw(st.booleans()):
            corners = np.sort([rng.integers(0, size + 1, 2) for size in shape])
            volume[tuple(slice(*sides) for sides in corners)] = True
        pair.append(np.asarray(volume, order=draw(st.sampled_from("CF"))))
    return tuple(pair)


def test_dice_counts_the_overlap_twice():
    prediction = mask("##.. ##..")
    reference = mask("#### ....")
    assert dice(prediction, reference) == 2 * 2 / (4 + 4)


def test_dice_of_two_empty_masks_has_no_value():
    empty = mask("... ...")
    assert math.isnan(dice(empty, empty))
    assert dice(empty, ~empty) == dice(~empty, empty) == 0


def test_surface_dice_of_empty_masks_is_nan_or_zero():
    empty = mask("... ...")
    assert math.isnan(nsd(empty, empty))
    assert nsd(empty, ~empty) == nsd(~empty, empty) == 0


@pytest.mark.parametrize(("apart", "share"), [(1, 1), (2, 1), (3, 0.5), (4, 0.0)])
def test_two_voxels_agree_where_their_surfaces_are_within_the_tolerance(apart, share):
    # each voxel has eight corners; three voxels apart, the nearer four are within 2 mm
    prediction, reference = np.zeros((2, 3, 4, 9), bool)
    prediction[1, 1, 2], reference[1, 1, 2 + apart] = True, True
    assert nsd(prediction, reference) == pytest.approx(share, abs=1e-15)


def test_spacing_belongs_to_the_axes_in_array_order():
    prediction, reference = np.zeros((2, 9, 3, 3), bool)
    prediction[1, 1, 1] = reference[4, 1, 1] = True
    assert nsd(prediction, reference, spacing=(0.5, 9, 9)) == 1
    assert nsd(prediction, reference, spacing=(9, 0.5, 0.5)) == 0


def test_the_tolerance_itself_counts_as_agreement():
    prediction, reference = np.zeros((2, 1, 1, 9), bool)
    prediction[0, 0, :5] = reference[0, 0, :7] = True
    assert nsd(prediction, reference, tolerance_mm=2.0) == 1
    assert nsd(prediction, reference, tolerance_mm=1.999) < 1


def test_a_mask_cut_by_the_border_has_a_surface_there():
    full = np.ones((2, 3, 4), bool)
    surface = pack_mask(full).surface()
    assert len(surface.codes) == 3 * 4 * 5 - 1 * 2 * 3
    assert nsd(full, full) == 1


# sha256 of the published package's table in the official environment, whose BLAS has no AVX-512
OFFICIAL_AREAS = {
    (3.2699999809265137, 0.9765620231628418, 0.9765620231628418): "87783cf5473962b4",
    (0.7, 1.3, 0.9): "ee95e839b1d08b99",
    (5.0, 0.8, 0.8): "a7bb00b994a699f7",
}
PRINT_AREAS = """
import hashlib, numpy, sys
from segbench.protocol.metrics import MIRRORED_CODES, surface_areas
spacing = tuple(map(float, sys.argv[1:]))
print(hashlib.sha256(surface_areas(spacing)[MIRRORED_CODES].tobytes()).hexdigest()[:16])
"""


@pytest.mark.parametrize("kernel", ["", "Haswell", "SandyBridge", "Nehalem"])
@pytest.mark.parametrize("spacing", OFFICIAL_AREAS, ids=str)
def test_the_areas_are_the_official_ones_whatever_the_processor(spacing, kernel):
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    environment |= {"OPENBLAS_CORETYPE": kernel} if kernel else {}
    command = [sys.executable, "-c", PRINT_AREAS, *map(str, spacing)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == OFFICIAL_AREAS[spacing]


def test_a_plane_has_the_area_of_a_voxel_face_at_each_corner():
    below = sum(1 << bit for bit in range(4))  # the four voxels of the lower slice
    assert surface_areas((3.0, 0.5, 2.0))[below] == 0.5 * 2.0
    assert surface_areas((3.0, 0.5, 2.0))[0] == surface_areas((3.0, 0.5, 2.0))[255] == 0


@pytest.mark.parametrize("voxel", list(np.ndindex(2, 2, 2)))
def test_each_of_the_eight_voxels_around_a_corner_has_its_own_code(voxel):
    mask = np.zeros((2, 2, 2), bool)
    mask[voxel] = True
    z, y, x = voxel
    surface = pack_mask(mask).surface()
    # bit (1, 1, 1) of the region is the corner in the middle, the upper corner of voxel (0, 0, 0)
    middle = np.ravel_multi_index((1, 1, 1), surface.corners.shape)
    assert surface.codes[surface.corners.positions == middle] == 2 ** (4 * z + 2 * y + x)


@pytest.mark.parametrize(
    ("side_mm", "tolerance_mm", "seed"),
    [
        (0.3, 0.8999999999999999, 5),
        (0.3, 0.8999999999999999, 761),
        (0.3, 1.236931687685298, 5),
        (0.3, 1.236931687685298, 158),
        (0.7, 2.6191601707417584, 5),
        (0.7, 2.6191601707417584, 209),
    ],
)
def test_a_tie_at_the_tolerance_is_decided_as_scipy_does(side_mm, tolerance_mm, seed):
    # offsets of one true length have several float64 lengths here, on both sides of the tolerance;
    # with these seeds the length that scipy happens to take is not the shortest
    spacing, rng = (side_mm,) * 3, np.random.default_rng([seed])
    prediction, reference = rng.random((2, 9, 9, 10)) < rng.choice([0.004, 0.01, 0.03])
    distances = published(reference, prediction, spacing)
    expected = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm)
    assert abs(nsd(prediction, reference, spacing, tolerance_mm) - expected) <= 1e-12


def test_a_tie_is_where_rounding_decides_what_is_within():
    # three voxels along an axis round to the tolerance, (1, 2, 2) to just above it
    assert has_tie(0.8999999999999999, (0.3, 0.3, 0.3), (9, 9, 9))
    # 2 mm along an axis is within, and the next longer offset is not near it
    assert not has_tie(2.0, (1.0, 1.0, 1.0), (9, 9, 9))
    # offsets that are all equally near, all within or all beyond, are no tie
    assert not has_tie(0.9 * (1 + 1e-12), (0.3, 0.3, 0.3), (9, 9, 9))
    assert not has_tie(0.9 * (1 - 1e-12), (0.3, 0.3, 0.3), (9, 9, 9))


def test_the_offsets_within_the_tolerance_are_the_farthest_along_x():
    found = offsets_within_tolerance(2.0, (1.0, 1.0, 1.0), (3, 9, 9))
    assert np.array_equal(found, [[2, 1, 0, -1], [1, 1, -1, -1], [0, -1, -1, -1]])


def test_rows_are_too_many_at_spacings_of_micrometres_unless_the_region_is_small():
    assert has_too_many_rows(2.0, (1e-4, 1e-4, 1e-4), (2000, 2000, 2000))
    assert not has_too_many_rows(2.0, (1e-4, 1e-4, 1e-4), (5, 5, 2000))
    assert offsets_within_tolerance(2.0, (1e-4, 1e-4, 1e-4), (5, 5, 2000)).shape == (5, 5)


def test_a_distance_map_replaces_very_many_offsets():
    prediction, reference = np.random.default_rng(2).random((2, 150, 150, 3)) < 1e-4
    spacing, tolerance_mm = (0.02, 0.02, 1.0), 1.7
    assert has_too_many_rows(tolerance_mm, spacing, prediction.shape)
    distances = published(reference, prediction, spacing)
    expected = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm)
    assert 0 < expected < 1
    assert abs(nsd(prediction, reference, spacing, tolerance_mm) - expected) <= 1e-12


@pytest.mark.parametrize("tolerance_mm", [0.0, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5])
def test_exact_sum_adds_long_surfaces_in_chunks_of_8192(tolerance_mm):
    prediction, reference = np.random.default_rng(0).random((2, 30, 31, 32)) < 0.2
    spacing = (0.7, 1.3, 0.9)
    found = published(reference, prediction, spacing)
    agreeing, whole = 0.0, 0.0
    for areas, distances in (
        (found["surfel_areas_gt"], found["distances_gt_to_pred"]),
        (found["surfel_areas_pred"], found["distances_pred_to_gt"]),
    ):
        agreeing += chunked_sum(areas[distances <= tolerance_mm])
        whole += chunked_sum(areas)
        assert len(areas) > 2 * 8192
    exact = nsd(prediction, reference, spacing, tolerance_mm, exact_sum=True)
    assert exact == agreeing / whole
    assert nsd(prediction, reference, spacing, tolerance_mm) == pytest.approx(exact, abs=1e-12)


@given(mask_pairs(), st.sampled_from(SPACINGS), st.sampled_from([0.0, 1.0, 2.0, 3.7]))
@thorough
def test_surface_dice_is_that_of_the_published_package(pair, spacing, tolerance_mm):
    prediction, reference = pair
    assume(prediction.any() and reference.any())
    distances = published(reference, prediction, spacing)
    expected = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm)
    assert abs(nsd(prediction, reference, spacing, tolerance_mm) - expected) <= 1e-12
    # below 8192 corners numpy sums as the official script's numpy did
    assert nsd(prediction, reference, spacing, tolerance_mm, exact_sum=True) == expected


@given(mask_pairs(), st.sampled_from(SPACINGS))
@thorough
def test_both_metrics_are_symmetric_and_lie_between_0_and_1(pair, spacing):
    prediction, reference = pair
    assume(prediction.any() or reference.any())
    assert 0 <= dice(prediction, reference) == dice(reference, prediction) <= 1
    there, back = nsd(prediction, reference, spacing), nsd(reference, prediction, spacing)
    assert 0 <= there <= 1
    assert there == pytest.approx(back, abs=1e-15)


@given(mask_pairs(), st.sampled_from(SPACINGS))
@thorough
def test_a_mask_agrees_with_itself(pair, spacing):
    assume(pair[0].any())
    assert dice(pair[0], pair[0]) == nsd(pair[0], pair[0], spacing) == 1


@given(mask_pairs(), st.sampled_from(SPACINGS))
@thorough
def test_a_larger_volume_around_changes_nothing(pair, spacing):
    larger = [np.pad(volume, ((1, 0), (2, 3), (0, 1))) for volume in pair]
    for metric in (dice, lambda *masks: nsd(*masks, spacing)):
        assert np.array_equal(metric(*pair), metric(*larger), equal_nan=True)
