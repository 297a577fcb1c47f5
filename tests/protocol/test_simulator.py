"""The simulated user, on errors small enough to be checked by hand."""

import numpy as np
import pytest

from segbench.core import Click, Settings
from segbench.protocol.mask_pairs import PreparedReference
from segbench.protocol.simulator import next_click, next_clicks


def masks(drawing):
    """Read rows of ``prediction|reference`` as two bool arrays, the drawing in each of 3 slices."""
    sides = zip(*(line.split("|") for line in drawing.split()), strict=True)
    prediction, reference = (
        np.repeat([[[voxel == "#" for voxel in row] for row in side]], 3, axis=0) for side in sides
    )
    return prediction, reference


def label_map(drawing):
    """Read rows of digits as a label map of one slice."""
    return np.array([[[int(c) for c in row] for row in drawing.split()]], np.uint8)


def test_a_perfect_prediction_gets_no_click():
    prediction, reference = masks("""
        .##.|.##.
        .##.|.##.
    """)
    assert next_click(prediction, reference, label=1) is None


def test_the_click_lands_in_the_larger_of_two_errors():
    prediction, reference = masks("""
        #.....|......
        ......|...###
        ......|...###
        ......|...###
    """)
    assert next_click(prediction, reference, label=7) == Click(7, (1, 2, 4), positive=True)


def test_a_click_on_what_was_painted_too_much_is_negative():
    prediction, reference = masks("""
        ###..|.....
        ###..|.....
        ###..|....#
    """)
    assert next_click(prediction, reference, label=1) == Click(1, (1, 1, 1), positive=False)


def test_errors_that_touch_at_a_corner_are_one_error():
    reference = np.zeros((3, 3, 5), bool)
    reference[0, 0, 0] = reference[1, 1, 3] = reference[2, 2, 4] = True
    # of the two voxels on the diagonal the seed takes the first
    assert next_click(np.zeros_like(reference), reference, label=1).voxel == (1, 1, 3)


def test_missing_and_surplus_voxels_may_form_one_error():
    # columns 2 to 5 of the middle row are deepest, and the seed takes the third; as errors of
    # their own the two halves would tie and the click would be negative, in column 2
    prediction, reference = masks("""
        .###....|....###.
        .###....|....###.
        .###....|....###.
    """)
    assert next_click(prediction, reference, label=1) == Click(1, (1, 1, 4), positive=True)


def test_depth_is_measured_in_voxels_and_ends_at_the_border_of_the_volume():
    reference = np.zeros((5, 9, 9), bool)
    reference[:, :7, :7] = True
    # slice 2, rows and columns 2 to 4 are three voxels deep; the seed takes the seventh of nine
    assert next_click(np.zeros_like(reference), reference, label=1).voxel == (2, 4, 2)


@pytest.mark.parametrize(("n", "chosen"), [(1, 0), (2, 0), (3, 2), (5, 3), (27, 6), (64, 38)])
def test_the_choice_between_equally_deep_voxels_depends_on_their_number_only(n, chosen):
    # a line is one voxel deep everywhere
    reference = np.ones((1, 1, n), bool)
    for _ in range(2):
        assert next_click(~reference, reference, label=1).voxel == (0, 0, chosen)


def test_another_seed_makes_another_choice():
    reference = np.ones((1, 1, 100), bool)
    seeds = (Settings(seed=seed) for seed in range(5))
    at = {next_click(~reference, reference, label=1, settings=settings).voxel for settings in seeds}
    assert len(at) > 1


def test_the_global_random_state_is_left_alone():
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    reference = np.ones((3, 3, 40), bool)
    next_click(~reference, reference, label=1)
    assert (np.random.get_state()[1] == before).all()


def test_of_equally_large_errors_the_first_in_memory_is_taken():
    reference = np.zeros((3, 4, 5), bool)
    reference[0, 0, 4] = reference[2, 0, 0] = True
    nothing = np.zeros_like(reference)
    fortran = np.asfortranarray(reference), np.asfortranarray(nothing)
    assert next_click(nothing, reference, label=1).voxel == (0, 0, 4)
    assert next_click(fortran[1], fortran[0], label=1).voxel == (2, 0, 0)
    # one of the two in C order is enough
    assert next_click(nothing, fortran[0], label=1).voxel == (0, 0, 4)
    assert next_click(fortran[1], reference, label=1).voxel == (0, 0, 4)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3, 1), (3, 1, 1), (1, 1, 7)])
def test_a_volume_of_one_odd_line_can_be_clicked(shape):
    # cc3d 4.1.1 raises on such a volume of bool
    reference = np.zeros(shape, bool)
    reference.flat[[0, -1]] = True
    assert next_click(np.zeros_like(reference), reference, label=1).voxel == (0, 0, 0)


@pytest.mark.parametrize(
    ("size", "coarse", "fine"),
    [
        # padded by 2, blocks (0 1) (2 3) (4 5) (6 7) (8): all 8 voxels of the middle block are
        # equally deep, and the seed takes the seventh
        (9, (5, 5, 4), (4, 4, 4)),
        # padded by 3, which shifts the blocks: (0) (1 2) (3 4) (5 6) (7 8) (9 10) (11 12)
        (13, (6, 6, 5), (6, 6, 6)),
    ],
)
def test_a_large_error_is_measured_at_half_the_resolution(size, coarse, fine):
    reference = np.ones((size, size, size), np.uint8)
    pairs = PreparedReference(reference, (1,)).compare(np.zeros_like(reference))
    padded = (size + 2 * int(0.25 * size)) ** 3
    for limit, voxel in ((padded - 1, coarse), (padded, fine)):
        assert next_clicks(pairs, max_fine_voxels=limit) == (Click(1, voxel, positive=True),)


def clicks(previous, reference, labels):
    return next_clicks(PreparedReference(reference, labels).compare(previous))


def test_every_label_with_an_error_gets_one_click_in_ascending_order():
    reference = label_map("""
        11100
        11122
        11122
        33000
    """)
    previous = label_map("""
        11100
        11100
        11100
        33004
    """)
    # all voxels of one slice are equally deep: the seed takes the third of 4, the seventh of 9
    assert clicks(previous, reference, (3, 2, 1)) == (Click(2, (0, 2, 3), positive=True),)
    assert clicks(np.zeros_like(reference), reference, (3, 2, 1)) == (
        Click(1, (0, 2, 0), positive=True),
        Click(2, (0, 2, 3), positive=True),
        Click(3, (0, 3, 0), positive=True),
    )


def test_a_swapped_voxel_is_an_error_of_both_labels():
    reference, previous = label_map("0100"), label_map("0200")
    assert clicks(previous, reference, (1, 2)) == (
        Click(1, (0, 0, 1), positive=True),
        Click(2, (0, 0, 1), positive=False),
    )


def test_labels_above_255_are_not_taken_for_smaller_ones():
    reference = np.zeros((2, 3, 4), np.uint16)
    reference[0, 0, 0], reference[1, 2, 3] = 300, 44
    assert clicks(reference.copy(), reference, (44, 300)) == ()
    narrow = np.where(reference == 44, 44, 0).astype(np.uint8)
    assert clicks(narrow, reference, (44, 300)) == (Click(300, (0, 0, 0), positive=True),)
    largest = np.where(reference == 300, 65535, 0).astype(np.uint16)
    assert clicks(np.zeros_like(largest), largest, (65535,))[0].label == 65535
