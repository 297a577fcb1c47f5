"""Every further metric on 200 random pairs, against its library or a plain implementation."""

import math

import numpy as np
import pytest
import surface_distance
from scipy import ndimage

from segbench.core import Click
from segbench.further_metrics.metric import KINDS, parse_metric
from segbench.further_metrics.prepared_case import OF_PREDICTION, OF_REFERENCE, PreparedCase
from tests.further_metrics import random_masks as plain

PAIRS = [plain.pair(seed) for seed in range(200)]
TOLERANCES = (0.6, 2, 3, 9)
LIBRARY = [plain.library_distances(*pair) for pair in PAIRS]


def value(metric, prediction, reference, spacing, *, label=1, **how):
    """Return a metric of two masks, computed as that of a case with one label."""
    prepared = PreparedCase(reference.astype(np.uint8) * label, (label,), spacing)
    asked = parse_metric(metric)
    if asked.kind in OF_REFERENCE:
        (found,) = prepared.reference_values(asked)
    else:
        (found,) = prepared.compare(prediction.astype(np.uint8) * label).values(asked, **how)
    return found


def values(metric):
    return [value(metric, *pair) for pair in PAIRS]


def test_the_pairs_are_worth_comparing():
    expected = [plain.lesion_f1(prediction, reference) for prediction, reference, _ in PAIRS]
    assert len(set(expected)) > 40
    assert all(mask.any() for pair in PAIRS for mask in pair[:2])
    assert sum(mask[0].any() for _, mask, _ in PAIRS) > 100  # at the border of the volume


@pytest.mark.parametrize("tolerance_mm", TOLERANCES)
def test_nsd_is_that_of_surface_distance(tolerance_mm):
    expected = [
        surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm)
        for distances in LIBRARY
    ]
    found = values(f"nsd-ungated@{tolerance_mm}mm")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert values(f"nsd@{tolerance_mm}mm")[:20] == found[:20]


@pytest.mark.parametrize("tolerance_mm", TOLERANCES)
def test_nsd_by_voxels_is_that_of_whole_distance_maps(tolerance_mm):
    expected = [plain.nsd_voxels(*pair, tolerance_mm) for pair in PAIRS]
    assert values(f"nsd-voxels@{tolerance_mm}mm") == expected


def test_hd95_is_that_of_surface_distance():
    expected = [surface_distance.compute_robust_hausdorff(found, 95) for found in LIBRARY]
    np.testing.assert_allclose(values("hd95"), expected, rtol=1e-12)


def test_assd_is_both_averages_of_surface_distance():
    expected = list(map(plain.assd, LIBRARY))
    np.testing.assert_allclose(values("assd"), expected, rtol=1e-12)


def test_volume_error_is_signed_and_relative():
    expected = [(a.sum() - b.sum()) / b.sum() for a, b, _ in PAIRS]
    assert min(expected) < 0 < max(expected)
    assert values("volume-error") == expected


def test_lesion_f1_is_that_of_components_compared_one_by_one():
    assert values("lesion-f1") == [plain.lesion_f1(*masks) for *masks, _ in PAIRS]


def test_obeyed_is_the_label_of_the_clicked_voxel():
    rng = np.random.default_rng(0)
    seen = set()
    for prediction, reference, spacing in PAIRS:
        voxel = tuple(map(int, rng.integers(0, prediction.shape)))
        click = Click(1, voxel, positive=bool(rng.integers(2)))
        expected = float(prediction[voxel] == click.positive)
        assert value("obeyed", prediction, reference, spacing, clicks=[click]) == expected
        other = value("obeyed", prediction, reference, spacing, clicks=[click], label=2)
        assert math.isnan(other)
        seen.add((click.positive, expected))
    assert len(seen) == 4


