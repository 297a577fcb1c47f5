"""The adapter `ours` on small volumes with a small random network, and its checkpoints."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adapters.ours import make_adapter
from adapters.ours.crop import window_around
from adapters.ours.library_keys import library_state
from adapters.ours.network import NetworkConfig, ResidualEncoderUNet
from adapters.ours.prompts import draw_box
from adapters.ours.weights import Recipe, load_checkpoint, save_checkpoint
from segbench.core import Box, Click, Image, Interactions
from segbench.errors import AdapterError
from segbench.models.registry import find_adapter
from segbench.models.supervisor import WorkerModel
from segbench.models.worker_process import WorkerConfig
from tests.processes import run_without

TINY = NetworkConfig((4, 6, 8), (1, 1, 1))
RECIPE = Recipe(TINY, patch=16, ball_radius=2.0, antialias=True, licence="none", training="random")
SPACING = (3.0, 1.0, 1.0)
SHAPE = (9, 20, 31)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(1)
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, ResidualEncoderUNet(TINY).state_dict(), RECIPE)
    return path


@pytest.fixture
def adapter(weights):
    return make_adapter(weights=str(weights), device="cpu")


def image(shape=SHAPE, dtype=np.uint8):
    voxels = np.random.default_rng(3).integers(0, 250, shape)
    return Image(voxels.astype(dtype), SPACING)


def interactions_of(*rounds, shape=SHAPE, previous=None):
    zeros = np.zeros(shape, np.uint8)
    return Interactions(rounds, zeros if previous is None else previous)


BOXES = (Box(1, (2, 3, 4), (6, 12, 15), 4), Box(2, (1, 8, 12), (8, 19, 30), 4))
CLICKS = (Click(1, (3, 5, 6), True), Click(2, (4, 10, 20), False))


def test_the_segmentation_is_a_label_map_of_the_image(adapter):
    adapter.set_image(image(), (1, 2))
    segmentation = adapter.predict(interactions_of(BOXES))
    assert segmentation.shape == SHAPE
    assert segmentation.dtype == np.uint8
    assert set(np.unique(segmentation)) <= {0, 1, 2}
    assert segmentation.any()


def test_labels_above_255_give_uint16(adapter):
    adapter.set_image(image(), (1, 300))
    segmentation = adapter.predict(interactions_of((replace(BOXES[1], label=300),)))
    assert segmentation.dtype == np.uint16


def test_equal_interactions_give_equal_segmentations(adapter):
    adapter.set_image(image(), (1, 2))
    first = adapter.predict(interactions_of(BOXES))
    np.testing.assert_array_equal(adapter.predict(interactions_of(BOXES)), first)


def test_a_late_step_does_not_depend_on_earlier_calls(adapter, weights):
    adapter.set_image(image(), (1, 2))
    previous = adapter.predict(interactions_of(BOXES))
    late = interactions_of(BOXES, CLICKS, previous=previous)
    expected = adapter.predict(late)
    fresh = make_adapter(weights=str(weights), device="cpu")
    fresh.set_image(image(), (1, 2))
    np.testing.assert_array_equal(fresh.predict(late), expected)
    assert not np.array_equal(expected, previous)


def test_clicks_and_the_previous_segmentation_change_the_output(adapter):
    adapter.set_image(image(), (1, 2))
    previous = np.zeros(SHAPE, np.uint8)
    previous[2:6, 3:12, 4:15] = 1
    plain = adapter.predict(interactions_of(BOXES))
    assert not np.array_equal(adapter.predict(interactions_of(BOXES, CLICKS)), plain)
    assert not np.array_equal(adapter.predict(interactions_of(BOXES, previous=previous)), plain)


def test_a_new_image_replaces_the_last_one(adapter, weights):
    adapter.set_image(image(), (1,))
    adapter.predict(interactions_of(BOXES[:1]))
    other = Image(image().voxels[::-1].copy(), SPACING)
    adapter.set_image(other, (1,))
    fresh = make_adapter(weights=str(weights), device="cpu")
    fresh.set_image(other, (1,))
    np.testing.assert_array_equal(
        adapter.predict(interactions_of(BOXES[:1])), fresh.predict(interactions_of(BOXES[:1]))
    )


def test_image_and_interactions_are_not_modified(adapter):
    original, interactions = image(), interactions_of(BOXES, CLICKS)
    before = original.voxels.copy()
    adapter.set_image(original, (1, 2))
    adapter.predict(interactions)
    np.testing.assert_array_equal(original.voxels, before)
    assert not interactions.previous_segmentation.any()


@pytest.mark.parametrize("choice", [{"no_box": "paper"}, {"variant": "paper"}])
def test_every_label_without_a_box_gets_the_papers_central_third(weights, choice):
    """The authors' code does this for the first label only; the others are never segmented."""
    adapter = make_adapter(weights=str(weights), device="cpu", **choice)
    third = ((3, 6, 10), (6, 13, 20))
    adapter.set_image(image(), (4, 7))
    default = adapter.predict(interactions_of(()))
    boxes = tuple(Box(label, *third, 4) for label in (4, 7))
    np.testing.assert_array_equal(default, adapter.predict(interactions_of(boxes)))
    adapter.set_image(image(), (7,))
    assert (adapter.predict(interactions_of(())) == 7).any()


