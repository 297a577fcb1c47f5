"""The recipe `paper` on a tiny network: its two passes, its samples, its loss and its rate."""

import copy
import csv
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from adapters.ours.network import CONFIGS, NetworkConfig
from adapters.ours.prompts import BOX, IMAGE, NEGATIVE, POSITIVE, PREVIOUS
from adapters.ours.training.command import main, parse_options, schedule_of
from adapters.ours.training.objects import read_scans
from adapters.ours.training.reporter import Reporter
from adapters.ours.training.run import sample_painter, train
from adapters.ours.training.sample_loader import SampleLoader
from adapters.ours.training.schedule import RECIPES, Phase, learning_rate, with_steps
from adapters.ours.training.setup import TrainingSetup
from adapters.ours.training.trainer import Trainer
from adapters.ours.weights import load_checkpoint
from segbench.errors import AdapterError

PATCH = 12
PAPER = replace(
    RECIPES["paper"], config="tiny", phases=(Phase(1.0, PATCH, 2),), tune_objects=1, tune_scenes=0
)
SILENT = Reporter(lambda line: None, lambda done, step, loss: None)
NAMES = [*(f"CT_STS_{n:03}" for n in range(5)), "MR_STS_001", "PET_STS_000", "PET_STS_001"]


pytestmark = pytest.mark.usefixtures("single_thread")


@pytest.fixture(autouse=True)
def tiny():
    CONFIGS["tiny"] = NetworkConfig((3, 4, 4), (1, 1, 1))
    CONFIGS["least"] = NetworkConfig((2, 2), (1, 1))
    yield
    del CONFIGS["tiny"], CONFIGS["least"]


@pytest.fixture
def data(tmp_path):
    """Eight scans with a margin of zeros; two labels, and a voxel of a third in the margin."""
    folder = tmp_path / "train"
    folder.mkdir()
    grid = np.indices((18, 20, 22)).transpose(1, 2, 3, 0)
    for seed, name in enumerate(NAMES):
        rng = np.random.default_rng(seed)
        label_map = np.zeros(grid.shape[:3], np.uint8)
        label_map[((grid - (8, 9, 8 + seed % 3)) ** 2).sum(-1) <= 9] = 1
        label_map[12, 11:16, 12:18] = label_map[13, 12:15, 13:17] = 2
        voxels = rng.integers(1, 90, label_map.shape) + 60 * (label_map > 0)
        voxels[:2] = voxels[:, -3:] = 0
        label_map[0, 0, 0] = 3
        np.savez(
            folder / f"{name}.npz",
            imgs=voxels.astype(np.uint8),
            gts=label_map,
            spacing=[1.0, 1.0, 1.0],
        )
    return folder


def trainer_of(data, **changes):
    schedule = replace(PAPER, **changes)
    painter = sample_painter(schedule, read_scans(data), [], torch.device("cpu"))
    return Trainer(schedule, SampleLoader(painter.sampler, n_workers=0), painter)


def recorded_passes(trainer):
    """Return a list that gets, of every forward pass, its input and whether it has a gradient."""
    passes = []
    trainer.network.encoder.register_forward_pre_hook(
        lambda encoder, inputs: passes.append((inputs[0].clone(), torch.is_grad_enabled()))
    )
    return passes


def test_a_batch_with_a_click_takes_a_first_pass_from_image_and_box_alone(data):
    trainer = trainer_of(data, first_pass_probability=1.0)
    passes, before = recorded_passes(trainer), copy.deepcopy(trainer.network)
    result = trainer.step(0.0)
    (first, first_has_gradient), (second, second_has_gradient) = passes
    assert result.n_clicks == [1, 1]
    assert (first_has_gradient, second_has_gradient) == (False, True)
    assert not first[:, [PREVIOUS, POSITIVE, NEGATIVE]].any()
    for channel in (IMAGE, BOX):
        assert first[:, channel].flatten(1).any(dim=1).all()
        assert torch.equal(first[:, channel], second[:, channel])
    logits = before(first)
    assert torch.equal(second[:, PREVIOUS], (logits[:, 1] > logits[:, 0]).float())
    clicked = second[:, POSITIVE] + second[:, NEGATIVE]
    assert (clicked.flatten(1).sum(1) > 0).all()


def test_a_batch_without_a_click_takes_one_pass_without_previous_segmentation(data):
    trainer = trainer_of(data, first_pass_probability=0.0)
    passes = recorded_passes(trainer)
    assert trainer.step(0.0).n_clicks == [0, 0]
    ((inputs, has_gradient),) = passes
    assert has_gradient
    assert not inputs[:, [PREVIOUS, POSITIVE, NEGATIVE]].any()


