"""What clicks and scores share: frames that fit, and nothing kept too long."""

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


def voxels_of(bits):
    return {tuple(voxel) for voxel in np.argwhere(bits.mask()) + bits.low}


def where(labels, label):
    return {tuple(voxel) for voxel in np.argwhere(labels == label)}


def assert_complete(comparison, prediction, reference, labels):
    assert list(comparison.predicted) == list(comparison.expected) == list(labels)
    for label in labels:
        assert voxels_of(comparison.predicted[label]) == where(prediction, label)
        assert voxels_of(comparison.expected[label]) == where(reference, label)


def test_frames_grow_with_predictions_that_leave_them():
    reference = blocks()
    standard = PreparedReference(reference, (1, 3))
    moved = np.roll(reference, (1, 8, 9), (0, 1, 2))
    for prediction in (reference, np.zeros_like(reference), moved, reference, moved.T.copy().T):
        assert_complete(standard.compare(prediction), prediction, reference, (1, 3))


def test_a_frame_that_still_fits_is_kept_and_so_are_its_bits():
    reference = blocks()
    standard = PreparedReference(reference, (1, 3))
    first = standard.compare(reference)
    outside = reference.copy()
    outside[0, 0, 30] = 1
    second = standard.compare(outside)
    assert second.expected[3] is first.expected[3]
    assert second.expected[1] is not first.expected[1]
    assert standard.compare(reference).expected[1] is second.expected[1]


def test_labels_of_no_interest_are_left_out():
    reference = blocks()
    prediction = np.where(reference == 1, 9, reference)
    prediction[0, 0, 0] = 3
    comparison = PreparedReference(reference, (3, 1, 1)).compare(prediction)
    assert_complete(comparison, prediction, reference, (1, 3))


def test_a_label_only_one_of_both_has_is_compared_and_one_that_none_has_is_not():
    reference = blocks()
    prediction = np.where(reference == 3, 2, 0)
    comparison = PreparedReference(reference, (1, 2, 7)).compare(prediction)
    assert_complete(comparison, prediction, reference, (1, 2))


def test_what_was_compared_last_is_not_compared_again():
    reference = blocks()
    standard = PreparedReference(reference, (1, 3))
    prediction = reference.copy()
    first = standard.compare(prediction)
    assert standard.compared(prediction) is first
    assert standard.compared(prediction.copy()) is not first


def test_comparing_sees_that_an_array_has_changed():
    reference = blocks()
    standard = PreparedReference(reference, (1, 3))
    prediction = reference.copy()
    standard.compare(prediction)
    prediction[reference == 1] = 3
    assert_complete(standard.compare(prediction), prediction, reference, (1, 3))


def test_fortran_order_counts_only_if_both_have_it():
    reference = blocks()
    fortran = np.asfortranarray(reference)
    orders = [
        PreparedReference(one, (1,)).compare(other).in_fortran_order
        for one in (reference, fortran)
        for other in (reference, fortran)
    ]
    assert orders == [False, False, False, True]


def test_windows_hold_each_label_exactly():
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
def test_windows_are_those_of_scipy(shape, seed, share):
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(shape) < share, rng.choice([1, 2, 700], shape), 0)
    found = ndimage.find_objects(labels)
    windows = label_rois(labels.astype(np.uint16))
    assert windows == {label: box for label, box in enumerate(found, start=1) if box is not None}


def test_an_equal_label_map_repeats_the_last_and_another_does_not():
    reference = np.asfortranarray(blocks())
    standard = PreparedReference(reference, (1, 3))
    first, second, c_order, another = (
        standard.compare(labels)
        for labels in (reference.copy("F"), reference.copy("F"), blocks(), np.roll(reference, 1))
    )
    assert second.repeats(first)
    # which of two equal errors comes first depends on the memory order
    assert not c_order.repeats(second)
    assert not another.repeats(second)


def test_labels_that_are_not_compared_are_known():
    reference = blocks()
    prediction = reference.copy()
    prediction[0, 0, :3] = (9, 0, 2)
    standard = PreparedReference(reference, (1, 3))
    assert standard.compare(prediction).unknown == (2, 9)
    assert standard.compare(reference).unknown == ()


def test_label_maps_of_two_shapes_are_refused():
    with pytest.raises(CaseError, match=r"\(2, 3, 5\) and reference \(2, 3, 4\) differ"):
        PreparedReference(np.ones((2, 3, 4), np.uint8), (1,)).compare(np.ones((2, 3, 5), np.uint8))


def test_windows_of_an_answer_like_noise_are_those_of_scipy():
    # several slabs of planes; to look at each label by itself would take minutes
    labels = np.random.default_rng(0).integers(0, 60000, (100, 150, 150)).astype(np.uint16)
    boxes = enumerate(ndimage.find_objects(labels), start=1)
    assert label_rois(labels) == {label: box for label, box in boxes if box is not None}


def test_a_frame_has_a_margin_that_ends_at_the_border():
    reference = blocks()
    comparison = PreparedReference(reference, (1, 3)).compare(reference)
    # from voxel 2 three back, past the border at 0; bits begin one before
    assert comparison.expected[1].low == (-1, -1, 0)
    assert comparison.expected[3].low == (0, 7, 11)
