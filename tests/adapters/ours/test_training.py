"""Training of `ours`: crops of scans, boxes, interactive batches, the loader, the loss."""

import multiprocessing
import os
import pickle
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.ours.crop import Window, crop_image, crop_mask, window_around
from adapters.ours.intensity import Intensity
from adapters.ours.prompts import BOX, NEGATIVE, POSITIVE, PREVIOUS
from adapters.ours.training.boxes import KINDS, BoxParameters, simulated_boxes
from adapters.ours.training.crops import (
    IntensityParameters,
    draw_crop,
    jittered_window,
    mask_to_patch,
    paint_crops,
    scans_on_device,
    search_window,
)
from adapters.ours.training.interactive_batch import box_masks, start_batch
from adapters.ours.training.losses import click_loss, deep_supervision_loss, dice_ce_loss
from adapters.ours.training.objects import (
    Scan,
    draw_tune_patients,
    objects_of,
    read_scans,
    split_by_patient,
    tight_box,
)
from adapters.ours.training.sample_loader import SampleLoader
from adapters.ours.training.samples import SampleGenerator
from adapters.ours.training.schedule import Phase, Schedule, learning_rate, phase_at
from segbench.errors import AdapterError


@pytest.fixture
def rng():
    return np.random.default_rng(5)


CPU = torch.device("cpu")


def cubes(count=1, patch=16, low=4, high=10):
    references = torch.zeros(count, patch, patch, patch, dtype=torch.bool)
    references[:, low:high, low:high, low:high] = True
    return references


def batch_of(references, boxes):
    return start_batch(torch.zeros(references.shape), references, boxes)


def test_scans_whose_licence_is_unclear_are_left_out(scans):
    assert [scan.name for scan in read_scans(scans, Schedule().left_out)] == [
        f"{m}_STS_{p:03}" for m in ("CT", "PET") for p in (1, 2, 3)
    ]


def test_a_patient_is_never_on_both_sides_of_the_split(scans):
    read = read_scans(scans, Schedule().left_out)
    tune_patients = draw_tune_patients(read, 0.15, seed=42)
    assert tune_patients == draw_tune_patients(read, 0.15, seed=42)
    train_scans, tune_scans = split_by_patient(read, tune_patients)
    assert {scan.patient for scan in train_scans}.isdisjoint(scan.patient for scan in tune_scans)
    assert len({scan.patient for scan in tune_scans}) == 1
    assert len(tune_scans) == 2


def test_one_more_collection_does_not_change_the_split_of_the_others():
    blank = np.zeros((1, 1, 1), np.uint8)
    names = [f"MR_{c}_{p:02}" for c in ("Alpha", "Zeta") for p in range(20)]
    scans = [Scan(name, blank, blank, Intensity.of(blank)) for name in names]
    alone, both = (draw_tune_patients(some, 0.15, seed=1) for some in (scans[20:], scans))
    assert [patient for patient in both if patient.startswith("Zeta")] == alone
    assert len(alone) == 3
    assert len(both) == 6


def test_patients_can_be_named_and_must_exist(scans):
    train_scans, tune_scans = split_by_patient(read_scans(scans), ["STS_002"])
    assert [scan.name for scan in tune_scans] == ["CT_STS_002", "PET_STS_002"]
    assert len(train_scans) == 5
    with pytest.raises(AdapterError, match="no scan of STS_099: cannot be held out"):
        split_by_patient(train_scans, ["STS_099"])


def test_names_without_a_collection_are_patients_of_one():
    blank = np.zeros((1, 1, 1), np.uint8)
    scans = [Scan(f"case{i:02}", blank, blank, Intensity.of(blank)) for i in range(20)]
    assert len(draw_tune_patients(scans, 0.15, seed=1)) == 3
    assert {scan.group for scan in scans} == {""}


def test_groups_are_drawn_by_the_root_of_their_number_of_scans(scans):
    objects = {scan.name: objects_of(scan) for scan in read_scans(scans)}
    one, four = objects["CT_STS_001"], [t for n in range(1, 5) for t in _of(objects, n)]
    made = SampleGenerator([one, four], Schedule())
    np.testing.assert_allclose(made.group_probabilities, [1 / 3, 2 / 3])


def _of(objects, index):
    return list(objects.values())[index]


def test_the_box_of_an_object_is_tight(scans):
    (scan_object,) = objects_of(read_scans(scans)[0])
    assert scan_object.box == tight_box(scan_object.scan.label_map, 1)
    assert np.subtract(scan_object.box.high, scan_object.box.low).tolist() == [11, 11, 11]


