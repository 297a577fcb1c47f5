"""SegVol: the published file format, its geometry, and the authors' code if it is available."""

import importlib
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from segbench.core import Box, Click, Image, Interactions
from segbench.data.challenge_boxes import boxes_to_array
from segbench.errors import AdapterError
from segbench.models.in_process import InProcessModel
from segbench.models.loading import import_adapter_file
from segbench.models.registry import find_adapter
from tests.segvol_checkpoint import random_state, write_checkpoint

PEER = "SEGBENCH_TEST_PEER_SEGVOL"  # a checkout of github.com/Yuxin-Du-Lab/SegVol-for-SegFM


@pytest.fixture(scope="module")
def geometry():
    package = import_adapter_file(find_adapter("segvol"))
    return importlib.import_module(f"{package.__name__}.geometry")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("segvol") / "tiny.pth")


def volume(shape=(14, 60, 75), seed=0) -> Image:
    """Return noise with a bright block and a border of zeros, as in many scans."""
    rng = np.random.default_rng(seed)
    voxels = rng.integers(20, 80, shape)
    voxels[3:9, 15:40, 20:50] += 120
    voxels[:, :4], voxels[:, :, -5:] = 0, 0
    return Image(voxels.astype(np.uint8), (3.0, 1.0, 1.0))


