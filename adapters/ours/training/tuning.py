"""Evaluation during training: fixed samples of the tune patients and of generated scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..network import ResidualEncoderUNet
from ..prompts import BOX
from .boxes import BoxParameters
from .crops import draw_crop
from .interactive_batch import InteractiveBatch
from .losses import soft_dice
from .objects import Scan, ScanObject, objects_of
from .precision import mixed_precision
from .samples import SamplePainter, SampleParameters, scene_kind, unusable_rows
from .scene_drawing import draw_scene
from .schedule import Schedule
from .walk import walked_masks

CHUNK = 4  # samples that are evaluated at the same time


@dataclass(frozen=True)
class TuneSet:
    """Fixed samples of one kind; painted again for every evaluation."""

    samples: tuple[SampleParameters, ...]  # all with a box, or all without
    painter: SamplePainter
    patch: int
    clicks: int
    walked: bool = False  # the refined answers are measured and corrected

    def batches(self) -> Iterator[InteractiveBatch]:
        """Yield the samples whose object is visible, a few at a time."""
        for start in range(0, len(self.samples), CHUNK):
            batch = self.painter.paint_once(self.samples[start : start + CHUNK], self.patch)
            visible = batch.references.flatten(1).any(dim=1).nonzero()[:, 0].tolist()
            if visible:
                yield batch.rows(visible)


def mean_dice_curve(network: ResidualEncoderUNet, tune_set: TuneSet) -> list[float]:
    """Return the mean DSC at the first prompt and after each of the set's clicks."""
    curves = [_dice_curves(network, batch, tune_set) for batch in tune_set.batches()]
    return [float(mean) for mean in torch.cat(curves).mean(dim=0)]


def ellipsoid_dice(tune_set: TuneSet) -> float:
    """Return the mean DSC of the ellipsoid inscribed in each box, a baseline."""
    scores = [
        _dice(_inscribed_ellipsoids(batch.inputs[:, BOX] > 0), batch.references)
        for batch in tune_set.batches()
    ]
    return float(torch.cat(scores).mean())


def _inscribed_ellipsoids(boxes: Tensor) -> Tensor:
    """Return the ellipsoids inscribed in (n, z, y, x) masks of boxes."""
    at = torch.arange(boxes.shape[-1], device=boxes.device, dtype=torch.float32)
    squares = torch.zeros(boxes.shape, device=boxes.device)
    for axis in (1, 2, 3):
        used = boxes.any(dim=tuple(a for a in (1, 2, 3) if a != axis))
        low = torch.where(used, at, torch.inf).amin(dim=1, keepdim=True)
        high = torch.where(used, at, -torch.inf).amax(dim=1, keepdim=True) + 1
        relative = (at - (low + high - 1) / 2) / ((high - low) / 2)
        shape = [len(boxes), *(boxes.shape[a] if a == axis else 1 for a in (1, 2, 3))]
        squares = squares + relative.square().view(shape)
    return squares <= 1


def _dice(predictions: Tensor, references: Tensor) -> Tensor:
    """Return the Dice similarity coefficients on the patch, (n,)."""
    return soft_dice(predictions.flatten(1).float(), references.flatten(1).float())


def _dice_curves(
    network: ResidualEncoderUNet, batch: InteractiveBatch, tune_set: TuneSet
) -> Tensor:
    scores = []
    for step in range(tune_set.clicks + 1):
        with torch.no_grad(), mixed_precision(batch.inputs.device):
            outputs = network(batch.inputs)
        logits = outputs[:, 1].float() - outputs[:, 0].float()
        predictions = walked_masks(logits, batch) if tune_set.walked else logits > 0
        scores.append(_dice(predictions, batch.references))
        if step < tune_set.clicks:
            batch.add_clicks(predictions)
    return torch.stack(scores, dim=1)


def objects_by_group(scans: Sequence[Scan]) -> list[list[ScanObject]]:
    """Return the objects of each group of scans."""
    groups: dict[str, list[ScanObject]] = {}
    for scan in scans:
        groups.setdefault(scan.group, []).extend(objects_of(scan))
    return [objects for objects in groups.values() if objects]


def build_tune_sets(
    schedule: Schedule, tune_scans: Sequence[Scan], painter: SamplePainter
) -> dict[str, TuneSet]:
    """Return the tune sets: held-out scans with and without boxes, and generated scenes."""
    rng = np.random.default_rng(schedule.seed + 1)
    patch, seed = schedule.phases[-1].patch, schedule.seed + 2
    objects = [
        group[int(index)]
        for group in objects_by_group(tune_scans)
        for index in rng.permutation(len(group))[: schedule.tune_objects]
    ]
    samples = {
        "scans": _scan_samples(objects, patch, with_box=True, seed=seed),
        "scans_without_box": _scan_samples(objects[::2], patch, with_box=False, seed=seed),
        "scenes": _scene_samples(schedule, painter, patch, seed=seed),
    }
    sets = {
        name: TuneSet(drawn, painter, patch, schedule.tune_clicks)
        for name, drawn in samples.items()
        if drawn
    }
    if schedule.walk_weight > 0:
        sets |= {f"{name}_refined": replace(each, walked=True) for name, each in sets.items()}
    return sets


def _scan_samples(
    objects: Sequence[ScanObject], patch: int, *, with_box: bool, seed: int
) -> tuple[SampleParameters, ...]:
    """Return a sample for each object, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return tuple(
        SampleParameters(
            index,
            0,
            draw_crop(scan_object, rng, patch, with_box=with_box),
            BoxParameters.draw(rng) if with_box else None,
        )
        for index, scan_object in enumerate(objects)
    )


def _scene_samples(
    schedule: Schedule, painter: SamplePainter, patch: int, *, seed: int
) -> tuple[SampleParameters, ...]:
    """Return usable samples of generated scenes, the same for the same seed."""
    rng = np.random.default_rng(seed)
    samples: list[SampleParameters] = []
    while len(samples) < schedule.tune_scenes:
        scene = draw_scene(rng, patch, scene_kind(schedule, rng.random()))
        sample = SampleParameters(len(samples), 0, scene, BoxParameters.draw(rng))
        if not unusable_rows([sample], painter.paint_once([sample], patch).references):
            samples.append(sample)
    return tuple(samples)
