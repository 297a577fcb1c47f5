"""Small scans to train on, and one thread of torch."""

import numpy as np
import pytest
import torch


@pytest.fixture
def single_thread():
    """Compute on one thread: sums have one order, and threads do not survive a fork."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def scans(tmp_path):
    """Six scans of three patients, one ball each, and one that is left out by default."""
    grid = np.indices((20, 24, 28)).transpose(1, 2, 3, 0)
    names = [f"{m}_STS_{p:03}" for m in ("CT", "PET") for p in (1, 2, 3)]
    for i, name in enumerate([*names, "US_DeepRegTRUS_001"]):
        ball = ((grid - (9, 11, 12 + i)) ** 2).sum(-1) <= 25
        noise = np.random.default_rng(i).integers(0, 60, ball.shape)
        voxels = (noise + 120 * ball).astype(np.uint8)
        np.savez(tmp_path / f"{name}.npz", imgs=voxels, gts=ball.astype(np.uint8), spacing=[1] * 3)
    return tmp_path
