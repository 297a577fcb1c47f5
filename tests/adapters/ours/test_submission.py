"""The bugs of the authors' submission, with the numbers observed in its output."""

import numpy as np
import pytest
import torch

from adapters.ours import make_adapter
from adapters.ours.crop import Window
from adapters.ours.merging import LabelLogits, merge
from adapters.ours.network import NetworkConfig, ResidualEncoderUNet
from adapters.ours.options import BUGS, VARIANTS, chosen_bugs
from adapters.ours.predictor import Ours
from adapters.ours.prompts import BOX, CHANNELS, POSITIVE
from adapters.ours.resampling import PatchOnVolume
from adapters.ours.submission import (
    FailedLabelLogits,
    box_to_draw,
    crop_frame,
    default_box_for,
    draw_clicks_in_frame,
    refuse_missing_clicks,
)
from adapters.ours.submission_predictor import OursAsSubmitted, raw_logits
from adapters.ours.weights import Recipe, save_checkpoint
from segbench.core import Box, Click, Image, Interactions
from segbench.errors import AdapterError
from segbench.models.adapter_source import adapter_options
from segbench.models.registry import find_adapter

TINY = NetworkConfig((2, 2, 2), (1, 1, 1))
PATCH = 192


def region(*shape, low=(0, 0, 0)):
    return tuple(slice(a, a + n) for a, n in zip(low, shape, strict=True))


def frame(box, *bugs, within, clicks=(), patch=PATCH):
    return crop_frame(box, clicks, patch, region=within, bugs=bugs, zoom_in=False)


# ---- geometry --------------------------------------------------------------------------------


def test_a_crop_that_needs_no_padding_is_pasted_at_the_origin():
    """The box is pasted at [86, 106) on each axis."""
    box = Box(1, (140, 100, 110), (160, 120, 130), 150)
    cropped = frame(box, "pasted_at_origin", within=region(260, 250, 240))
    assert cropped.window == Window((54, 14, 24), (192, 192, 192))
    assert cropped.assumed_window == Window((0, 0, 0), (192, 192, 192))
    assert [a - b for a, b in zip(box.low, cropped.window.low, strict=True)] == [86, 86, 86]


def test_a_zoomed_crop_is_pasted_without_its_zoom():
    """Box [70, 230) is pasted at [28, 165): (70 - 38) / 224 * 192 = 27.4."""
    box = Box(1, (70, 70, 70), (230, 230, 230), 150)
    cropped = frame(box, "pasted_at_origin", within=region(300, 300, 300))
    assert cropped.window == Window((38, 38, 38), (224, 224, 224))
    assert cropped.assumed_window.size == (192, 192, 192)
    values = torch.zeros((PATCH,) * 3)
    values[27:165, 27:165, 27:165] = 1  # the box on the patch
    back = PatchOnVolume(values, cropped.assumed_window, region(300, 300, 300))
    column = back.slices(slice(100, 101))[0, :, 100]
    assert (column.nonzero().min(), column.nonzero().max()) == (27, 164)


def test_the_origin_is_that_of_the_non_zero_region():
    box = Box(1, (150, 110, 120), (170, 130, 140), 160)
    cropped = frame(box, "pasted_at_origin", within=region(260, 250, 240, low=(10, 10, 10)))
    assert cropped.assumed_window.low == (10, 10, 10)


def test_a_crop_that_needs_padding_is_pasted_where_it_was():
    box = Box(1, (140, 100, 110), (160, 120, 130), 150)
    cropped = frame(box, "pasted_at_origin", within=region(240, 250, 240))
    assert cropped.window == cropped.assumed_window


def test_clicks_are_misplaced_as_the_paste():
    box = Box(1, (140, 100, 110), (160, 120, 130), 150)
    clicks = [Click(1, (150, 110, 120), True)]
    for bugs, expected in (({"pasted_at_origin"}, (150, 110, 120)), (set(), (96, 96, 96))):
        cropped = frame(box, *bugs, within=region(260, 250, 240), clicks=clicks)
        channels = np.zeros((CHANNELS, PATCH, PATCH, PATCH), bool)
        draw_clicks_in_frame(channels, cropped, clicks, 1.0, bugs)
        assert tuple(np.argwhere(channels[POSITIVE]).mean(axis=0)) == expected


