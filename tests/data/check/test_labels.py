"""The facts of labels, compared with plain numpy and scipy; what NSD can tell of them."""

import numpy as np
import pytest
from scipy import ndimage

from segbench.data.check.intensity import summarize
from segbench.data.check.labels import label_facts, numbers_text
from segbench.data.check.metric import saturation
from segbench.protocol.boxes import box_with_slack
from segbench.protocol.metrics import surface_dice
from tests.data.check.planted import ellipsoid


@pytest.mark.parametrize("seed", range(5))
def test_the_facts_of_a_label_are_those_of_its_mask(seed):
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 40, (12, 17, 23)).clip(36) - 36
    reference = reference.astype(np.uint8)
    for label, facts in label_facts(reference, None).items():
        mask = reference == label
        components, n = ndimage.label(mask, np.ones((3, 3, 3)))
        assert facts.n_voxels == np.count_nonzero(mask)
        assert facts.n_components == n
        assert facts.largest == np.bincount(components.ravel())[1:].max()
        assert facts.box == box_with_slack(mask, label, 0)
        ends = [mask.take(at, axis).any() for axis in range(3) for at in (0, -1)]
        assert len(facts.faces) == sum(ends)


def test_nsd_tells_nothing_of_a_label_that_is_small_in_mm():
    mask = ellipsoid((4, 5, 6), (3.9, 4.9, 5.9), (9, 11, 13))
    small, large = saturation(mask, (0.2, 0.2, 0.2)), saturation(mask, (3.0, 3.0, 3.0))
    assert small.is_saturated
    assert not large.is_saturated
    box = surface_dice(np.ones_like(mask), mask, spacing=(0.2, 0.2, 0.2), tolerance_mm=2)
    assert small.nsd_box == box >= 0.9


def test_a_label_of_one_voxel_or_of_the_shape_of_a_box_is_not_called_saturated():
    assert not saturation(np.ones((1, 1, 1), bool), (0.1, 0.1, 0.1)).is_saturated
    assert not saturation(np.ones((4, 5, 6), bool), (0.1, 0.1, 0.1)).is_saturated


def test_a_label_that_erosion_removes_keeps_its_deepest_voxel():
    mask = np.zeros((2, 6, 6), bool)
    mask[0], mask[1, 2:4, 2:4] = np.eye(6, dtype=bool), True
    found = saturation(mask, (0.1, 0.1, 0.1))
    assert found.dsc_eroded == 2 / (1 + np.count_nonzero(mask))
    assert found.is_saturated


def test_many_numbers_are_shortened():
    assert numbers_text([1, 2, 5]) == "1, 2, 5"
    assert numbers_text(list(range(40))).endswith("8, 9, ... (40 in all)")


# ---- intensities -------------------------------------------------------------------------------


def test_the_sha256_of_an_image_is_of_its_values_and_shape():
    values = np.arange(60).reshape(3, 4, 5)
    same = [values.astype(dtype) for dtype in ("u1", "<i2", ">i4", "f4", ">f8")]
    same.append(np.asfortranarray(values.astype("u1")))
    assert len({summarize(each).sha256 for each in same}) == 1
    other = [values + 1, values.reshape(5, 4, 3), values - 1, values + 0.5, values * 5]
    digests = {summarize(each).sha256 for each in other}
    assert len(digests) == len(other)
    assert summarize(same[0]).sha256 not in digests
    assert summarize(values * 5.0).sha256 != summarize((values * 5.0).astype(np.float32)).sha256


def test_nan_and_infinity_are_counted_and_left_out_of_the_range():
    voxels = np.full((2, 2, 2), 7.0)
    voxels[0, 0, 0], voxels[1, 1, 1], voxels[1, 0, 0] = np.nan, np.inf, 250
    found = summarize(voxels)
    assert (found.n_nonfinite, found.n_voxels, found.low, found.high) == (2, 8, 7, 250)
