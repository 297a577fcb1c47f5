"""Evaluation during training: fixed samples of the tune patients and of generated scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from segbench.core import Mask

from ..prompts import BOX
from .interactive_sample import InteractiveSample, add_click, start_sample
from .objects import Scan, ScanObject, crop_scene, objects_of
from .scenes import generated_scene
from .schedule import Schedule

TUNE_CLICKS = 5
TUNE_OBJECTS, TUNE_SCENES = 6, 10  # per group, and in total


def tune_samples(
    objects: Sequence[ScanObject], patch: int, *, with_box: bool, seed: int
) -> list[InteractiveSample]:
    """Return a sample for each object, the same for the same seed."""
    rng = np.random.default_rng(seed)
    scenes = [crop_scene(scan_object, rng, patch, with_box=with_box) for scan_object in objects]
    return [
        start_sample(scene, rng, with_box=with_box) for scene in scenes if scene.reference.any()
    ]


def generated_tune_samples(count: int, patch: int, *, seed: int) -> list[InteractiveSample]:
    """Return samples of generated scenes, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [start_sample(generated_scene(rng, patch), rng, with_box=True) for _ in range(count)]


def dice(prediction: Mask, reference: Mask) -> float:
    """Return the Dice similarity coefficient on the patch; the reference is not empty."""
    both = int((prediction & reference).sum())
    return 2 * both / (int(prediction.sum()) + int(reference.sum()))


def mean_dice_curve(network: nn.Module, samples: Sequence[InteractiveSample]) -> list[float]:
    """Return the mean DSC at the first prompt and after each of ``TUNE_CLICKS`` more clicks."""
    curves = [_dice_curve(network, sample) for sample in samples]
    return [float(mean) for mean in np.mean(curves, axis=0)]


def ellipsoid_dice(samples: Sequence[InteractiveSample]) -> float:
    """Return the mean DSC of the ellipsoid inscribed in each box, a baseline."""
    scores = []
    for sample in samples:
        box = np.argwhere(sample.input_channels[BOX])
        low, high = box.min(0), box.max(0) + 1
        axes = np.ogrid[tuple(slice(0, n) for n in sample.reference.shape)]
        middle, radii = (low + high - 1) / 2, (high - low) / 2
        inside = sum(((a - m) / r) ** 2 for a, m, r in zip(axes, middle, radii)) <= 1
        scores.append(dice(inside, sample.reference))
    return float(np.mean(scores))


def _dice_curve(network: nn.Module, sample: InteractiveSample) -> list[float]:
    sample = replace(sample, clicks=list(sample.clicks))
    scores = []
    for _ in range(TUNE_CLICKS + 1):
        prediction = predict_mask(network, sample)
        scores.append(dice(prediction, sample.reference))
        add_click(sample, prediction)
    return scores


def predict_mask(network: nn.Module, sample: InteractiveSample) -> Mask:
    """Return the network's mask for the current prompts."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        inputs = torch.from_numpy(sample.input_channels)[None].to(device)
        logits: Tensor = network(inputs)[0].float()
    mask: Mask = (logits[1] > logits[0]).cpu().numpy()
    return mask


def objects_by_group(scans: Sequence[Scan]) -> list[list[ScanObject]]:
    """Return the objects of each group of scans."""
    groups: dict[str, list[ScanObject]] = {}
    for scan in scans:
        groups.setdefault(scan.group, []).extend(objects_of(scan))
    return [objects for objects in groups.values() if objects]


def build_tune_sets(
    schedule: Schedule, tune_scans: Sequence[Scan]
) -> dict[str, list[InteractiveSample]]:
    """Return the tune sets: held-out scans with and without boxes, and generated scenes."""
    rng = np.random.default_rng(schedule.seed + 1)
    patch, seed = schedule.phases[-1].patch, schedule.seed + 2
    objects = [
        group[int(index)]
        for group in objects_by_group(tune_scans)
        for index in rng.permutation(len(group))[:TUNE_OBJECTS]
    ]
    sets = {
        "scans": tune_samples(objects, patch, with_box=True, seed=seed),
        "scans_without_box": tune_samples(objects[::2], patch, with_box=False, seed=seed),
        "scenes": generated_tune_samples(TUNE_SCENES, patch, seed=seed),
    }
    return {name: samples for name, samples in sets.items() if samples}