def test_closed_boxes_lose_their_last_planes():
    box = Box(1, (4, 4, 4), (9, 12, 20), 6)
    closed = frame(box, "closed_boxes", within=region(40, 40, 40), patch=48).box
    assert (closed.low, closed.high) == ((4, 4, 4), (8, 11, 19))


def test_an_object_of_one_slice_has_an_empty_closed_box():
    box = Box(1, (4, 4, 4), (5, 12, 20), 4)
    closed = frame(box, "closed_boxes", within=region(40, 40, 40), patch=48).box
    assert box_to_draw(closed, region(40, 40, 40), ()) is None
    assert box_to_draw(box, region(40, 40, 40), ()) == box


def test_a_box_that_begins_before_the_region_becomes_empty():
    box = Box(1, (2, 10, 10), (22, 30, 25), 12)
    within = region(60, 60, 60, low=(5, 5, 5))
    assert box_to_draw(box, within, {"negative_slices"}) is None
    assert box_to_draw(box, within, ()) == box
    inside = Box(1, (7, 10, 10), (22, 30, 25), 12)
    assert box_to_draw(inside, within, {"negative_slices"}) == inside


def test_the_centre_is_rounded_to_even():
    lows = [
        frame(Box(1, (n, 0, 0), (n + 3, 4, 4), n), *bugs, within=region(9, 9, 9), patch=48)
        for bugs in ((), ("rounded_centre",))
        for n in (10, 11)
    ]
    # middles 11.5 and 12.5: down to -13 and -12 as integers, both to 12 - 24 when rounded
    assert [cropped.window.low[0] for cropped in lows] == [-13, -12, -12, -12]


def test_a_ball_without_voxels_at_the_radius_has_251_voxels():
    cropped = frame(Box(1, (10, 10, 10), (14, 14, 14), 12), within=region(24, 24, 24), patch=24)
    for bugs, expected in (({"open_balls"}, 251), (set(), 257)):
        channels = np.zeros((CHANNELS, 24, 24, 24), bool)
        draw_clicks_in_frame(channels, cropped, [Click(1, (12, 12, 12), True)], 4.0, bugs)
        assert channels[POSITIVE].sum() == expected


def test_with_zoom_clicks_are_half_a_patch_voxel_off():
    """Voxel 27 of a window of 48 on a patch of 12 spans 6.75 to 7: its centre is 6.375."""
    box = Box(1, (10, 10, 10), (54, 54, 54), 12)
    cropped = frame(box, within=region(64, 64, 64), patch=12)
    assert cropped.window.size == (48, 48, 48)
    at = tuple(27 + low for low in cropped.window.low)
    for bugs, expected in ((set(), {6}), ({"corner_clicks"}, {7})):
        channels = np.zeros((CHANNELS, 12, 12, 12), bool)
        draw_clicks_in_frame(channels, cropped, [Click(1, at, True)], 0.66, bugs)
        assert set(np.argwhere(channels[POSITIVE]).mean(axis=0)) == expected


def test_of_a_click_outside_nothing_or_the_overlap_is_drawn():
    cropped = frame(
        Box(1, (0, 0, 0), (12, 12, 12), 6), "fixed_crop", within=region(9, 9, 9), patch=18
    )
    click = Click(1, (cropped.window.low[0] - 1, 6, 6), True)
    for bugs, drawn in ((set(), True), ({"outside_clicks"}, False)):
        channels = np.zeros((CHANNELS, 18, 18, 18), bool)
        draw_clicks_in_frame(channels, cropped, [click], 2.0, bugs)
        assert channels.any() == drawn


