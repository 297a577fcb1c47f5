"""SAM-Med3D: the prompt that counts, the place of the mask, agreement with the authors' script."""

import numpy as np
import pytest

from adapters import sam_med3d
from segbench.core import AdapterInfo, Box, Click, Image, Interactions
from segbench.errors import AdapterError
from segbench.models.adapter_source import parse_options
from segbench.models.registry import find_adapter
from tests.peers.running import checkout_of, run, steps

SHAPE = (12, 30, 41)
BOX = Box(1, (2, 3, 4), (5, 9, 15), 3)
POSITIVE, LATER, NEGATIVE = (
    Click(1, (4, 5, 6), True),
    Click(1, (7, 8, 9), True),
    Click(1, (1, 1, 1), False),
)


def interactions_of(*rounds, boxes=(BOX,), previous=None):
    zeros = np.zeros(SHAPE, np.uint8)
    return Interactions((boxes, *rounds), zeros if previous is None else previous)


@pytest.mark.parametrize(
    ("rounds", "last"),
    [
        ((), ((3, 5.5, 9), True)),  # between two voxels
        (((POSITIVE,), (LATER,)), ((7, 8, 9), True)),
        (((NEGATIVE,), (LATER,)), ((1, 1, 1), False)),  # negative ones are sorted last
        (((Click(2, (1, 1, 1), True),),), ((3, 5.5, 9), True)),
    ],
)
def test_only_the_last_prompt_counts(rounds, last):
    assert sam_med3d.last_prompt(interactions_of(*rounds), 1) == last


def test_a_label_without_box_and_clicks_has_no_prompt():
    assert sam_med3d.last_prompt(interactions_of(), 2) is None


def test_the_cube_is_cut_to_the_image():
    found = np.argwhere(sam_med3d.cube_around((20, 5.5, 59), (40, 50, 60)))
    assert found.min(0).tolist() == [10, 0, 49]
    assert found.max(0).tolist() == [30, 15, 59]


def test_the_spacing_is_ordered_as_in_the_submission_unless_zyx():
    assert sam_med3d.axes_spacing((0.7, 0.8, 5.0), "xyz") == (5.0, 0.7, 0.8)
    assert sam_med3d.axes_spacing((5.0, 0.7, 0.8), "zyx") == (5.0, 0.7, 0.8)


@pytest.fixture
def adapter():
    """Return the adapter with a fake network that segments the eight voxels before the prompt."""
    torch = pytest.importorskip("torch")

    class WithoutNetwork(sam_med3d.SamMed3D):
        def set_image(self, image, labels):
            self._labels, self._sha256 = labels, "ab" * 32

        def _segment(self, label, at, previous):
            mask = np.zeros(SHAPE, bool)
            mask[tuple(slice(int(c) - 2, int(c)) for c in at)] = True
            return mask

    info, options = AdapterInfo("SAM-Med3D"), sam_med3d.SamMed3DOptions()
    adapter = WithoutNetwork(torch.nn.Linear(1, 1), info, options)
    adapter.set_image(Image(np.ones(SHAPE, np.uint8), (1.0, 1.0, 1.0)), (1, 3))
    return adapter


def test_a_mask_is_added_to_the_previous_one(adapter):
    previous = np.zeros(SHAPE, np.uint8)
    previous[0, 0, :5] = 1
    segmentation = adapter.predict(interactions_of((POSITIVE,), previous=previous))
    assert (segmentation[previous == 1] == 1).all()
    assert (segmentation == 1).sum() == 5 + 8


def test_after_a_negative_click_a_label_stays_as_it_was(adapter):
    previous = np.zeros(SHAPE, np.uint8)
    previous[1:3, 2, 2] = 1
    segmentation = adapter.predict(interactions_of((NEGATIVE,), (POSITIVE,), previous=previous))
    np.testing.assert_array_equal(segmentation, previous)


def test_a_later_label_overwrites_an_earlier_one_and_keeps_its_own_number(adapter):
    segmentation = adapter.predict(interactions_of((POSITIVE, Click(3, (5, 6, 7), True)), boxes=()))
    assert (segmentation == 1).sum() == 7
    assert (segmentation == 3).sum() == 8


