"""Polygons to pixels: drawings checked by hand, and matplotlib's rule for points off the edges."""

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from segbench.data.convert.dicom_polygons import filled


def drawing(text):
    """Return a mask of (row, column)."""
    return np.array([[c == "#" for c in line] for line in text.split()])


def polygon(*corners):
    return np.array(corners, float)


def test_a_triangle_holds_the_centres_inside_it():
    triangle = polygon((0.5, 0.5), (5.6, 0.5), (0.5, 5.6))
    expected = drawing(
        """
        .......
        .#####.
        .####..
        .###...
        .##....
        .#.....
        .......
        """
    )
    np.testing.assert_array_equal(filled([triangle], (7, 7)), expected)


def test_a_centre_on_an_edge_belongs_to_the_polygon_on_its_high_side():
    left, right = polygon((0, 0), (3, 0), (3, 4), (0, 4)), polygon((3, 0), (6, 0), (6, 4), (3, 4))
    first, second = filled([left], (5, 7)), filled([right], (5, 7))
    assert not (first & second).any()
    np.testing.assert_array_equal(first, drawing("###.... ###.... ###.... ###.... ......."))
    np.testing.assert_array_equal(second, drawing("...###. ...###. ...###. ...###. ......."))


def test_rounding_in_the_file_moves_no_centre_across_an_edge():
    for shift in (-1e-8, 1e-8):
        moved = polygon((1, 1), (4, 1), (4, 4), (1, 4)) + shift
        assert filled([moved], (6, 6)).sum() == 9


def test_a_slanted_keyhole_leaves_no_trace_of_its_channel():
    random = np.random.RandomState(1)
    for _ in range(200):
        outer = polygon((1, 1), (30, 2), (28, 27), (2, 29)) + random.rand(4, 2)
        inner = polygon((10, 10), (20, 11), (15, 20)) + random.rand(3, 2)
        keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])
        expected = filled([outer], (32, 33)) & ~filled([inner], (32, 33))
        np.testing.assert_array_equal(filled([keyhole], (32, 33)), expected)


@pytest.mark.parametrize("seed", range(20))
def test_points_off_the_edges_are_inside_as_matplotlib_has_it(seed):
    random = np.random.RandomState(seed)
    count = random.randint(3, 40)
    angles = np.sort(random.rand(count)) * 2 * np.pi
    radius = random.uniform(3, 30, count)  # a star: simple, not convex, partly outside
    corners = np.column_stack([20 + radius * np.cos(angles), 14 + radius * np.sin(angles)])
    columns, rows = np.meshgrid(np.arange(41), np.arange(31))
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    expected = Outline(np.vstack([corners, corners[:1]])).contains_points(centres)
    np.testing.assert_array_equal(filled([corners], (31, 41)).ravel(), expected)


def test_many_and_far_corners_take_bounded_time():
    far = np.random.RandomState(0).uniform(-1e30, 1e30, (5000, 2))
    assert filled([far], (64, 64)).shape == (64, 64)