def test_the_crop_moves_to_include_clicks_outside():
    box = Box(1, (10, 10, 10), (14, 14, 14), 12)
    click = Click(1, (12, 12, 60), True)
    within = region(80, 80, 80)
    fixed = frame(box, "fixed_crop", within=within, clicks=[click], patch=24)
    moved = frame(box, within=within, clicks=[click], patch=24)
    assert fixed.window == Window((0, 0, 0), (24, 24, 24))
    assert moved.window.size == (59, 59, 59)  # 51 voxels and a third of the patch
    assert moved.window.low[2] + 59 > 60
    assert frame(box, within=within, patch=24).window == fixed.window


def test_with_one_default_box_only_the_first_label_has_one():
    within = region(9, 12, 15)
    assert default_box_for(2, (2, 5), within, {"one_default_box"}).high == (6, 8, 10)
    assert default_box_for(5, (2, 5), within, {"one_default_box"}) is None
    assert default_box_for(5, (2, 5), within, ()).low == (3, 4, 5)


def test_the_default_box_may_be_that_of_a_region_and_loses_no_plane():
    within = region(9, 12, 15, low=(10, 20, 30))
    box = default_box_for(1, (1,), within, {"closed_boxes"})
    default = frame(box, "closed_boxes", within=within, patch=48).box
    assert (default.low, default.high) == ((13, 24, 35), (16, 28, 40))


# ---- the whole segmentation ------------------------------------------------------------------


def test_a_failing_label_fills_all_but_one_slice():
    """Observed: 116875 of 120000 voxels became the failing label."""
    shape = (40, 50, 60)
    whole = region(*shape)
    values = torch.full((64, 64, 64), -9.0)
    values[10:15, 10:15, 10:15] = 9
    first = LabelLogits(1, PatchOnVolume(values, Window((0, 0, 0), (64, 64, 64)), whole))
    failing = LabelLogits(2, FailedLabelLogits(whole, torch.device("cpu")))
    segmentation = merge([first, failing], shape, torch.device("cpu"), raw_logits)
    assert (segmentation == 2).sum() == 116875
    assert (segmentation == 1).sum() == 125
    assert not segmentation[1].any()


def test_a_label_without_a_click_in_a_round_is_an_error():
    clicks = (Click(1, (1, 1, 1), True), Click(2, (2, 2, 2), True))
    previous = np.zeros((4, 4, 4), np.uint8)
    refuse_missing_clicks(Interactions(((), clicks), previous), (1, 2))
    refuse_missing_clicks(Interactions(((),), previous), (1, 2))
    with pytest.raises(AdapterError, match="no click for label 2 in step 2"):
        refuse_missing_clicks(Interactions(((), clicks, clicks[:1], clicks), previous), (1, 2))


def adapter_with(tmp_path, network, *, patch=16, **options):
    """Return an adapter with another network, to control its outputs and record its inputs."""
    path = tmp_path / "tiny.safetensors"
    recipe = Recipe(TINY, patch, 2.0, antialias=True, licence="none", training="none")
    save_checkpoint(path, ResidualEncoderUNet(TINY).state_dict(), recipe)
    adapter = make_adapter(weights=str(path), device="cpu", **options)
    adapter.model.network = network
    return adapter


def box_logits(x):
    """Return logits that are positive in the box channel."""
    box = x[:, BOX] * 20 - 10
    return torch.stack([-box / 2, box / 2], dim=1)


def failing_from(call):
    """Return a network that runs out of memory from its n-th forward pass on."""
    calls = []

    def network(x):
        calls.append(x)
        if len(calls) >= call:
            raise RuntimeError("out of memory")
        return box_logits(x)

    return network


SHAPE = (20, 24, 28)
BOXES = tuple(Box(n, (3 * n, 4, 5), (3 * n + 3, 9, 12), 3 * n) for n in (1, 2, 3))


def interactions_of(*rounds):
    return Interactions(rounds, np.zeros(SHAPE, np.uint8))


def image(value=9):
    return Image(np.full(SHAPE, value, np.uint8), (1.0, 1.0, 1.0))


