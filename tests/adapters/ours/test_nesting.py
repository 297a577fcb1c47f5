"""From the probabilities of labels, one inside another, to one label map."""

import numpy as np
import pytest
import torch

from adapters import random_walker
from adapters._nesting import is_nested
from adapters.ours.nesting import merge_nested
from adapters.ours.refinement import LabelProbability
from adapters.ours.resampling import SLAB_SLICES, blocks_on_volume

CPU = torch.device("cpu")
SHAPE = (SLAB_SLICES + 5, 12, 10)
WHOLE = tuple(slice(0, n) for n in SHAPE)
LESION = (slice(4, SLAB_SLICES + 2), slice(5, 9), slice(3, 7))


def label(number, probability, region=WHOLE, extent=None):
    """Return a label with one probability in a region."""
    size = [span.stop - span.start for span in region]
    values = torch.full(size, float(probability))
    return LabelProbability(number, extent or region, blocks_on_volume(values, region, (1, 1, 1)))


def merged(*labels):
    return merge_nested(labels, SHAPE, CPU)


def test_without_labels_all_is_background():
    assert not merged().any()
    assert merged().dtype == np.uint8


@pytest.mark.parametrize("probability", [0.5, 0.6])
def test_one_label_needs_more_than_one_half(probability):
    assert (merged(label(3, probability)) == (3 if probability > 0.5 else 0)).all()


def test_of_equal_boxes_the_more_probable_label_wins_and_the_smaller_number_a_tie():
    assert (merged(label(1, 0.6), label(2, 0.7)) == 2).all()
    assert (merged(label(1, 0.7), label(2, 0.6)) == 1).all()
    assert (merged(label(2, 0.7), label(1, 0.7)) == 1).all()


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_a_label_inside_another_may_be_less_probable(numbers):
    organ, lesion = numbers
    expected = np.full(SHAPE, organ)
    expected[LESION] = lesion
    segmentation = merged(label(organ, 0.99), label(lesion, 0.51, LESION))
    np.testing.assert_array_equal(segmentation, expected)


def test_a_label_inside_another_still_needs_more_than_one_half():
    assert (merged(label(1, 0.6), label(2, 0.5, LESION)) == 1).all()


def test_two_lesions_in_one_organ_compete_with_each_other_as_equals():
    one = (slice(2, 8), slice(2, 8), slice(2, 8))
    other = (slice(2, 8), slice(2, 8), slice(4, 10))
    segmentation = merged(label(1, 0.9), label(2, 0.8, one), label(3, 0.7, other))
    assert (segmentation[one] == 2).all()
    assert (segmentation[2:8, 2:8, 8:10] == 3).all()


def test_a_small_label_next_to_a_large_one_competes_as_an_equal():
    adjacent = (slice(0, 6), slice(0, 6), slice(6, 10))
    large = (slice(0, 12), slice(0, 12), slice(0, 8))
    segmentation = merged(label(1, 0.8, extent=large), label(2, 0.7, adjacent))
    assert (segmentation == 1).all()


@pytest.mark.parametrize(
    ("small", "large", "nested"),
    [
        ((2, 6), (0, 10), True),
        ((0, 9), (0, 10), False),  # nearly as large
        ((8, 14), (0, 10), False),  # half outside
        ((20, 24), (0, 10), False),
    ],
)
def test_a_nested_box_is_much_smaller_and_mostly_inside(small, large, nested):
    assert is_nested((slice(*small),) * 3, (slice(*large),) * 3) == nested


def test_labels_above_255_and_the_voxels_between_two_regions():
    top, bottom = (slice(0, 2), *WHOLE[1:]), (slice(SLAB_SLICES + 2, SHAPE[0]), *WHOLE[1:])
    segmentation = merged(label(300, 0.9, top), label(1, 0.9, bottom))
    assert segmentation.dtype == np.uint16
    assert (segmentation[:2] == 300).all()
    assert not segmentation[2 : SLAB_SLICES + 2].any()
    assert (segmentation[SLAB_SLICES + 2 :] == 1).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_random_walker_merges_in_the_same_way(seed):
    rng = np.random.default_rng(seed)
    found, labels = [], []
    for number in range(1, 5):
        low = rng.integers(0, 6, 3)
        region = tuple(
            slice(int(a), int(rng.integers(a + 2, n + 1))) for a, n in zip(low, SHAPE, strict=True)
        )
        size = [span.stop - span.start for span in region]
        probability = (rng.integers(0, 21, size) / 20).astype(np.float32)  # with ties
        found.append((region, probability))
        blocks = blocks_on_volume(torch.from_numpy(probability), region, (1, 1, 1))
        labels.append(LabelProbability(number, region, blocks))
    expected = random_walker.merge(found, [region for region, _ in found], SHAPE)
    np.testing.assert_array_equal(merged(*labels), expected)