def block(label=1, low=(3, 15, 20), high=(9, 40, 50)) -> Box:
    return Box(label, low, high, (low[0] + high[0]) // 2)


def interactions_of(*boxes: Box, clicks=(), shape=(14, 60, 75)) -> Interactions:
    rounds = ((*boxes,), clicks) if clicks else ((*boxes,),)
    return Interactions(rounds, np.zeros(shape, np.uint8))


@pytest.fixture
def adapter(checkpoint):
    """Return the adapter as in a run."""
    return InProcessModel.load(
        find_adapter("segvol"), {"weights": str(checkpoint), "device": "cpu"}
    )


def segment(model, *boxes, **given):
    image = volume()
    model.set_image(image, tuple(box.label for box in boxes))
    found = model.predict(interactions_of(*boxes, **given))
    assert found.failure is None, found.failure
    return found.segmentation


# ---- the contract ----------------------------------------------------------------------------


def test_a_box_is_segmented_and_clicks_have_no_effect(adapter):
    segmentation = segment(adapter, block())
    assert set(np.unique(segmentation)) == {0, 1}
    clicked = segment(adapter, block(), clicks=(Click(1, (0, 0, 0), True),))
    np.testing.assert_array_equal(clicked, segmentation)
    assert adapter.info.prompts == ("box",)


def test_without_a_box_the_segmentation_is_empty(adapter):
    assert not segment(adapter, clicks=(Click(1, (5, 30, 30), True),)).any()


def test_a_later_label_overwrites_an_earlier_one(adapter):
    one, two = block(), block(2, (4, 18, 24), (8, 36, 45))
    alone = segment(adapter, two) == 2
    both = segment(adapter, one, two)
    np.testing.assert_array_equal(both == 2, alone)
    assert (both == 1).any()


def test_the_segmentation_of_a_constant_image_is_empty(adapter):
    adapter.set_image(Image(np.full((5, 6, 7), 9, np.uint8), (1.0, 1.0, 1.0)), (1,))
    found = adapter.predict(interactions_of(block(1, (0, 0, 0), (4, 4, 4)), shape=(5, 6, 7)))
    assert found.failure is None
    assert not found.segmentation.any()


def test_a_box_in_the_border_or_outside_the_image_is_no_error(adapter):
    segment(adapter, block(1, (2, 0, 30), (4, 3, 40)), block(2, (-3, 50, 60), (40, 70, 90)))


# ---- the file --------------------------------------------------------------------------------


def test_the_sizes_are_read_from_the_tensors(adapter, checkpoint):
    network = adapter._adapter.network
    assert network.sizes.window == (8, 32, 32)
    assert (network.sizes.width, network.sizes.depth) == (64, 2)
    assert adapter.info.weights_sha256


def test_a_flat_file_is_loaded_too(tmp_path, adapter):
    torch.save(random_state(), tmp_path / "flat.bin")
    flat = InProcessModel.load(find_adapter("segvol"), {"weights": str(tmp_path / "flat.bin")})
    np.testing.assert_array_equal(segment(flat, block()), segment(adapter, block()))


def test_missing_unknown_and_misshapen_tensors_are_named(tmp_path):
    for change, match in [
        (lambda state: state.pop("model.mask_decoder.iou_token.weight"), "iou_token"),
        (lambda state: state.pop("model.image_encoder.norm.weight"), "image_encoder.norm.weight"),
        (lambda state: state.update({"model.new.weight": torch.zeros(1)}), "new.weight"),
        (
            lambda state: state.update({"model.image_encoder.norm.bias": torch.zeros(3)}),
            "norm.bias",
        ),
    ]:
        state = random_state()
        change(state)
        torch.save({"model_state_dict": state}, tmp_path / "bad.pth")
        with pytest.raises(AdapterError, match=match):
            InProcessModel.load(find_adapter("segvol"), {"weights": str(tmp_path / "bad.pth")})


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save({"model_state_dict": random_state(), "extra": Path("x")}, tmp_path / "code.pth")
    with pytest.raises(AdapterError, match="expected a checkpoint that can be read"):
        InProcessModel.load(find_adapter("segvol"), {"weights": str(tmp_path / "code.pth")})
    (tmp_path / "text.pth").write_text("no checkpoint")
    with pytest.raises(AdapterError, match="expected a checkpoint that can be read"):
        InProcessModel.load(find_adapter("segvol"), {"weights": str(tmp_path / "text.pth")})
    with pytest.raises(AdapterError, match="segbench models"):
        InProcessModel.load(find_adapter("segvol"), {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected a dictionary, found list"),
        ({"model_state_dict": 7}, "model_state_dict: expected tensors by name, found int"),
        ({1: 2}, "expected tensors under .model_state_dict., found the keys 1"),
        ({"model_state_dict": {"model.x": "y"}}, "'model.x': expected a tensor"),
    ],
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(AdapterError, match=rf"other\.pth: {message}"):
        InProcessModel.load(find_adapter("segvol"), {"weights": str(tmp_path / "other.pth")})


def test_an_empty_file_is_no_checkpoint_and_the_older_format_is_one(tmp_path, adapter):
    (tmp_path / "empty.pth").touch()
    with pytest.raises(AdapterError, match=r"empty\.pth: expected a checkpoint that can be read"):
        InProcessModel.load(find_adapter("segvol"), {"weights": str(tmp_path / "empty.pth")})
    file = tmp_path / "old.pth"
    torch.save(random_state(), file, _use_new_zipfile_serialization=False)
    old = InProcessModel.load(find_adapter("segvol"), {"weights": str(file)})
    np.testing.assert_array_equal(segment(old, block()), segment(adapter, block()))


# ---- geometry --------------------------------------------------------------------------------


def test_windows_cover_and_overlap_by_half(geometry):
    rois = geometry.sliding_windows((8, 32, 50), (8, 32, 32))
    assert [roi[2] for roi in rois] == [slice(0, 32), slice(16, 48), slice(18, 50)]
    assert geometry.sliding_windows((8, 32, 32), (8, 32, 32)) == [
        (slice(0, 8), slice(0, 32), slice(0, 32))
    ]


def test_a_region_is_enlarged_to_the_window_and_cut_at_the_border(geometry):
    found = torch.zeros(20, 40, 40, dtype=torch.bool)
    found[10:12, 2:4, 20:22] = True
    z, y, x = geometry.roi_around(found, (8, 32, 32))
    assert (z, x) == (slice(7, 15), slice(5, 37))
    assert y == slice(0, 19)
    assert geometry.roi_around(torch.zeros(4, 4, 4), (8, 32, 32)) is None


def test_the_corners_of_a_mask_are_those_of_its_middle_slice(geometry):
    mask = torch.zeros(6, 9, 9)
    mask[1, 0:9, 0:2], mask[3, 2:5, 3:7] = 1, 1
    mask[4, 1:8, 1:8] = 1
    low, high = geometry.box_corners(mask)
    assert low.tolist() == [1, 1, 1]
    assert high.tolist() == [4, 7, 7]
    assert (geometry.box_corners(torch.zeros(2, 2, 2)) == -1).all()


# ---- the authors' own code -------------------------------------------------------------------


@pytest.fixture(scope="module")
def peer():
    """Return the authors' modules; imports that are never called here may be missing."""
    folder = os.environ.get(PEER)
    if folder is None:
        pytest.skip(f"{PEER} names no checkout of the authors' code")
    monai_nets = pytest.importorskip("monai.networks.nets")
    pytest.importorskip("transformers")
    for unused in ("nibabel", "tqdm"):
        try:
            importlib.import_module(unused)
        except ImportError:
            sys.modules[unused] = types.ModuleType(unused)
    sys.path.insert(0, folder)
    original = monai_nets.ViT

    def renamed(*args, pos_embed, **kwargs):  # MONAI 1.4 and later call it proj_type
        return original(*args, proj_type=pos_embed, **kwargs)

    monai_nets.ViT = renamed
    try:
        yield importlib.import_module("infer_case")
    finally:
        monai_nets.ViT = original
        sys.path.remove(folder)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "window",
    [
        pytest.param((8, 32, 32), id="many windows"),
        pytest.param((16, 64, 64), id="one window"),
        pytest.param((32, 256, 256), id="full size", marks=pytest.mark.slow),
    ],
)
def test_the_authors_code_gives_the_same_segmentations(peer, tmp_path, window, monkeypatch):
    model = sys.modules["segvol.model_segvol_single"]
    torch.manual_seed(1)
    config = model.SegVolConfig()
    config.spatial_size = list(window)
    theirs = model.SegVolModel(config).eval()
    with torch.no_grad():
        theirs.model.image_encoder.patch_embedding.position_embeddings.normal_()
    torch.save({"model_state_dict": theirs.state_dict()}, tmp_path / "full.pth")
    ours = InProcessModel.load(
        find_adapter("segvol"), {"weights": str(tmp_path / "full.pth"), "device": "cpu"}
    )
    predictor, counts = sys.modules["segbench_adapter_segvol.segvol.predictor"], []
    sliding_windows = predictor.sliding_windows
    monkeypatch.setattr(
        predictor,
        "sliding_windows",
        lambda *sizes: counts.append(len(sliding_windows(*sizes))) or sliding_windows(*sizes),
    )
    full = window == (32, 256, 256)  # minutes per forward pass
    for seed, shape in enumerate([(10, 44, 54), (12, 50, 52)][: 1 if full else 2]):
        image, boxes = volume(shape, seed), (block(), block(2, (4, 20, 8), (9, 38, 30)))
        boxes = boxes[:1] if full else boxes
        arrays = {"imgs": image.voxels, "boxes": boxes_to_array(boxes), "spacing": image.spacing}
        np.savez(tmp_path / "case.npz", **arrays)
        item = peer.load_item(str(tmp_path / "case.npz"), theirs.processor)
        expected = peer.infer_case(theirs, item, theirs.processor, torch.device("cpu"))
        ours.set_image(image, tuple(box.label for box in boxes))
        found = ours.predict(interactions_of(*boxes, shape=shape)).segmentation
        assert {box.label for box in boxes} <= set(np.unique(expected))
        np.testing.assert_array_equal(found, expected)
    assert len(counts) == (1 if full else 4)
    assert (max(counts) > 1) == (window == (8, 32, 32))
