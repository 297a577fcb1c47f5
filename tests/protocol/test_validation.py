"""Masks of every dtype: taken for what they mean, or refused by name."""

import numpy as np
import pytest

from segbench.core import Click
from segbench.errors import CaseError
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.metrics import dice, surface_dice
from segbench.protocol.simulator import next_click

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4"]
FUNCTIONS = {
    "dice": dice,
    "surface_dice": lambda p, r: surface_dice(p, r, spacing=(3, 1, 1), tolerance_mm=2.0),
    "next_click": lambda p, r: next_click(p, r, label=1),
}


def masks():
    prediction, reference = np.zeros((2, 6, 9, 11), bool)
    prediction[2:4, 3:6, 4:9] = reference[1:4, 2:7, 4:8] = True
    return prediction, reference


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("value", [1, 7, 100])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_masks_of_what_is_not_0(function, dtype, value):
    prediction, reference = masks()
    expected = function(prediction, reference)
    wide = [mask.astype(dtype) * np.array(value, dtype) for mask in (prediction, reference)]
    assert function(*wide) == function(wide[0], reference) == expected


def test_masks_of_0_and_255_have_an_error_between_them():
    prediction, reference = (mask.astype(np.uint8) * 255 for mask in masks())
    assert isinstance(next_click(prediction, reference, label=4), Click)
    assert next_click(reference, reference, label=4) is None


def test_negative_values_are_in_the_mask_too():
    prediction, reference = masks()
    assert dice(-prediction.astype(int), reference) == dice(prediction, reference)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_the_memory_order_of_integers_decides_ties_as_that_of_bool(order, dtype):
    reference = np.zeros((5, 5, 5), bool, order=order)
    reference[0, 0, 4] = reference[4, 0, 0] = True
    nothing = np.zeros((5, 5, 5), bool, order=order)
    expected = next_click(nothing, reference, label=1)
    assert expected.voxel == ((0, 0, 4) if order == "C" else (4, 0, 0))
    wide = (mask.astype(dtype, order="K") for mask in (nothing, reference))
    assert next_click(*wide, label=1) == expected


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "U1", "O"])
def test_what_is_no_mask_is_refused_by_name(function, place, dtype):
    pair = list(masks())
    pair[place] = pair[place].astype(dtype)
    name = ("prediction", "reference")[place]
    with pytest.raises(CaseError, match=f"{name}: expected bool or integers, found"):
        function(*pair)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_wrong_shapes_are_refused(function):
    prediction, reference = masks()
    with pytest.raises(CaseError, match=r"one shape, found \(6, 9, 10\) and \(6, 9, 11\)"):
        function(prediction[..., 1:], reference)
    with pytest.raises(CaseError, match=r"expected shape \(z, y, x\)"):
        function(prediction[0], reference[0])


def test_label_maps_of_floats_are_refused():
    labels = np.zeros((3, 4, 5), np.uint8)
    with pytest.raises(CaseError, match="reference: expected bool or integers, found float32"):
        PreparedReference(labels.astype(np.float32), (1,))
    with pytest.raises(CaseError, match="prediction: expected bool or integers, found float64"):
        PreparedReference(labels, (1,)).compare(labels.astype(float))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_bytes_of_a_mask_of_255_seen_as_bool_are_a_mask(function):
    prediction, reference = masks()
    raw = [(mask.astype(np.uint8) * 255).view(bool) for mask in (prediction, reference)]
    assert function(*raw) == function(prediction, reference)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_nested_lists_are_taken_and_empty_arrays_are_refused(function):
    prediction, reference = masks()
    assert function(prediction.tolist(), reference.tolist()) == function(prediction, reference)
    with pytest.raises(CaseError, match=r"expected shape \(z, y, x\), found \(0, 3, 4\)"):
        function(np.zeros((0, 3, 4), bool), np.zeros((0, 3, 4), bool))


@pytest.mark.parametrize("spacing", [(0, 1, 1), (-1, 1, 1), (np.inf, 1, 1), (1, 1), ("a", 1, 1)])
def test_a_spacing_that_is_not_three_positive_mm_is_refused(spacing):
    with pytest.raises(CaseError, match="surface_dice: spacing: expected"):
        surface_dice(*masks(), spacing=spacing, tolerance_mm=2.0)


@pytest.mark.parametrize("tolerance_mm", [-1, np.nan, np.inf])
def test_a_tolerance_that_is_no_distance_is_refused(tolerance_mm):
    with pytest.raises(CaseError, match="tolerance_mm: expected a distance"):
        surface_dice(*masks(), spacing=(1, 1, 1), tolerance_mm=tolerance_mm)


def test_label_maps_with_negative_labels_are_refused():
    label_map = np.array([[[-1, 0, 1]]])
    with pytest.raises(CaseError, match="reference: expected labels from 0 on, found -1"):
        PreparedReference(label_map, (1,))
    with pytest.raises(CaseError, match="prediction: expected labels from 0 on, found -1"):
        PreparedReference(abs(label_map), (1,)).compare(label_map)