def test_a_label_without_box_and_click_is_not_segmented(adapter):
    adapter.set_image(image(), (1, 2))
    assert not adapter.predict(interactions_of(())).any()
    only_first = adapter.predict(interactions_of((), (Click(1, (3, 5, 6), True),)))
    assert 2 not in only_first


def bright(x):
    """Return logits that are positive where the image is bright."""
    return torch.stack([-x[:, 0], x[:, 0]], dim=1)


def cube(side, shape=(60, 70, 80)):
    """Return an image of a bright cube in the centre, and the cube's mask."""
    inside = np.zeros(shape, bool)
    inside[tuple(slice((n - side) // 2, (n + side) // 2) for n in shape)] = True
    return Image((inside * 200 + 20).astype(np.uint8), SPACING), inside


@pytest.mark.parametrize("side", [8, 20, 40])
def test_without_a_box_the_window_is_enlarged_until_it_contains_the_object(weights, side):
    adapter = make_adapter(weights=str(weights), device="cpu", refine="none")
    adapter.model.network = bright
    bright_cube, inside = cube(side)
    adapter.set_image(bright_cube, (1,))
    rounds = ((), (Click(1, (30, 35, 40), True),))
    segmentation = adapter.predict(interactions_of(*rounds, shape=inside.shape)) == 1
    dice_of_packed = 2 * (segmentation & inside).sum() / (segmentation.sum() + inside.sum())
    assert dice_of_packed > (
        0.99 if side < 16 else 0.8
    )  # zoomed out, edges are half a patch voxel off
    assert segmentation[inside].mean() > 0.8


def test_without_a_box_a_late_step_does_not_depend_on_earlier_calls(adapter, weights):
    bright_cube, inside = cube(20)
    adapter.set_image(bright_cube, (1, 2))
    first = ((), (Click(1, (30, 35, 40), True), Click(2, (5, 5, 5), True)))
    previous = adapter.predict(interactions_of(*first, shape=inside.shape))
    late = interactions_of(
        *first, (Click(1, (40, 35, 40), False),), shape=inside.shape, previous=previous
    )
    expected = adapter.predict(late)
    fresh = make_adapter(weights=str(weights), device="cpu")
    fresh.set_image(bright_cube, (1, 2))
    np.testing.assert_array_equal(fresh.predict(late), expected)


def test_labels_with_and_without_a_box_can_be_combined(adapter):
    adapter.set_image(image(), (1, 2))
    segmentation = adapter.predict(interactions_of(BOXES[:1], (Click(2, (4, 10, 20), True),)))
    assert segmentation.shape == SHAPE


def test_enforced_clicks_are_in_the_segmentation(weights):
    adapter = make_adapter(weights=str(weights), device="cpu", enforce_clicks=True)
    flat = Image(np.full(SHAPE, 7, np.uint8), SPACING)
    adapter.set_image(flat, (1, 2))
    clicks = (Click(1, (4, 10, 12), True), Click(2, (4, 10, 22), False))
    segmentation = adapter.predict(interactions_of(BOXES, clicks))
    assert segmentation[4, 10, 12] == 1
    assert (segmentation[4, 10, 9:16] == 1).all()
    assert segmentation[4, 10, 22] != 2


@pytest.mark.parametrize(("tta_flips", "symmetric"), [(1, False), (8, True)])
def test_with_all_flips_a_symmetric_scene_has_symmetric_logits(weights, tta_flips, symmetric):
    adapter = make_adapter(weights=str(weights), device="cpu", tta_flips=tta_flips)
    half = np.random.default_rng(1).integers(0, 250, (16, 16, 8), np.uint8)
    adapter.set_image(Image(np.concatenate([half, half[..., ::-1]], axis=2), SPACING), (1,))
    box = Box(1, (2, 5, 4), (9, 12, 12), 5)
    window = window_around(box, adapter.model.recipe.patch)
    window = replace(window, low=(0, 0, 0))
    prompts = np.zeros((8, 16, 16, 16), bool)
    draw_box(prompts, box, window)
    with torch.inference_mode():
        logits = adapter.model.forward(window, prompts)
    assert torch.allclose(logits, logits.flip(2), atol=1e-4) is symmetric


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("boxes", [BOXES, ()])
def test_on_cuda_refined_segmentations_are_those_of_the_processor(weights, boxes):
    found = []
    for device in ("cuda", "cpu"):
        adapter = make_adapter(weights=str(weights), device=device)
        adapter.set_image(image(), (1, 2))
        found.append(adapter.predict(interactions_of(boxes, CLICKS)))
    assert (found[0] != found[1]).mean() < 0.01


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_cuda_a_step_without_refinement_synchronises_once(weights, monkeypatch):
    on_cuda = make_adapter(weights=str(weights), device="cuda", refine="none")
    on_cpu = make_adapter(weights=str(weights), device="cpu", refine="none")
    for each in (on_cuda, on_cpu):
        each.set_image(image(), (1, 2))
    copies = []
    monkeypatch.setattr(torch.Tensor, "cpu", _allowed_to_synchronise(torch.Tensor.cpu, copies))
    torch.cuda.set_sync_debug_mode("error")
    try:
        segmentation = on_cuda.predict(interactions_of(BOXES, CLICKS))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(copies) == 1
    assert (segmentation != on_cpu.predict(interactions_of(BOXES, CLICKS))).mean() < 0.01


def _allowed_to_synchronise(copy, copies):
    """Return a ``Tensor.cpu`` that records its call and is allowed to synchronise."""

    def cpu(tensor):
        copies.append(tensor.shape)
        torch.cuda.set_sync_debug_mode("default")
        copied = copy(tensor)
        torch.cuda.set_sync_debug_mode("error")
        return copied

    return cpu


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 40, 50), np.uint8),
        ((3, 3, 3), np.float32),
        ((60, 17, 33), np.uint16),
        ((20, 20, 20), np.float64),
        ((20, 20, 20), np.int16),
    ],
)
def test_thin_tiny_and_wide_ranged_images_work(adapter, shape, dtype):
    adapter.set_image(image(shape, dtype), (1,))
    middle = tuple(n // 2 for n in shape)
    whole = Box(1, (0, 0, 0), shape, middle[0])
    rounds = ((whole,), (Click(1, middle, True),))
    assert adapter.predict(interactions_of(*rounds, shape=shape)).shape == shape
    assert adapter.predict(interactions_of((), *rounds[1:], shape=shape)).shape == shape


@pytest.mark.parametrize("value", [0, 200])
def test_a_constant_image_works(adapter, value):
    adapter.set_image(Image(np.full(SHAPE, value, np.uint8), SPACING), (1,))
    assert adapter.predict(interactions_of(BOXES[:1])).shape == SHAPE


def test_without_labels_all_is_background(adapter):
    adapter.set_image(image(), ())
    assert not adapter.predict(interactions_of(())).any()


def test_the_adapter_has_its_info(adapter, weights):
    assert adapter.info.name == "ours"
    assert adapter.info.licence == "none"
    assert adapter.info.deterministic
    assert len(adapter.info.weights_sha256) == 64
    state = load_file(weights)
    key = next(iter(state))
    state[key] = state[key] + 1
    other = weights.with_name("other.safetensors")
    save_checkpoint(other, state, RECIPE)
    assert make_adapter(weights=str(other)).info.weights_sha256 != adapter.info.weights_sha256


def test_the_bundled_weights_load_and_segment():
    shipped = make_adapter(device="cpu")
    shipped.set_image(image(), (1,))
    assert shipped.predict(interactions_of(BOXES[:1])).shape == SHAPE
    assert shipped.model.recipe.config.norm == "instance"


def test_an_unknown_device_is_refused(weights):
    with pytest.raises(
        AdapterError, match="device: expected auto, cpu, cuda or cuda:N, found 'tpu'"
    ):
        make_adapter(weights=str(weights), device="tpu")


def test_a_missing_cuda_device_is_refused(weights, environment):
    environment(CUDA_VISIBLE_DEVICES="")
    options = {"weights": str(weights), "device": "cuda"}
    with pytest.raises(AdapterError, match="expected a CUDA device, found that torch sees none"):
        WorkerModel(find_adapter("ours"), options, WorkerConfig())


def test_without_torch_the_message_has_the_install_command(data, tmp_path):
    words = ["run", "--model", "ours", "--data", data, "--out", tmp_path / "run", "--in-process"]
    status, errors = run_without("torch", *words)
    assert status == 2
    assert "expected the package torch, found none; pip install 'segbench[ours]'" in errors


def test_missing_weights_are_refused(tmp_path):
    with pytest.raises(
        AdapterError, match=r"expected a file, found no file .*nowhere\.safetensors"
    ):
        make_adapter(weights=str(tmp_path / "nowhere.safetensors"))


def test_a_loaded_checkpoint_equals_the_saved_one_in_half_precision(weights):
    torch.manual_seed(1)
    saved = ResidualEncoderUNet(TINY).state_dict()
    network, recipe = load_checkpoint(weights)
    assert recipe == RECIPE
    assert not network.training
    for key, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, saved[key].half().float())