def test_two_facts_of_the_reference_are_those_of_surface_distance():
    checked, tolerance_mm = 0, 1
    for prediction, reference, spacing in PAIRS:
        low, high = np.argwhere(reference).min(axis=0), np.argwhere(reference).max(axis=0) + 1
        box = np.zeros_like(reference)
        box[tuple(map(slice, low, high))] = True
        changed = {"nsd-box": box, "nsd-eroded": ndimage.binary_erosion(reference)}
        for name, mask in changed.items():
            if mask.any():
                distances = plain.library_distances(mask, reference, spacing)
                expected = surface_distance.compute_surface_dice_at_tolerance(
                    distances, tolerance_mm
                )
                found = value(f"{name}@{tolerance_mm}", prediction, reference, spacing)
                assert found == pytest.approx(expected, rel=1e-12)
                checked += 1
    assert checked > 250


# ---- by hand ----------------------------------------------------------------------------------


def masks(*drawings):
    """Read one slice of each mask, drawn as text."""
    return [np.array([[[at == "#" for at in row] for row in each.split()]]) for each in drawings]


def test_two_voxels_apart_by_three_have_that_distance_everywhere():
    prediction, reference = masks("#.......", "...#....")
    spacing = (1.0, 1.0, 2.0)
    assert value("hd95", prediction, reference, spacing) == 6
    assert 4 < value("assd", prediction, reference, spacing) < 6  # the near sides are at 4
    assert value("nsd-voxels@6", prediction, reference, spacing) == 1
    assert value("nsd-voxels@5.9", prediction, reference, spacing) == 0


def test_a_lesion_is_found_by_one_voxel_and_diagonal_voxels_are_one():
    prediction, reference = masks("##....#..\n......#..", "#....#..#\n....#...#")
    # of the reference the first is found; of the prediction the second touches none
    assert value("lesion-f1", prediction, reference, (1, 1, 1)) == 2 / (2 + 1 + 2)


def test_an_empty_prediction_has_no_distance_and_no_agreement():
    nothing, reference = masks("....", ".##.")
    found = {
        name: value(name, nothing, reference, (1, 1, 1)) for name in KINDS if name in OF_PREDICTION
    }
    assert math.isnan(found.pop("hd95"))
    assert math.isnan(found.pop("assd"))
    assert found.pop("volume-error") == -1
    assert set(found.values()) == {0}
    assert len(found) == 4


def test_the_gate_is_on_the_mean_over_labels_and_strict():
    reference = np.zeros((4, 9, 9), np.uint8)
    reference[1:3, 1:3, 1:3], reference[1:3, 5:7, 5:7] = 1, 2
    only_first = np.where(reference == 1, 1, 0).astype(np.uint8)
    compared = PreparedCase(reference, (1, 2), (1, 1, 1)).compare(only_first)  # DSC 1 and 0
    assert compared.values(parse_metric("nsd@1mm"), gate=0.5) == (0, 0)
    assert compared.values(parse_metric("nsd@1mm"), gate=0.49) == (1, 0)
    assert compared.values(parse_metric("nsd-ungated@1mm"), gate=0.5) == (1, 0)


def test_a_reference_whose_region_has_grown_gives_the_same():
    prediction, reference, spacing = PAIRS[7]
    prepared = PreparedCase(np.pad(reference, 20).astype(np.uint8), (1,), spacing)
    everywhere = np.ones(prepared.label_map.shape, np.uint8)
    names = [f"{name}@2mm" if KINDS[name].has_tolerance else name for name in OF_PREDICTION]
    before = prepared.compare(np.pad(prediction, 20).astype(np.uint8))
    expected = [before.values(parse_metric(name)) for name in names]
    prepared.compare(everywhere).values(parse_metric("hd95"))
    after = prepared.compare(np.pad(prediction, 20).astype(np.uint8))
    assert [after.values(parse_metric(name)) for name in names] == expected


def test_a_line_of_odd_length_has_one_lesion():
    line = np.ones((1, 1, 7), bool)
    assert value("lesion-f1", line, line, (1, 1, 1)) == 1


def test_every_kind_of_metric_is_computed_somewhere():
    assert {*OF_PREDICTION, *OF_REFERENCE, "obeyed"} == set(KINDS)
    assert {name for name, kind in KINDS.items() if kind.depends_on == "reference"} == set(
        OF_REFERENCE
    )