def test_the_gradient_is_that_of_the_second_pass_alone(data):
    trainer = trainer_of(data, first_pass_probability=1.0)
    passes, alone = recorded_passes(trainer), copy.deepcopy(trainer.network)
    result = trainer.step(0.0)
    second, _ = passes[1]
    references = trainer.painter.paint(
        [trainer.loader.sampler.draw(i, PATCH) for i in (0, 1)], PATCH
    ).references
    loss = loss_of_the_text(alone(second), references)
    loss.backward()
    assert float(result.losses.mean()) == pytest.approx(loss.item(), rel=1e-6)
    for trained, plain in zip(trainer.network.parameters(), alone.parameters(), strict=True):
        if plain.grad is None:  # heads of coarse resolutions have no loss
            assert trained.grad is None
        else:
            torch.testing.assert_close(trained.grad, plain.grad, rtol=1e-4, atol=1e-6)


def test_half_of_the_batches_get_a_click_and_each_batch_as_a_whole(data):
    trainer = trainer_of(data, config="least", phases=(Phase(1.0, 6, 2),))
    n = 300
    counts = [tuple(trainer.step(0.0).n_clicks) for _ in range(n)]
    assert set(counts) == {(0, 0), (1, 1)}
    # four standard deviations of a binomial distribution with p = 0.5
    assert abs(counts.count((1, 1)) - n / 2) < 4 * np.sqrt(n * 0.25)


def loss_of_the_text(outputs, references):
    """Return 10 x Dice loss + cross-entropy (Eq. 14-16), the mean over the batch."""
    logits, target = outputs[:, 1] - outputs[:, 0], references.float()
    p = torch.sigmoid(logits)
    overlap = 2 * (p * target).sum((1, 2, 3)) + 1e-5
    dice_loss = 1 - overlap / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1e-5)
    cross_entropy = torch.nn.functional.cross_entropy(outputs, references.long())
    return 10 * dice_loss.mean() + cross_entropy


def plain_sample(folder, sample):
    """Cut a window out of a scan that is cropped to its non-zero region; return image and mask."""
    with np.load(folder / f"{sample.scene.scan}.npz") as file:
        voxels, label_map = file["imgs"].astype(np.float64), file["gts"]
    used = np.argwhere(voxels)
    region = tuple(slice(a, b + 1) for a, b in zip(used.min(axis=0), used.max(axis=0), strict=True))
    voxels, mask = voxels[region], label_map[region] == sample.scene.label
    image = (voxels - voxels.mean()) / (voxels.std() + 1e-6)
    padded = [np.pad(volume, PATCH) for volume in (image, mask)]
    window = tuple(slice(low + PATCH, low + 2 * PATCH) for low in sample.scene.window.low)
    return (torch.from_numpy(volume[window].copy()) for volume in padded)


def largest_component(errors):
    """Return the largest 26-connected component of a mask, by flooding."""
    rest, components = {tuple(voxel) for voxel in errors.nonzero().tolist()}, []
    while rest:
        component, front = set(), [min(rest)]
        while front:
            voxel = front.pop()
            if voxel in rest:
                rest.remove(voxel)
                component.add(voxel)
                front += [
                    tuple(np.add(voxel, step)) for step in itertools.product((-1, 0, 1), repeat=3)
                ]
        components.append(component)
    return max(components, key=len)


def click_of_the_text(prediction, reference):
    """Return a ball around the deepest voxel of the largest error (Eq. 3, 7-11), and its kind."""
    component = largest_component(prediction ^ reference)
    around = itertools.product(range(-1, PATCH + 1), repeat=3)
    outside = torch.tensor([voxel for voxel in around if voxel not in component])
    inside = torch.tensor(sorted(component))
    depth = (inside[:, None] - outside[None]).square().sum(-1).min(dim=1).values
    centre = inside[depth == depth.max()][0]
    positions = torch.stack(torch.meshgrid(*[torch.arange(PATCH)] * 3, indexing="ij"), dim=-1)
    # the radius is 4 at a patch of 192, and never below 2
    return (positions - centre).square().sum(-1) <= 2**2, bool(reference[tuple(centre)])