def rewritten(path, *, state=None, **metadata):
    """Overwrite a checkpoint with some metadata, or the state, replaced."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        old = file.metadata()
    kept = {key: value for key, value in (old | metadata).items() if value is not None}
    save_file(load_file(path) if state is None else state, path, metadata=kept)
    return str(path)


def test_a_norm_that_differs_from_the_configuration_is_refused(weights):
    with pytest.raises(AdapterError, match="found 'group' in the metadata and 'instance' in"):
        make_adapter(weights=rewritten(weights, norm="group"))


def test_weights_that_do_not_state_their_norm_are_refused(weights):
    with pytest.raises(AdapterError, match="found None in the metadata"):
        make_adapter(weights=rewritten(weights, norm=None))


def test_another_format_is_refused(weights):
    with pytest.raises(AdapterError, match="expected a checkpoint in format segbench-ours-1"):
        make_adapter(weights=rewritten(weights, format="other"))


@pytest.mark.parametrize("metadata", [{"patch": None}, {"config": "{}"}, {"patch": "many"}])
def test_incomplete_metadata_are_refused(weights, metadata):
    with pytest.raises(AdapterError, match="expected whole metadata, found"):
        make_adapter(weights=rewritten(weights, **metadata))


def test_a_patch_that_is_no_multiple_of_the_stride_is_refused(weights):
    with pytest.raises(AdapterError, match="expected a patch that is a multiple of 4, found 18"):
        make_adapter(weights=rewritten(weights, patch="18"))


def test_unknown_tensors_are_refused_by_name(weights):
    state = load_file(weights) | {"decoder.extra.weight": torch.zeros(1)}
    with pytest.raises(AdapterError, match=r"1 unknown, first decoder\.extra\.weight"):
        make_adapter(weights=rewritten(weights, state=state))


def test_missing_tensors_are_refused_by_name(weights):
    state = load_file(weights)
    del state["encoder.stem.convs.0.conv.bias"]
    with pytest.raises(
        AdapterError, match=r"1 of \d+ tensors are missing .*stem\.convs\.0\.conv\.bias"
    ):
        make_adapter(weights=rewritten(weights, state=state))


def test_a_tensor_of_another_shape_is_refused(weights):
    state = load_file(weights)
    state["encoder.stem.convs.0.conv.bias"] = torch.zeros(5)
    with pytest.raises(AdapterError, match=r"expected shape \(4,\), found \(5,\)"):
        make_adapter(weights=rewritten(weights, state=state))


def test_a_library_layout_with_aliases_loads(weights):
    aliases = {key: tensor.clone() for key, tensor in library_state(load_file(weights)).items()}
    before, _ = load_checkpoint(weights)
    after, _ = load_checkpoint(type(weights)(rewritten(weights, state=aliases)))
    for key, tensor in after.state_dict().items():
        torch.testing.assert_close(tensor, before.state_dict()[key])


def test_a_file_that_is_not_safetensors_is_refused(tmp_path):
    path = tmp_path / "text.safetensors"
    path.write_text("not weights")
    with pytest.raises(AdapterError, match=r"text\.safetensors: expected a safetensors file"):
        make_adapter(weights=str(path))


@pytest.mark.parametrize(
    ("choice", "refine"),
    [
        ({}, "walker"),
        ({"refine": "none"}, "none"),
        ({"variant": "paper"}, "none"),
        ({"variant": "submission"}, "none"),
        ({"variant": "paper", "fix": "fixed_crop"}, "none"),
        ({"bugs": "open_balls"}, "none"),
    ],
)
def test_only_the_variant_ours_without_bugs_refines(weights, choice, refine):
    adapter = make_adapter(weights=str(weights), device="cpu", **choice)
    assert adapter.options.refine == refine


def test_bugs_cannot_be_refined(weights):
    with pytest.raises(AdapterError, match="refine=walker: expected no bugs.*fixed_crop"):
        make_adapter(weights=str(weights), device="cpu", variant="paper", refine="walker")


def test_refined_labels_inside_each_other_are_both_there(adapter):
    adapter.model.network = lambda x: (
        torch.stack([-x[:, 2], x[:, 2]], dim=1) * 16 + torch.tensor([8.0, -8.0]).view(1, 2, 1, 1, 1)
    )  # the box
    boxes = (Box(1, (10, 10, 10), (50, 50, 50), 30), Box(2, (25, 25, 25), (35, 35, 35), 30))
    for order in (boxes, tuple(replace(box, label=3 - box.label) for box in boxes)):
        adapter.set_image(Image(np.full((60, 60, 60), 9, np.uint8), (1.0, 1.0, 1.0)), (1, 2))
        segmentation = adapter.predict(interactions_of(order, shape=(60, 60, 60)))
        inner, outer = order[1].label, order[0].label
        assert segmentation[30, 30, 30] == inner
        assert segmentation[30, 30, 15] == outer