def test_without_bugs_the_box_is_pasted_at_its_position(tmp_path):
    adapter = adapter_with(tmp_path, box_logits, refine="none")
    adapter.set_image(image(), (1, 2, 3))
    segmentation = adapter.predict(interactions_of(BOXES))
    for box in BOXES:
        assert (segmentation == box.label).sum() == 3 * 5 * 7
        assert (segmentation[tuple(map(slice, box.low, box.high))] == box.label).all()


def test_a_failure_fills_and_drops_the_later_labels(tmp_path):
    adapter = adapter_with(tmp_path, failing_from(2), variant="submission")
    adapter.set_image(image(), (1, 2, 3))
    segmentation = adapter.predict(interactions_of(BOXES))
    assert set(np.unique(segmentation)) == {0, 1, 2}
    assert (segmentation[0] == 2).all()
    assert not segmentation[1].any()


def test_without_that_bug_a_failure_is_raised(tmp_path):
    adapter = adapter_with(
        tmp_path, failing_from(2), variant="submission", fix="failing_label_fills"
    )
    adapter.set_image(image(), (1, 2, 3))
    with pytest.raises(RuntimeError, match="out of memory"):
        adapter.predict(interactions_of(BOXES))


def test_without_boxes_the_submission_segments_the_first_label_only(tmp_path):
    clicks = tuple(Click(n, (3 * n, 6, 7), True) for n in (1, 2, 3))
    adapter = adapter_with(tmp_path, box_logits, variant="submission", patch=32)
    adapter.set_image(image(), (1, 2, 3))
    assert set(np.unique(adapter.predict(interactions_of((), clicks)))) == {0, 1}


def test_the_submission_fails_on_an_empty_image_and_on_missing_clicks(tmp_path):
    adapter = adapter_with(tmp_path, box_logits, variant="submission")
    adapter.set_image(image(0), (1,))
    with pytest.raises(AdapterError, match="no non-zero region"):
        adapter.predict(interactions_of(BOXES[:1]))
    adapter.set_image(image(), (1, 2))
    with pytest.raises(AdapterError, match="no click for label 2 in step 1"):
        adapter.predict(interactions_of(BOXES[:2], (Click(1, (3, 6, 7), True),)))


def test_the_submission_pads_outside_the_non_zero_region(tmp_path):
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[2:18] = np.random.default_rng(0).integers(100, 200, (16, 24, 28))
    images = {}
    for variant in ("paper", "submission"):

        def network(x, variant=variant):
            images[variant] = x[0, 0].numpy().copy()
            return box_logits(x)

        adapter = adapter_with(tmp_path, network, variant=variant, patch=24)
        adapter.set_image(Image(voxels, (1.0, 1.0, 1.0)), (1,))
        adapter.predict(interactions_of(BOXES[:1]))
    assert (images["paper"] != 0).sum() > (images["submission"] != 0).sum() > 0


# ---- the options -----------------------------------------------------------------------------


def test_variants_are_sets_of_bugs():
    assert chosen_bugs("ours", "", "") == set()
    assert chosen_bugs("submission", "", "") == set(BUGS)
    assert VARIANTS["paper"][0] == VARIANTS["submission"][0] == "paper"
    (variant,) = (o for o in adapter_options(find_adapter("ours")) if o.name == "variant")
    assert set(variant.choices) == set(VARIANTS)


def test_bugs_can_be_added_and_removed():
    assert chosen_bugs("ours", "mixed_merge,open_balls", "") == {"mixed_merge", "open_balls"}
    assert chosen_bugs("submission", "", "mixed_merge") == set(BUGS) - {"mixed_merge"}


def test_without_bugs_the_adapter_is_the_plain_one():
    assert isinstance(make_adapter(device="cpu", variant="paper", fix="fixed_crop"), Ours)
    assert isinstance(make_adapter(device="cpu", bugs="fixed_crop"), OursAsSubmitted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bugs": "typo"}, "bugs: expected one of one_default_box.*found 'typo'"),
        ({"fix": "mixed_merge,typo"}, "fix: expected one of one_default_box.*found 'typo'"),
    ],
)
def test_unknown_bugs_are_refused_with_the_known_ones(options, message):
    with pytest.raises(AdapterError, match=message):
        make_adapter(**options)