def test_crops_contain_the_object_with_and_without_a_box(scans, rng):
    read = read_scans(scans)
    (scan_object,) = objects_of(read[0])
    crops = [draw_crop(scan_object, rng, 32, with_box=bool(i % 2)) for i in range(12)]
    assert {crop.rotation is None for crop in crops} == {True, False}
    images, masks = paint_crops(crops, 32, scans_on_device(read, CPU))
    assert images.isfinite().all()
    assert masks.flatten(1).sum(1).min() >= 20


def test_a_crop_without_augmentation_is_that_of_inference(scans, rng):
    (scan,) = read_scans(scans)[:1]
    (scan_object,) = objects_of(scan)
    window = Window((-3, 2, 5), (30, 22, 19))
    crop = replace(
        draw_crop(scan_object, rng, 16, with_box=True),
        window=window,
        axes=(0, 1, 2),
        flipped=(False, False, False),
        rotation=None,
        intensity=IntensityParameters(),
    )
    images, masks = paint_crops([crop], 16, scans_on_device([scan], CPU))
    expected = crop_image(scan.voxels, window, 16, intensity=scan.intensity, antialias=True)
    np.testing.assert_allclose(images[0].numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(masks[0].numpy(), crop_mask(scan.label_map, window, 16, label=1))
    turned = replace(crop, axes=(2, 0, 1), flipped=(True, False, True))
    images, masks = paint_crops([turned], 16, scans_on_device([scan], CPU))
    moved = np.transpose(expected, (2, 0, 1))[::-1, :, ::-1]
    np.testing.assert_allclose(images[0].numpy(), moved, atol=1e-5)


def test_a_rotation_by_nothing_changes_nothing_but_the_margin(scans, rng):
    """A window of twice the patch, so that the enlarged window is whole voxels, too."""
    (scan,) = read_scans(scans)[:1]
    (scan_object,) = objects_of(scan)
    crop = replace(
        draw_crop(scan_object, rng, 16, with_box=True),
        window=Window((0, 2, 4), (16, 16, 16)),
        axes=(0, 1, 2),
        flipped=(False, False, False),
        intensity=IntensityParameters(),
    )
    still = np.eye(3, dtype=np.float32)
    device_scans = scans_on_device([scan], CPU)
    plain, rotated = (
        paint_crops([replace(crop, rotation=turn)], 16, device_scans) for turn in (None, still)
    )
    torch.testing.assert_close(rotated[0], plain[0], atol=1e-4, rtol=0)
    assert torch.equal(rotated[1], plain[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_crops_are_the_same_on_a_gpu_up_to_rounding(scans, rng):
    read = read_scans(scans)
    (scan_object,) = objects_of(read[0])
    crops = [
        replace(crop, intensity=replace(crop.intensity, noise=0.0))
        for crop in (draw_crop(scan_object, rng, 32, with_box=True) for _ in range(12))
    ]
    here, there = (
        paint_crops(crops, 32, scans_on_device(read, torch.device(name)))
        for name in ("cpu", "cuda")
    )
    assert (here[1] != there[1].cpu()).float().mean() < 1e-4
    torch.testing.assert_close(there[0].cpu(), here[0], atol=1e-3, rtol=1e-3)


def test_masks_are_cut_as_at_inference(rng):
    label_map = rng.integers(0, 3, (9, 14, 11)).astype(np.uint8)
    for low, size in (((-4, 3, 0), (20, 9, 30)), ((2, 2, 2), (5, 5, 5)), ((-40, 0, 0), (8, 8, 8))):
        window = Window(low, size)
        found = mask_to_patch(torch.from_numpy(label_map), window, 16, label=2)
        np.testing.assert_array_equal(found.numpy(), crop_mask(label_map, window, 16, label=2))


def test_training_windows_are_close_to_the_crop_rule(scans, rng):
    (scan_object,) = objects_of(read_scans(scans)[0])
    rule = window_around(scan_object.box, 16)
    sizes = [jittered_window(scan_object, rng, 16).size for _ in range(200)]
    assert np.mean(sizes) == pytest.approx(rule.size[0], rel=0.05)
    assert np.std(sizes) > 0.05 * rule.size[0]


def test_a_sample_without_a_box_starts_with_a_click_inside_the_object(rng):
    batch = batch_of(cubes(2), [None, BoxParameters.draw(rng)])
    assert batch.n_clicks == [1, 0]
    assert not batch.inputs[0, BOX].any()
    assert batch.inputs[0, POSITIVE, 6:8, 6:8, 6:8].any()
    assert batch.inputs[0, POSITIVE].sum() == 33  # a ball of radius 2
    assert batch.inputs[1, BOX].any()
    assert not batch.inputs[1, [POSITIVE, NEGATIVE, PREVIOUS]].any()


def test_boxes_overlap_the_object_and_are_of_three_kinds(rng):
    parameters = [BoxParameters.draw(rng) for _ in range(60)]
    assert {box.kind for box in parameters} == set(KINDS)
    low, high = simulated_boxes(cubes(60, 48, 10, 30), parameters)
    assert (low < 30).all()
    assert (high > 10).all()
    assert (high > low).all()
    tight = torch.tensor([box.kind == "tight" for box in parameters])
    assert (low[tight] == 10).all()
    assert (high[tight] == 30).all()
    assert len({tuple(corner) for corner in low.tolist()}) > 5


@pytest.mark.parametrize("edge", [1, 2, 3, 4, 6])
def test_boxes_of_small_objects_are_never_empty_and_overlap_them(rng, edge):
    parameters = [BoxParameters.draw(rng) for _ in range(200)]
    references = cubes(200, 48, 20, 20 + edge)
    low, high = simulated_boxes(references, parameters)
    overlap = (box_masks(low, high, 48) & references).flatten(1).any(1)
    assert overlap.all()


def test_the_box_on_the_middle_slice_is_that_of_a_plain_loop(rng):
    """The middle one of the used slices along any axis, its in-plane extent moved outwards."""
    masks = torch.from_numpy(rng.random((12, 24, 24, 24)) < 0.004)
    parameters = [
        BoxParameters(
            "middle_slice", int(rng.integers(3)), int(rng.integers(6)), (0,) * 3, (0,) * 3
        )
        for _ in masks
    ]
    low, high = simulated_boxes(masks, parameters)
    for i, (mask, box) in enumerate(zip(masks.numpy(), parameters, strict=True)):
        voxels = np.argwhere(mask)
        used = np.unique(voxels[:, box.across])
        plane = voxels[voxels[:, box.across] == used[len(used) // 2]]
        expected_low, expected_high = plane.min(0), plane.max(0) + 1
        shift = box.shift * 24 // 256
        expected_low, expected_high = np.maximum(expected_low - shift, 0), expected_high + shift
        expected_low[box.across] = voxels[:, box.across].min()
        expected_high[box.across] = voxels[:, box.across].max() + 1
        assert low[i].tolist() == expected_low.tolist()
        assert high[i].tolist() == expected_high.tolist()


def test_the_prediction_and_a_click_on_its_error_are_the_next_input(rng):
    batch = batch_of(cubes(), [BoxParameters.draw(rng)])
    prediction = cubes()
    prediction[0, 11:16, 11:16, 11:16] = True
    batch.add_clicks(prediction)
    assert torch.equal(batch.inputs[:, PREVIOUS] > 0, prediction)
    assert batch.inputs[0, NEGATIVE, 13, 13, 13] == 1
    assert not batch.inputs[0, POSITIVE].any()
    assert batch.n_clicks == [1]


def test_a_perfect_prediction_gets_no_click(rng):
    batch = batch_of(cubes(), [BoxParameters.draw(rng)])
    batch.add_clicks(batch.references)
    assert not batch.inputs[0, [POSITIVE, NEGATIVE]].any()


def test_the_loss_is_ten_dice_losses_and_a_cross_entropy():
    """One voxel of two right at p = 0.5: Dice 2 * 0.5 / (1 + 1), cross-entropy log 2."""
    logits, reference = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    losses, dice = dice_ce_loss(logits, reference, 10.0)
    assert losses.item() == pytest.approx(10 * 0.5 + np.log(2), abs=1e-4)
    assert dice.tolist() == [pytest.approx(0, abs=1e-4)]


def test_a_better_prediction_has_a_smaller_loss():
    reference = torch.tensor([[[[1.0, 0.0]]]])
    good, bad = torch.tensor([[[[9.0, -9.0]]]]), torch.tensor([[[[-9.0, 9.0]]]])
    assert dice_ce_loss(good, reference, 10.0)[0].item() < 0.01
    assert dice_ce_loss(bad, reference, 10.0)[0].item() > 10


def test_coarse_heads_are_supervised_by_the_averaged_reference():
    """A perfect fine head and a coarse one with p = 0.5 everywhere, weights 1 and 0.5."""
    reference = torch.zeros(1, 4, 4, 4)
    reference[:, :2] = 1
    fine, coarse = 40 * (reference - 0.5), torch.zeros(1, 2, 2, 2)
    losses, dice = deep_supervision_loss(
        [fine, coarse], reference, weights=(1.0, 0.5), dice_weight=10.0
    )
    assert losses.item() == pytest.approx((10 * 0.5 + np.log(2)) * 0.5 / 1.5, abs=1e-3)
    assert dice.tolist() == [pytest.approx(1)]


def test_the_click_loss_depends_on_voxels_near_clicks_only():
    logits, reference = torch.zeros(2, 9, 9, 9), torch.zeros(2, 9, 9, 9)
    clicked = torch.zeros_like(logits)
    clicked[0, 4, 4, 4] = 1
    logits[:, 0, 0, 0] = 50  # badly wrong, but far from the click
    assert click_loss(logits, reference, clicked).tolist() == [pytest.approx(np.log(2)), 0]
    logits[0, 4, 4, 5] = 50
    assert click_loss(logits, reference, clicked)[0].item() > 0.9


def test_the_learning_rate_warms_up_and_falls():
    schedule = Schedule(1.0, warm_up_steps=10, learning_rate=1.0)
    assert learning_rate(schedule, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(schedule, 50, 0.0) == pytest.approx(1.0)
    assert learning_rate(schedule, 50, 1.0) == pytest.approx(0.02)


def test_phases_are_in_order():
    schedule = Schedule(phases=(Phase(0.4, 32, 4), Phase(1.0, 64, 2)))
    assert [phase_at(schedule, done).patch for done in (0, 0.39, 0.4, 1.0)] == [32, 32, 64, 64]


def test_a_search_without_a_box_zooms_from_native_to_the_whole_object(scans, rng):
    (scan_object,) = objects_of(read_scans(scans)[0])
    windows = [search_window(scan_object, rng, 8) for _ in range(200)]
    edges = [np.mean(window.size) for window in windows]
    assert min(edges) == pytest.approx(8, rel=0.25)
    assert max(edges) > max(np.subtract(scan_object.box.high, scan_object.box.low))
    for window in windows:
        middle = np.add(window.low, np.array(window.size) / 2)
        assert np.abs(middle - scan_object.first_click).max() < 4
    z, y, x = scan_object.first_click
    assert scan_object.scan.label_map[z, y, x] == 1
    assert scan_object.first_click == (9, 11, 12)


def generator(scans=None, **values):
    groups = [objects_of(scan) for scan in read_scans(scans)] if scans else []
    return SampleGenerator(groups, Schedule(**values))


def assert_same(first, second):
    """Whether two drawn samples are equal, arrays and all."""
    assert pickle.dumps(first) == pickle.dumps(second)


@pytest.mark.parametrize("workers", [1, 3])
def test_samples_do_not_depend_on_the_number_of_workers(workers, scans):
    alone = SampleLoader(generator(scans), n_workers=0)
    shared = SampleLoader(generator(scans), n_workers=workers)
    try:
        for patch in (16, 16, 16, 16, 32, 32, 16):
            assert_same(alone.next(patch), shared.next(patch))
    finally:
        shared.close()


def test_a_loader_may_start_at_any_index(scans):
    whole = SampleLoader(generator(scans), n_workers=0)
    later = SampleLoader(generator(scans), n_workers=2, next_index=3)
    try:
        for _ in range(3):
            whole.next(16)
        assert_same(whole.next(16), later.next(16))
    finally:
        later.close()


def test_two_samples_differ():
    loader = SampleLoader(generator(share_without_box=0), n_workers=0)
    first, second = loader.next(16), loader.next(16)
    assert pickle.dumps(first.scene) != pickle.dumps(second.scene)


def test_an_error_in_a_worker_is_raised_with_its_traceback():
    loader = SampleLoader(SampleGenerator([[]], Schedule(share_generated=0)), n_workers=1)
    try:
        with pytest.raises(RuntimeError, match=r"drawing sample 0 failed:\nTraceback"):
            loader.next(16)
    finally:
        loader.close()


def test_a_killed_worker_is_noticed():
    loader = SampleLoader(generator(), n_workers=1)
    try:
        loader.next(16)
        ((process, _),) = loader._workers
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with pytest.raises(RuntimeError, match="the process that draws sample .* has ended"):
            [loader.next(16) for _ in range(5)]  # finished samples may still arrive
    finally:
        loader.close()


def test_workers_end_when_the_training_is_killed():
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)

    def killed():
        loader = SampleLoader(generator(), n_workers=2)
        loader.next(16)
        writer.send([process.pid for process, _ in loader._workers])
        os.kill(os.getpid(), signal.SIGKILL)

    child = context.Process(target=killed)
    child.start()
    writer.close()
    workers = reader.recv()
    child.join()
    deadline = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


def is_running(process):
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
