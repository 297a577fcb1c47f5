"""What clicks and scores share: both masks of each label, in regions that fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segbench.errors import CaseError
from segbench.protocol.mask_pairs import PreparedReference, label_rois


def blocks():
    reference = np.zeros((10, 20, 31), np.uint8)
    reference[2:6, 3:9, 4:14], reference[4:9, 11:17, 15:28] = 1, 3
    return reference


def voxels_of(mask):
    return {tuple(voxel) for voxel in np.argwhere(mask.unpacked()) + mask.low}


def where(labels, label):
    return {tuple(voxel) for voxel in np.argwhere(labels == label)}


def assert_complete(pairs, prediction, reference, labels):
    assert list(pairs.predicted) == list(pairs.expected) == list(labels)
    for label in labels:
        assert voxels_of(pairs.predicted[label]) == where(prediction, label)
        assert voxels_of(pairs.expected[label]) == where(reference, label)


def test_regions_grow_with_predictions_that_leave_them():
    reference = blocks()
    prepared = PreparedReference(reference, (1, 3))
    moved = np.roll(reference, (1, 8, 9), (0, 1, 2))
    for prediction in (reference, np.zeros_like(reference), moved, reference, moved.T.copy().T):
        assert_complete(prepared.compare(prediction), prediction, reference, (1, 3))


def test_a_region_that_still_fits_is_kept_and_so_is_its_mask():
    reference = blocks()
    prepared = PreparedReference(reference, (1, 3))
    first = prepared.compare(reference)
    outside = reference.copy()
    outside[0, 0, 30] = 1
    second = prepared.compare(outside)
    assert second.expected[3] is first.expected[3]
    assert second.expected[1] is not first.expected[1]
    assert prepared.compare(reference).expected[1] is second.expected[1]


def test_other_labels_are_left_out():
    reference = blocks()
    prediction = np.where(reference == 1, 9, reference)
    prediction[0, 0, 0] = 3
    pairs = PreparedReference(reference, (3, 1, 1)).compare(prediction)
    assert_complete(pairs, prediction, reference, (1, 3))


def test_a_label_in_only_one_of_both_is_compared_and_one_in_neither_is_not():
    reference = blocks()
    prediction = np.where(reference == 3, 2, 0)
    pairs = PreparedReference(reference, (1, 2, 7)).compare(prediction)
    assert_complete(pairs, prediction, reference, (1, 2))


def test_an_array_that_was_changed_is_compared_as_it_is_now():
    reference = blocks()
    prepared = PreparedReference(reference, (1, 3))
    prediction = reference.copy()
    prepared.compare(prediction)
    prediction[reference == 1] = 3
    assert_complete(prepared.compare(prediction), prediction, reference, (1, 3))


def test_fortran_order_counts_only_if_both_have_it():
    reference = blocks()
    fortran = np.asfortranarray(reference)
    orders = [
        PreparedReference(one, (1,)).compare(other).in_fortran_order
        for one in (reference, fortran)
        for other in (reference, fortran)
    ]
    assert orders == [False, False, False, True]


def test_bounding_boxes_fit_each_label_exactly():
    reference = blocks()
    assert label_rois(reference) == {
        1: (slice(2, 6), slice(3, 9), slice(4, 14)),
        3: (slice(4, 9), slice(11, 17), slice(15, 28)),
    }
    assert label_rois(np.zeros((2, 3, 4), np.uint8)) == {}


@given(
    st.tuples(*[st.integers(1, 12)] * 3), st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.5, 1])
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_bounding_boxes_are_those_of_scipy(shape, seed, share):
    rng = np.random.default_rng(seed)
    label_map = np.where(rng.random(shape) < share, rng.choice([1, 2, 700], shape), 0)
    found = ndimage.find_objects(label_map)
    rois = label_rois(label_map.astype(np.uint16))
    assert rois == {label: box for label, box in enumerate(found, start=1) if box is not None}


def test_labels_that_are_not_compared_are_listed():
    reference = blocks()
    prediction = reference.copy()
    prediction[0, 0, :3] = (9, 0, 2)
    prepared = PreparedReference(reference, (1, 3))
    assert prepared.compare(prediction).unknown_labels == (2, 9)
    assert prepared.compare(reference).unknown_labels == ()


def test_label_maps_of_two_shapes_are_refused():
    with pytest.raises(CaseError, match=r"found \(2, 3, 5\) and \(2, 3, 4\)"):
        PreparedReference(np.ones((2, 3, 4), np.uint8), (1,)).compare(np.ones((2, 3, 5), np.uint8))


def test_bounding_boxes_of_a_prediction_like_noise_are_those_of_scipy():
    # several slabs of planes; examining each label by itself takes minutes
    label_map = np.random.default_rng(0).integers(0, 60000, (100, 150, 150)).astype(np.uint16)
    boxes = enumerate(ndimage.find_objects(label_map), start=1)
    assert label_rois(label_map) == {label: box for label, box in boxes if box is not None}


def test_a_region_has_a_margin_that_ends_at_the_border():
    reference = blocks()
    pairs = PreparedReference(reference, (1, 3)).compare(reference)
    # from voxel 2 three back, past the border at 0; packed masks start one voxel before
    assert pairs.expected[1].low == (-1, -1, 0)
    assert pairs.expected[3].low == (0, 7, 11)


def test_a_prediction_of_the_same_array_is_compared_again():
    reference = blocks()
    prepared = PreparedReference(reference, (1, 3))
    first, second = prepared.compare(reference), prepared.compare(reference)
    assert first is not second
    assert voxels_of(first.predicted[1]) == voxels_of(second.predicted[1])