def test_a_label_without_any_prompt_is_left_out_as_in_the_submission(adapter):
    previous = np.full(SHAPE, 3, np.uint8)
    assert not (adapter.predict(interactions_of(previous=previous)) == 3).any()


def patch(**changes):
    torch = pytest.importorskip("torch")
    nothing = torch.zeros((1, 1, 1, 1))
    geometry = {"corner": (0, 10, 3), "padding": (4, 104, 0, 0, 0, 29), "size": (20, 150, 102)}
    return sam_med3d.NetworkInput(
        image=nothing, cube=None, previous=nothing, **{**geometry, **changes}
    )


def test_a_mask_is_pasted_where_its_patch_was_cropped():
    mask = np.zeros((128, 128, 128), bool)
    mask[4 + 2, 5, 6] = True  # two voxels behind the padding
    found = patch().resample_to_image(mask, (20, 150, 102))
    assert np.argwhere(found).tolist() == [[2, 15, 9]]
    assert patch().resample_to_image(mask, (40, 150, 102)).sum() == 2  # the nearest of half as many


def test_a_position_of_the_image_is_mapped_to_the_patch():
    assert patch().patch_position((2, 15, 9), (1, 1, 1)) == [6, 5, 6]
    assert patch().patch_position((2, 15, 9), (1.5, 1, 1)) == [4 + 1, 5, 6]
    assert patch().patch_position((2, 150, 9), (1, 1, 1)) == [6, 127, 6]


def test_the_random_point_depends_on_image_label_prompt_and_seed_only(adapter):
    cube = sam_med3d.cube_around((20, 25, 30), (40, 50, 60))
    first = adapter._random_voxel(cube, 1, (20, 25, 30))
    assert adapter._random_voxel(cube, 1, (20, 25, 30)) == first
    assert adapter._random_voxel(cube, 3, (20, 25, 30)) != first
    assert adapter._random_voxel(cube, 1, (20, 25, 30.5)) != first
    assert cube[tuple(first)]


def test_a_prompt_outside_the_image_is_named(adapter):
    with pytest.raises(AdapterError, match=r"prompt at \(20, 99, 30\) is outside the image"):
        adapter._network_input((20, 99, 30), np.zeros((40, 50, 60), bool))


def test_missing_weights_are_reported_before_any_import():
    with pytest.raises(
        AdapterError, match=r"expected a file, found none; .*blueyo0/SAM-Med3D.* --option"
    ):
        sam_med3d.make_adapter()
    with pytest.raises(AdapterError, match="expected a file, found no file nowhere"):
        sam_med3d.make_adapter(weights="nowhere")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"point": "first"}, "point: expected one of random, centre, found 'first'"),
        ({"spacing": "yxz"}, "spacing: expected one of xyz, zyx, found 'yxz'"),
        ({"seed": "-1"}, "seed: expected a whole number from 0 on, found -1"),
    ],
)
def test_an_unknown_option_value_is_refused(option, message):
    with pytest.raises(AdapterError, match=message):
        sam_med3d.make_adapter(**parse_options(find_adapter("sam_med3d"), option))


def test_each_option_changes_the_segmentation():
    options = ("seed=1", "point=centre", "spacing=zyx")
    found = steps(run("sam_med3d", "compare_options.py", "sam_med3d", *options))
    assert [each["option"] for each in found] == ["", *options, "one slice"]
    assert len({each["sha256"] for each in found}) == len(found)


@pytest.mark.parametrize(
    "size", ["small", pytest.param("published", marks=pytest.mark.slow)], ids=str
)
def test_the_label_maps_are_those_of_the_authors_script(size):
    found = steps(run("sam_med3d", "compare_sam_med3d.py", checkout_of("sam_med3d"), size))
    assert len(found) == (2 * (6 + 2) if size == "small" else 1)
    assert [step for step in found if step["differing"]] == []
    assert any(np.count_nonzero(step["voxels"]) > 1 for step in found)  # not all or nothing
