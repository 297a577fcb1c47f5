"""Boxes that fit other labels, or are wrong in one way."""

import numpy as np
import pytest

from segbench.core import Box
from segbench.data.check.boxes import better_order, box_findings, overlap
from segbench.data.check.labels import label_facts
from segbench.protocol.boxes import draw_box, widest_slack
from tests.data.check.planted import clean

REFERENCE = clean()["gts"]
FACTS = label_facts(REFERENCE, (3.0, 1.0, 1.0))


def found(*boxes):
    return {f.code: f.numbers for f in box_findings("a", boxes, FACTS, REFERENCE)}


def boxes(slack):
    """Return the boxes as the challenge draws them, with one slack."""

    class Fixed:
        def integers(self, low, high):
            return slack

    return [draw_box(label == REFERENCE, label, Fixed()) for label in (1, 2)]


@pytest.mark.parametrize("slack", range(6))
def test_every_box_that_the_rule_can_draw_is_right(slack):
    assert found(*boxes(slack)) == {}


def test_a_large_volume_allows_more_pixels():
    assert [widest_slack(side) for side in (50, 60, 256, 512)] == [0, 1, 5, 10]


def test_the_extent_on_all_slices_is_named():
    whole = [
        Box(k, facts.box.low, facts.box.high, facts.box.mid_slice) for k, facts in FACTS.items()
    ]
    assert found(*whole) == {}  # an ellipsoid is widest in the middle
    tilted = np.zeros((20, 40, 300), np.uint8)
    for z in range(3, 17):
        tilted[z, 10:20, 10 * z : 10 * z + 30] = 1
    facts = label_facts(tilted, (1.0, 1.0, 1.0))
    box = Box(1, (3, 10, 30), (17, 20, 190), 10)
    (fault,) = box_findings("a", [box], facts, tilted)
    assert fault.code == "box-too-wide"
    assert fault.what.endswith("its extent on all slices")


def test_three_boxes_in_another_order_are_named_with_the_labels_that_they_fit():
    own = [Box(n, (0, 0, 20 * n), (9, 9, 20 * n + 9), 4) for n in (1, 2, 3)]
    assert better_order(own, own) is None
    assert better_order([own[1], own[2], own[0]], own).tolist() == [1, 2, 0]


def test_labels_side_by_side_are_not_taken_for_another_order():
    own = [Box(1, (0, 0, 0), (9, 9, 20), 4), Box(2, (0, 0, 2), (9, 9, 22), 4)]
    shifted = [Box(1, (0, 0, 2), (9, 9, 21), 4), Box(2, (0, 0, 1), (9, 9, 20), 4)]
    assert better_order(shifted, own) is None


def test_a_box_in_another_order_is_not_called_wrong_besides():
    first, second = boxes(2)
    swapped = [Box(1, second.low, second.high, second.mid_slice)]
    swapped += [Box(2, first.low, first.high, first.mid_slice)]
    assert found(*swapped) == {"box-order": {"fits": {1: 2, 2: 1}}}


def test_overlap_is_intersection_over_union():
    one, half = Box(1, (0, 0, 0), (2, 2, 2), 0), Box(1, (0, 0, 0), (1, 2, 2), 0)
    assert overlap(one, half) == 0.5
    assert overlap(one, Box(1, (5, 5, 5), (6, 6, 6), 5)) == 0
