"""The classical baseline: it uses the image, follows clicks, and respects its grid's limit."""

import numpy as np
import pytest

from adapters._coarse_grid import CoarseGrid, coarse_grid, upsample
from adapters._random_walk import label_roi, make_hint
from adapters._walk_settings import DEFAULT_DISTANCE
from adapters.random_walker import RandomWalker
from segbench.core import Box, Click, Image, Interactions
from segbench.models.in_process import InProcessModel
from segbench.models.registry import find_adapter

SHAPE = (20, 60, 70)
BOX = Box(1, (4, 15, 20), (16, 45, 60), 10)


def image_and_mask() -> tuple[Image, np.ndarray]:
    """Return a bright bent object in noise, and its mask; `BOX` is its box."""
    rng = np.random.default_rng(0)
    inside = np.zeros(SHAPE, bool)
    inside[4:16, 15:25, 20:60] = True
    inside[4:16, 25:45, 45:60] = True
    voxels = 60 + 90 * inside + rng.normal(0, 12, SHAPE)
    return Image(voxels.clip(0, 255).astype(np.uint8), (2.0, 1.0, 1.0)), inside


@pytest.fixture
def model():
    model = InProcessModel.load(find_adapter("random_walker"), {})
    model.set_image(image_and_mask()[0], (1, 2))
    return model


def predict(model, *rounds, shape=SHAPE):
    found = model.predict(Interactions(rounds, np.zeros(shape, np.uint8)))
    assert found.failure is None, found.failure
    return found.segmentation


def dice(one, other) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def ellipsoid():
    model = InProcessModel.load(find_adapter("ellipsoid"), {})
    model.set_image(image_and_mask()[0], (1,))
    return predict(model, (BOX,)) == 1


def test_it_uses_the_image(model):
    inside = image_and_mask()[1]
    assert dice(predict(model, (BOX,)) == 1, inside) > dice(ellipsoid(), inside) + 0.03


def test_clicks_are_followed_and_improve_the_segmentation_around_them(model):
    first = predict(model, (BOX,))
    outside, within = (10, 20, 22), (10, 32, 36)
    assert not first[outside]
    assert first[within]
    second = predict(model, (BOX,), (Click(1, outside, True),))
    third = predict(model, (BOX,), (Click(1, outside, True),), (Click(1, within, False),))
    assert second[outside] == 1
    assert third[outside] == 1
    assert third[within] == 0
    inside = image_and_mask()[1]
    scores = [dice(segmentation == 1, inside) for segmentation in (first, second, third)]
    assert scores[0] < scores[1] < scores[2]


def test_without_a_box_it_starts_from_a_click(model):
    segmentation = predict(model, (), (Click(2, (10, 20, 40), True),))
    assert segmentation[10, 20, 40] == 2
    assert 20 < (segmentation == 2).sum() < image_and_mask()[1].sum()
    assert not predict(model, (), (Click(2, (10, 20, 40), False),)).any()
    assert not predict(model, ()).any()


def test_a_click_on_one_label_is_a_click_against_the_other(model):
    other = Box(2, (4, 15, 20), (16, 45, 60), 10)
    segmentation = predict(model, (BOX, other), (Click(2, (10, 20, 50), True),))
    assert segmentation[10, 20, 50] == 2
    assert (segmentation == 1).any()


def test_the_grid_respects_its_limit_and_a_coarser_one_finds_the_same_object(model):
    fine = predict(model, (BOX,)) == 1
    for voxels in (20_000, 400):
        grid = coarse_grid(image_and_mask()[0], label_roi(BOX, (), SHAPE), voxels)
        assert voxels / 4 < grid.values.size <= voxels
    coarse = RandomWalker(max_voxels=20_000)
    coarse.set_image(image_and_mask()[0], (1,))
    interactions = Interactions(((BOX,),), np.zeros(SHAPE, np.uint8))
    assert 0.75 < dice(coarse.predict(interactions) == 1, fine) < 1


def test_upsampling_reproduces_a_ramp(model):
    ramp = np.broadcast_to(np.arange(70, dtype=np.uint8), SHAPE)
    roi = (slice(2, 19), slice(5, 36), slice(10, 61))
    grid = CoarseGrid(roi, (3, 2, 4), np.zeros((6, 16, 13), np.float32))
    x = np.broadcast_to(grid.axes()[2], grid.values.shape).astype(np.float32)
    fine = upsample(x, grid)
    assert fine.shape == ramp[roi].shape
    np.testing.assert_allclose(fine[:, :, 3:-3], ramp[roi][:, :, 3:-3], atol=1e-4)


def test_a_clicks_distance_is_that_to_the_border_it_corrects():
    before = np.zeros((30, 30, 30), np.uint8)
    before[:, :, :10] = 1
    assert make_hint(Click(1, (15, 15, 14), True), before).distance == 5
    assert make_hint(Click(1, (15, 15, 7), False), before).distance == 3
    assert make_hint(Click(2, (15, 15, 14), True), before).distance == DEFAULT_DISTANCE


@pytest.mark.parametrize(
    ("voxels", "box"),
    [
        (np.full((5, 6, 7), 3, np.uint8), Box(1, (0, 0, 0), (5, 6, 7), 2)),
        (np.zeros((1, 9, 9), np.float32), Box(300, (0, 2, 2), (1, 7, 7), 0)),
        (np.arange(8, dtype=np.int16).reshape(2, 2, 2), Box(1, (-3, -2, 0), (9, 9, 9), 1)),
        (np.ones((4, 4, 4), np.uint8), Box(1, (9, 9, 9), (12, 12, 12), 10)),
    ],
    ids=["no contrast", "one plane and a large label", "sticking out", "beyond"],
)
def test_unusual_images_and_boxes_work(model, voxels, box):
    model.set_image(Image(voxels, (1.0, 1.0, 1.0)), (box.label,))
    segmentation = predict(model, (box,), (Click(box.label, (0, 1, 1), True),), shape=voxels.shape)
    assert segmentation.shape == voxels.shape
    assert segmentation[0, 1, 1] == box.label