def plain_batch(folder, samples):
    """Return the network's input without a click, and the references.

    The sides of the challenge's box are those of the middle slice. Its slack is less than a voxel
    here.
    """
    inputs = torch.zeros(len(samples), 8, PATCH, PATCH, PATCH)
    references = torch.zeros(len(samples), PATCH, PATCH, PATCH, dtype=torch.bool)
    for row, sample in enumerate(samples):
        inputs[row, IMAGE], references[row] = plain_sample(folder, sample)
        slices = references[row].flatten(1).any(dim=1).nonzero()[:, 0]
        y, x = references[row, slices[len(slices) // 2]].nonzero(as_tuple=True)
        z_span, y_span, x_span = (slice(at.min(), at.max() + 1) for at in (slices, y, x))
        inputs[row, BOX, z_span, y_span, x_span] = 1
    return inputs, references


def test_the_weights_are_those_of_a_plain_loop_written_from_the_text(data):
    trainer, steps = trainer_of(data), 8
    network = copy.deepcopy(trainer.network)
    start = copy.deepcopy(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=1e-5)
    rng, sampler = copy.deepcopy(trainer.rng), trainer.loader.sampler
    kinds = set()
    for step in range(steps):
        samples = [sampler.draw(index, PATCH) for index in (2 * step, 2 * step + 1)]
        inputs, references = plain_batch(data, samples)
        clicked = rng.random() < 0.5
        kinds.add(clicked)
        if clicked:
            with torch.no_grad():
                predictions = network(inputs).softmax(dim=1)[:, 1] > 0.5
            for row, (prediction, reference) in enumerate(
                zip(predictions, references, strict=True)
            ):
                ball, positive = click_of_the_text(prediction, reference)
                inputs[row, PREVIOUS] = prediction.float()
                inputs[row, POSITIVE if positive else NEGATIVE] = ball.float()
        optimiser.zero_grad()
        loss_of_the_text(network(inputs), references).backward()
        optimiser.step()
        trainer.step(step / steps)
    assert kinds == {True, False}
    trained = trainer.network.state_dict()
    for key, expected in network.state_dict().items():
        # a norm subtracts the bias before it: its gradient is 0 but for rounding
        if not key.endswith("conv.bias"):
            torch.testing.assert_close(trained[key], expected, rtol=0, atol=1e-5)
    moved = [(start[key] - value).abs().max() for key, value in network.state_dict().items()]
    assert max(moved) > 5e-4


def test_modalities_scans_and_classes_are_drawn_uniformly(data):
    sampler, n = trainer_of(data).loader.sampler, 3000
    scenes = [sampler.draw(index, PATCH).scene for index in range(n)]
    names = [scene.scan for scene in scenes]
    shares = {f"CT_STS_{i:03}": 1 / 15 for i in range(5)}
    shares |= {"MR_STS_001": 1 / 3, "PET_STS_000": 1 / 6, "PET_STS_001": 1 / 6}
    for name, share in shares.items():
        assert abs(names.count(name) - n * share) < 4 * np.sqrt(n * share * (1 - share))
    labels = [scene.label for scene in scenes]
    # the third label is outside the non-zero region
    assert set(labels) == {1, 2}
    assert abs(labels.count(1) - n / 2) < 4 * np.sqrt(n / 4)


def test_a_sample_is_the_plain_window_and_its_box(data):
    trainer = trainer_of(data)
    samples = [trainer.loader.sampler.draw(index, PATCH) for index in range(12)]
    batch = trainer.painter.paint(samples, PATCH)
    inputs, references = plain_batch(data, samples)
    assert torch.equal(batch.references, references)
    torch.testing.assert_close(batch.inputs, inputs, rtol=0, atol=1e-5)
    assert any((image == 0).any() for image in inputs[:, IMAGE])  # outside the non-zero region


def test_a_large_object_is_made_smaller_together_with_its_box(tmp_path):
    grid = np.indices((40, 40, 40)).transpose(1, 2, 3, 0)
    ball = ((grid - 20) ** 2).sum(-1) <= 15**2
    voxels = (ball * 90 + 10 + 60 * (grid[..., 0] % 2)).astype(np.uint8)
    np.savez(tmp_path / "CT_A_1.npz", imgs=voxels, gts=ball.astype(np.uint8), spacing=[1.0] * 3)
    trainer = trainer_of(tmp_path)
    sample = trainer.loader.sampler.draw(0, PATCH)
    assert sample.scene.window.size == (35, 35, 35)  # ceil((31 + 12 / 3) / 12 * 12)
    batch = trainer.painter.paint([sample], PATCH)
    box, reference = batch.inputs[0, BOX] > 0, batch.references[0]
    assert int(reference.sum()) == pytest.approx(int(ball.sum()) * (12 / 35) ** 3, rel=0.1)
    # linear interpolation skips voxels, so that every second slice is not averaged away
    image = torch.from_numpy((voxels - voxels.mean()) / (voxels.std() + 1e-6)).float()[None, None]
    low = sample.scene.window.low[0]
    window = image[:, :, low : low + 35, low : low + 35, low : low + 35]
    plain = torch.nn.functional.interpolate(window, (PATCH,) * 3, mode="trilinear")
    torch.testing.assert_close(batch.inputs[0, IMAGE], plain[0, 0], rtol=0, atol=1e-4)
    assert not (reference & ~box).any()
    assert reference.any(dim=2).any(dim=1).sum() == box.any(dim=2).any(dim=1).sum()


def test_scans_without_a_labelled_voxel_are_refused(tmp_path):
    blank = np.zeros((4, 4, 4), np.uint8)
    np.savez(tmp_path / "CT_A_1.npz", imgs=blank + 1, gts=blank, spacing=[1.0] * 3)
    with pytest.raises(AdapterError, match="1 scans to train on: expected a labelled voxel"):
        trainer_of(tmp_path)


def test_the_rate_is_constant():
    paper = RECIPES["paper"]
    rates = {learning_rate(paper, step, done) for step in (0, 1, 500) for done in (0, 0.5, 1)}
    assert rates == {1e-4}


def test_the_weights_that_are_saved_are_those_of_the_network_itself(data):
    trainer = trainer_of(data)
    for _ in range(3):
        trainer.step(0.0)
    trained, saved = trainer.network.state_dict(), trainer.ema_network.state_dict()
    assert all(torch.equal(trained[key], saved[key]) for key in trained)


def test_25_epochs_are_the_budget_unless_another_is_given():
    options = ["--data", "d", "--out", "o.safetensors", "--recipe", "paper", "--init", "random"]

    def schedule(*more):
        return schedule_of(parse_options([*options, *more], "train"))

    assert with_steps(schedule(), 7).steps == 88  # ceil(25 * 7 / 2)
    assert schedule().phases == (Phase(1.0, 192, 2),)
    assert with_steps(schedule("--minutes", "9"), 7) == replace(
        RECIPES["paper"], minutes=9, epochs=None
    )
    assert with_steps(schedule("--steps", "9"), 7).steps == 9


def test_initial_weights_must_be_chosen():
    options = ["--data", "d", "--out", "o.safetensors", "--recipe", "paper"]
    with pytest.raises(AdapterError, match="starts from nnInteractive v1.0: expected its folder"):
        parse_options(options, "train")


@pytest.mark.parametrize("option", ["--share-generated", "--warm-up", "--measure-seconds"])
def test_an_option_that_contradicts_the_recipe_is_refused(option):
    options = ["--data", "d", "--out", "o.safetensors", "--recipe", "paper", "--init", "random"]
    with pytest.raises(AdapterError, match=f"{option}: the recipe paper has its own value"):
        parse_options([*options, option, "1"], "train")


def test_a_stopped_and_resumed_training_gives_the_weights_of_an_uninterrupted_one(data, tmp_path):
    schedule = replace(PAPER, steps=8)
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    train(schedule, TrainingSetup(data, whole, workers=0), SILENT)
    setup = TrainingSetup(data, broken, resume=True, workers=0, stop_after=4)
    lines = []
    reporter = Reporter(lines.append, lambda done, step, loss: None)
    for _ in range(3):
        train(schedule, setup, reporter, map(float, itertools.count(0, 60)).__next__)
    assert [line for line in lines if line.startswith("stopped")] == [
        f"stopped after {steps} of 8 steps; the same command continues" for steps in (3, 6)
    ]
    expected, found = (load_checkpoint(path)[0].state_dict() for path in (whole, broken))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_state_of_another_recipe_is_refused(data, tmp_path):
    setup = TrainingSetup(data, tmp_path / "a.safetensors", resume=True, workers=0)
    train(replace(PAPER, steps=1), setup, SILENT)
    with pytest.raises(AdapterError, match="trained with recipe paper, now interactive"):
        train(replace(PAPER, steps=1, recipe="interactive"), setup, SILENT)


def test_the_command_trains_and_says_how(data, tmp_path):
    out = tmp_path / "paper.safetensors"
    options = ["--recipe", "paper", "--config", "tiny", "--phases", f"1:{PATCH}:2", "--steps", "3"]
    files = ["--data", str(data), "--out", str(out), "--tune-patients", "STS_001"]
    with pytest.raises(AdapterError, match="--init random"):
        main([*files, *options], "train")
    main([*files, *options, "--init", "random", "--workers", "0", "--device", "cpu"], "train")
    _, recipe = load_checkpoint(out)
    assert "3 steps" in recipe.training
    assert "recipe paper, from random weights" in recipe.training
    assert not recipe.antialias
    with out.with_suffix(".tune.csv").open() as file:
        assert {row["set"] for row in csv.DictReader(file)} >= {"scans", "scans_without_box"}
    state = torch.load(out.with_suffix(".state.pt"), weights_only=True)
    assert json.loads(state["conditions"])["scans"] == [
        name for name in NAMES if not name.endswith("_001")
    ]
