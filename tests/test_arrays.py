"""The dtype of label maps, and bounding boxes."""

import numpy as np
import pytest

from segbench.arrays import bounding_box, label_map_dtype


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [((), np.uint8), ((1, 255), np.uint8), ((256, 1), np.uint16), ([65535], np.uint16)],
)
def test_a_label_map_has_the_smaller_dtype_that_holds_its_labels(labels, dtype):
    assert label_map_dtype(labels) is dtype


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint64, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_bounding_box_has_all_values_that_are_not_0(dtype, order):
    array = np.zeros((5, 6, 7), dtype, order=order)
    array[1, 5, 2] = array[3, 2, 4] = 1
    assert bounding_box(array) == (slice(1, 4), slice(2, 6), slice(2, 5))


def test_small_floats_and_nan_are_not_0():
    array = np.zeros((3, 3, 3))
    array[0, 0, 0], array[2, 1, 0] = 1e-300, np.nan
    assert bounding_box(array) == (slice(0, 3), slice(0, 2), slice(0, 1))


def test_the_bounding_box_of_zeros_is_empty():
    assert bounding_box(np.zeros((3, 4, 5), np.uint8)) == (slice(0, 0),) * 3
