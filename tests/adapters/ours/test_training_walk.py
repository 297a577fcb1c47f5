"""The random walk of the training: that of the adapter, in batches, with a gradient."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from adapters._coarse_grid import CoarseGrid
from adapters._random_walk import box_odds, current_hint, random_walk
from adapters._walk_settings import OUTSIDE_Z_ODDS
from adapters.ours.refinement import smoothness_for
from adapters.ours.refinement_settings import BOX_WEIGHT, NETWORK_WEIGHT, NETWORK_WEIGHT_ALONE
from adapters.ours.training.boxes import PatchBox
from adapters.ours.training.interactive_batch import joined, start_batch
from adapters.ours.training.losses import walk_loss
from adapters.ours.training.walk import block_edge, walked, walked_masks
from segbench.core import Box, Click

PATCH, FACTOR = 96, 2
CORNERS = ((28, 28, 28), (68, 66, 68)), ((18, 33, 24), (78, 63, 72))
pytestmark = pytest.mark.usefixtures("single_thread")


@pytest.fixture(scope="module")
def scene():
    """Two images with an object each, references and logits with errors."""
    rng = np.random.default_rng(0)
    images = ndimage.gaussian_filter(rng.standard_normal((2, PATCH, PATCH, PATCH)), (0, 2, 2, 2))
    at = np.indices((PATCH,) * 3) - PATCH / 2
    axes = np.array([[20, 19, 20], [30, 15, 24]])
    references = np.stack([((at / r[:, None, None, None]) ** 2).sum(0) < 1 for r in axes])
    images = images / images.std() + references
    noise = ndimage.gaussian_filter(rng.standard_normal(references.shape), (0, 4, 4, 4))
    logits = 6 * references - 3 + 4 * noise / noise.std()
    images, logits = (torch.from_numpy(a.astype(np.float32)) for a in (images, logits))
    return images, torch.from_numpy(references), logits


def clicked(scene, boxes, clicks=2):
    images, references, logits = scene
    batch = start_batch(images, references, boxes)
    for _ in range(clicks):
        batch.add_clicks(logits > 0)
    return batch


def walk_of_the_adapter(batch, row, logits, corners):
    """Return the probabilities that ``refinement.refine`` would find on the blocks of the patch."""

    def blocks(volume):
        return torch.nn.functional.avg_pool3d(volume[None, None], FACTOR)[0, 0].numpy()

    values = blocks(batch.inputs[row, 0])
    grid = CoarseGrid((slice(0, PATCH),) * 3, (FACTOR,) * 3, values)
    box = None if corners is None else Box(1, *corners, mid_slice=48)
    network = np.clip(blocks(logits[row]), -8, 8)
    if box is None:
        odds, around = NETWORK_WEIGHT_ALONE * network, tight(logits[row] > 0)
    else:
        z, around = grid.axes()[0], box
        outside = (z < box.low[0] - 0.5) | (z > box.high[0] - 0.5)
        ellipsoid = np.maximum(box_odds(grid, box) + OUTSIDE_Z_ODDS * outside, -5)
        odds = NETWORK_WEIGHT * network + BOX_WEIGHT * ellipsoid
    before = batch.inputs[row, 1].numpy().astype(np.uint8)
    hints = tuple(
        current_hint(Click(1, tuple(map(int, click[:3])), bool(click[3] > 0)), before, box)
        for click in batch.clicks[row]
        if click[3]
    )
    return random_walk(grid, (1.0, 1.0, 1.0), odds, box, hints, smoothness_for(grid, around))


def tight(mask):
    at = mask.nonzero()
    low, high = at.amin(0), at.amax(0) + 1
    return Box(1, tuple(map(int, low)), tuple(map(int, high)), mid_slice=0)


@pytest.mark.parametrize("with_box", [True, False])
def test_the_walk_is_that_of_the_adapter(scene, with_box):
    logits = scene[2]
    boxes = [PatchBox(*corners) if with_box else None for corners in CORNERS]
    batch = clicked(scene, boxes)
    found = walked(logits, batch)
    assert block_edge(PATCH) == FACTOR
    for row, corners in enumerate(CORNERS):
        expected = walk_of_the_adapter(batch, row, logits, corners if with_box else None)
        difference = np.abs(expected - found[row].numpy())  # both solvers stop early
        assert difference.max() < 0.1
        assert difference.mean() < 2e-3
        assert ((expected > 0.5) != (found[row].numpy() > 0.5)).mean() < 3e-3


def test_a_sample_is_refined_alone_as_in_a_batch(scene):
    batch = clicked(scene, [PatchBox(*corners) for corners in CORNERS])
    together = walked(scene[2], batch)
    alone = walked(scene[2][1:], batch.rows([1]))
    torch.testing.assert_close(together[1:], alone, rtol=1e-3, atol=1e-3)


def test_the_refined_answer_obeys_the_clicks(scene):
    batch = clicked(scene, [PatchBox(*corners) for corners in CORNERS], clicks=3)
    masks = walked_masks(scene[2], batch)
    for mask, clicks in zip(masks, batch.clicks, strict=True):
        for z, y, x, sign in clicks.tolist():
            assert bool(mask[z, y, x]) == (sign > 0)


def test_the_gradient_is_that_of_the_loss():
    """Against a difference quotient, along a random direction, in an image without intensities."""
    edge = 16
    generator = torch.Generator().manual_seed(3)
    images = torch.zeros((1, edge, edge, edge))
    references = torch.zeros((1, edge, edge, edge), dtype=torch.bool)
    references[0, 4:12, 5:11, 4:12] = True
    batch = start_batch(images, references, [PatchBox((4, 5, 4), (12, 11, 12))])
    logits = torch.randn(images.shape, generator=generator).requires_grad_()
    direction = torch.randn(images.shape, generator=generator)

    def loss(values):
        return walk_loss(walked(values, batch), references.float(), 10.0).sum()

    (gradient,) = torch.autograd.grad(loss(logits), logits)
    step = 0.02
    with torch.no_grad():
        quotient = (loss(logits + step * direction) - loss(logits - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(quotient), rel=0.02)


def test_clicks_of_a_batch_are_kept_with_their_samples(scene):
    images, references, logits = scene
    boxed = start_batch(images, references, [PatchBox(*corners) for corners in CORNERS])
    boxed.add_clicks(logits > 0)
    boxed.add_clicks(logits > 0)
    kept = boxed.rows([1])
    new = start_batch(images[:1], references[:1], [None])
    both = joined([kept, new])
    assert both.n_clicks == [2, 1]
    assert both.clicks[0].tolist() == boxed.clicks[1].tolist()
    assert both.clicks[1, 0].tolist() == [0, 0, 0, 0]
    assert both.clicks[1, 1].tolist() == new.clicks[0, 0].tolist()
    assert both.rows([1]).clicks.shape[1] == 1
    for z, y, x, sign in both.clicks[0].tolist():
        assert both.inputs[0, 4 if sign > 0 else 5, z, y, x] == 1
