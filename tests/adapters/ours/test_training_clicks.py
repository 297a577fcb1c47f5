"""Clicks for training, in torch alone, against the protocol's simulator."""

import cc3d
import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt, gaussian_filter

from adapters.ours.training.clicks import (
    MAX_VOXELS,
    largest_components,
    next_clicks,
    squared_depth,
)
from segbench.protocol.simulator import next_click

PAIRS = 500
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no CUDA device"))]  # fmt: skip


def random_pair(rng):
    """Two smooth masks; every third pair differs in single voxels only, some masks are empty."""
    shape = tuple(int(n) for n in rng.integers(1, 26, 3))
    first, second = (
        gaussian_filter(rng.standard_normal(shape), rng.uniform(0.4, 3)) > rng.choice([0, 0, 0, 9])
        for _ in range(2)
    )
    return (first, first ^ (rng.random(shape) < 0.02)) if rng.random() < 0.33 else (first, second)


def tensors(*masks, device="cpu"):
    return [torch.from_numpy(mask)[None].to(device) for mask in masks]


@pytest.mark.parametrize("device", DEVICES)
def test_clicks_are_as_deep_and_in_the_same_component_as_those_of_the_protocol(device):
    rng = np.random.default_rng(3)
    compared = 0
    for _ in range(PAIRS):
        prediction, reference = random_pair(rng)
        found = next_clicks(*tensors(prediction, reference, device=device))
        expected = next_click(prediction, reference, label=1)
        assert bool(found.exists) == (expected is not None)
        if expected is None:
            continue
        error = prediction ^ reference
        components = cc3d.connected_components(error.view(np.uint8), connectivity=26)
        voxel = tuple(found.voxels[0].tolist())
        assert components[voxel] == components[expected.voxel] > 0
        assert bool(found.positive) == reference[voxel]
        component = np.pad(components == components[voxel], 1)
        depth = distance_transform_edt(component)[1:-1, 1:-1, 1:-1]
        assert depth[voxel] == depth[expected.voxel]
        compared += 1
    assert compared > 400


@pytest.mark.parametrize("device", DEVICES)
def test_the_depth_is_the_exact_distance_to_the_outside(device):
    rng = np.random.default_rng(4)
    for _ in range(20):
        (mask,) = tensors(rng.random((9, 13, 17)) < rng.choice([0.5, 0.9, 0.99, 1.0]))
        expected = distance_transform_edt(np.pad(mask[0].numpy(), 1))[1:-1, 1:-1, 1:-1]
        found = squared_depth(mask.to(device))[0].cpu().numpy()
        np.testing.assert_allclose(found, expected**2, atol=1e-3)


def test_a_batch_of_masks_has_the_components_of_each_mask_alone():
    rng = np.random.default_rng(5)
    masks = torch.from_numpy(rng.random((6, 12, 11, 10)) < 0.15)
    alone = torch.cat([largest_components(mask[None]) for mask in masks])
    assert torch.equal(largest_components(masks), alone)


def test_of_equal_components_the_first_in_memory_is_clicked():
    prediction = np.zeros((3, 3, 9), bool)
    prediction[1, 1, 1:3] = prediction[1, 1, 5:7] = True
    found = next_clicks(*tensors(prediction, np.zeros_like(prediction)))
    assert found.voxels.tolist() == [[1, 1, 1]]
    assert not bool(found.positive)


def test_a_snake_as_long_as_the_volume_is_one_component():
    """A path through every second row and plane: the labels must travel far."""
    mask = np.zeros((9, 9, 9), bool)
    mask[::2, ::2] = True
    mask[::2, 1::4, -1] = mask[::2, 3::4, 0] = True
    mask[1::4, -1, -1] = mask[3::4, -1, -1] = True
    expected = cc3d.connected_components(mask.view(np.uint8), connectivity=26)
    largest = expected == np.argmax(np.bincount(expected[mask]))
    np.testing.assert_array_equal(largest_components(*tensors(mask))[0].numpy(), largest)


def test_volumes_whose_labels_float32_cannot_hold_are_refused():
    huge = torch.zeros(1, dtype=torch.bool).expand(1, 256, 256, 256)
    with pytest.raises(ValueError, match=f"expected fewer than {MAX_VOXELS}"):
        largest_components(huge)
