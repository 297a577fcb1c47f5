"""Training of `ours`: scenes, crops of scans, dialogues, the loss, and a very short run."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.ours.crop import window_around
from adapters.ours.network import CONFIGS, NetworkConfig
from adapters.ours.prompts import BOX, NEGATIVE, POSITIVE, PREVIOUS
from adapters.ours.training import run as training_run
from adapters.ours.training.dialogue import click, drawn_box, open_dialogue
from adapters.ours.training.learning import Phase, Schedule, learning_rate, loss_of
from adapters.ours.training.objects import (
    jittered_window,
    read_scans,
    scene_of,
    split_by_patient,
    targets_of,
    tight_box,
)
from adapters.ours.training.scenes import Scene, generated_scene
from adapters.ours.weights import load_checkpoint

SCRIPT = Path(__file__).parent.parent / "adapters" / "ours" / "training" / "train.py"


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def scans(tmp_path):
    """Six scans of three patients, one ball each, and one that training leaves out."""
    grid = np.indices((20, 24, 28)).transpose(1, 2, 3, 0)
    names = [f"{m}_STS_{p:03}" for m in ("CT", "PET") for p in (1, 2, 3)]
    for i, name in enumerate([*names, "US_DeepRegTRUS_001"]):
        ball = ((grid - (9, 11, 12 + i)) ** 2).sum(-1) <= 25
        noise = np.random.default_rng(i).integers(0, 60, ball.shape)
        voxels = (noise + 120 * ball).astype(np.uint8)
        np.savez(tmp_path / f"{name}.npz", imgs=voxels, gts=ball.astype(np.uint8), spacing=[1] * 3)
    return tmp_path


def cube(patch=16, low=4, high=10):
    reference = np.zeros((patch,) * 3, bool)
    reference[low:high, low:high, low:high] = True
    return Scene(np.zeros((patch,) * 3, np.float32), reference)


def test_generated_scenes_hold_one_object_and_finite_grey_values(rng):
    for _ in range(6):
        scene = generated_scene(rng, 32)
        assert scene.image.shape == scene.reference.shape == (32, 32, 32)
        assert scene.image.dtype == np.float32
        assert np.isfinite(scene.image).all()
        assert 60 <= scene.reference.sum() <= 0.6 * 32**3


def test_the_same_seed_generates_the_same_scene():
    first, second = (generated_scene(np.random.default_rng(9), 32) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.reference, second.reference)


def test_scans_whose_licence_is_unclear_are_left_out(scans):
    assert [scan.name for scan in read_scans(scans)] == [
        f"{m}_STS_{p:03}" for m in ("CT", "PET") for p in (1, 2, 3)
    ]


def test_a_patient_is_never_on_both_sides_of_the_split(scans, rng):
    learn, hold = split_by_patient(read_scans(scans), 0.15, rng)
    assert {scan.patient for scan in learn}.isdisjoint(scan.patient for scan in hold)
    assert len({scan.patient for scan in hold}) == 1
    assert len(hold) == 2


def test_a_cut_scene_shows_the_object_inside_its_window(scans, rng):
    (target,) = targets_of(read_scans(scans)[0])
    assert target.box == tight_box(target.scan.labels, 1)
    assert np.subtract(target.box.high, target.box.low).tolist() == [11, 11, 11]
    for _ in range(5):
        scene = scene_of(target, rng, 32, centred=True)
        assert scene.reference.any()
        assert np.isfinite(scene.image).all()


def test_windows_in_training_stay_near_the_crop_rule(scans, rng):
    (target,) = targets_of(read_scans(scans)[0])
    rule = window_around(target.box, 16)
    sizes = [jittered_window(target, rng, 16, centred=True).size for _ in range(200)]
    assert np.mean(sizes) == pytest.approx(rule.size[0], rel=0.05)
    assert np.std(sizes) > 0.05 * rule.size[0]


def test_an_unboxed_dialogue_opens_with_a_click_inside_the_object(rng):
    dialogue = open_dialogue(cube(), rng, radius=2.0, boxed=False)
    assert dialogue.clicks == 1
    assert not dialogue.channels[BOX].any()
    assert dialogue.channels[POSITIVE][6:8, 6:8, 6:8].any()


def test_a_boxed_dialogue_opens_with_a_box_that_meets_the_object(rng):
    for _ in range(30):
        dialogue = open_dialogue(cube(), rng, radius=2.0, boxed=True)
        drawn = dialogue.channels[BOX] > 0
        assert (drawn & dialogue.reference).any()
        assert drawn.sum() == np.prod(np.ptp(np.argwhere(drawn), axis=0) + 1)
        assert not dialogue.channels[POSITIVE].any()


def test_boxes_are_drawn_in_several_manners(rng):
    drawn = {
        tuple((s.start, s.stop) for s in drawn_box(cube(48).reference, rng)) for _ in range(60)
    }
    assert ((4, 10),) * 3 in drawn
    assert len(drawn) > 5


def test_the_prediction_and_a_click_on_its_error_are_said_next(rng):
    dialogue = open_dialogue(cube(), rng, radius=2.0, boxed=True)
    prediction = np.zeros((16, 16, 16), bool)
    prediction[4:10, 4:10, 4:10] = True
    prediction[11:16, 11:16, 11:16] = True
    assert click(dialogue, prediction, 2.0)
    np.testing.assert_array_equal(dialogue.channels[PREVIOUS], prediction)
    assert dialogue.channels[NEGATIVE, 13, 13, 13] == 1
    assert not dialogue.channels[POSITIVE].any()


def test_a_perfect_prediction_ends_the_dialogue(rng):
    dialogue = open_dialogue(cube(), rng, radius=2.0, boxed=True)
    assert not click(dialogue, dialogue.reference, 2.0)
    assert dialogue.clicks == 0


def test_the_loss_is_ten_dice_losses_and_a_cross_entropy():
    """One voxel of two right at p = 0.5: Dice 2 * 0.5 / (1 + 1), cross-entropy log 2."""
    margin, reference = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    losses, dice = loss_of(margin, reference, 10.0)
    assert losses.item() == pytest.approx(10 * 0.5 + np.log(2), abs=1e-4)
    assert dice == [pytest.approx(0, abs=1e-4)]


def test_a_better_prediction_costs_less():
    reference = torch.tensor([[[[1.0, 0.0]]]])
    good, bad = torch.tensor([[[[9.0, -9.0]]]]), torch.tensor([[[[-9.0, 9.0]]]])
    assert loss_of(good, reference, 10.0)[0].item() < 0.01
    assert loss_of(bad, reference, 10.0)[0].item() > 10


def test_the_learning_rate_warms_up_and_falls():
    schedule = Schedule(1.0, warm_up=10, learning_rate=1.0)
    assert learning_rate(schedule, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(schedule, 50, 0.0) == pytest.approx(1.0)
    assert learning_rate(schedule, 50, 1.0) == pytest.approx(0.02)


def test_a_short_run_leaves_a_log_a_curve_and_a_checkpoint(scans, tmp_path, monkeypatch):
    monkeypatch.setitem(CONFIGS, "tiny", NetworkConfig((4, 6), (1, 1)))
    monkeypatch.setattr(training_run, "LOG_EVERY", 2)
    monkeypatch.setattr(training_run, "TUNE_SCENES", 1)
    out, said = tmp_path / "tiny.safetensors", []
    schedule = Schedule(0.03, config="tiny", phases=(Phase(1.0, 16, 2),))
    training_run.train(schedule, scans, out, said.append)
    network, recipe = load_checkpoint(out)
    assert recipe.patch == 16
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    with out.with_suffix(".log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses
    assert np.isfinite(losses).all()
    with out.with_suffix(".tune.csv").open() as file:
        assert {row["set"] for row in csv.DictReader(file)} == {"scans", "scenes"}
    assert any("inscribed ellipsoid" in line for line in said)


def test_the_script_explains_its_options():
    shown = subprocess.run(
        [sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True
    )
    assert "--minutes" in shown.stdout
