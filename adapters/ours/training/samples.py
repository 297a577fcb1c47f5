"""New samples: drawn from a seed and an index, painted in batches on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .boxes import BoxParameters, PatchBox
from .crops import CropParameters, DeviceScan, draw_crop, paint_crops
from .interactive_batch import InteractiveBatch, start_batch
from .objects import ScanObject
from .scene_drawing import draw_scene
from .scene_painting import paint_scenes
from .scene_parameters import SceneParameters, SceneShares
from .schedule import Schedule

MAX_TARGET_SHARE = 0.6  # of the patch, for the object of a generated scene


@dataclass(frozen=True)
class SampleParameters:
    """What a seed decides of one sample."""

    index: int
    attempt: int
    scene: SceneParameters | CropParameters
    box: BoxParameters | PatchBox | None  # None: a first click instead


class Sampler(Protocol):
    """What draws samples: each depends only on a seed, its index, the attempt and the patch."""

    def draw(self, index: int, patch: int, attempt: int = 0) -> SampleParameters:
        """Draw the sample of an index; a further attempt draws it again."""


@dataclass(frozen=True)
class SampleGenerator:
    """Draws samples of groups of annotated objects and of generated scenes."""

    groups: list[list[ScanObject]]
    schedule: Schedule

    @cached_property
    def group_probabilities(self) -> NDArray[np.float64]:
        """The probability of each group: proportional to the square root of its scans.

        Equal probabilities overfit a group of one scan; probabilities by size neglect it.
        """
        scans = [len({scan_object.scan.name for scan_object in group}) for group in self.groups]
        roots = np.sqrt(scans)
        return np.asarray(roots / roots.sum())

    def draw(self, index: int, patch: int, attempt: int = 0) -> SampleParameters:
        """Draw the sample of an index; a further attempt draws it again."""
        schedule = self.schedule
        rng = np.random.default_rng([schedule.seed, index, attempt])
        with_box = bool(rng.random() >= schedule.share_without_box)
        box = BoxParameters.draw(rng) if with_box else None
        scene: SceneParameters | CropParameters
        if rng.random() < schedule.share_generated or not self.groups:
            scene = draw_scene(rng, patch, scene_shares(schedule))
        else:
            group = self.groups[int(rng.choice(len(self.groups), p=self.group_probabilities))]
            scan_object = group[int(rng.integers(len(group)))]
            scene = draw_crop(scan_object, rng, patch, with_box=with_box)
        return SampleParameters(index, attempt, scene, box)


def scene_shares(schedule: Schedule) -> SceneShares:
    """Return the shares of special scenes among the generated ones."""
    return SceneShares(schedule.share_nested, schedule.share_large, schedule.share_tiny)


@dataclass(frozen=True)
class SamplePainter:
    """Paints drawn samples on a device."""

    generator: Sampler
    scans: dict[str, DeviceScan]
    device: torch.device
    antialias: bool = True

    def paint(self, samples: Sequence[SampleParameters], patch: int) -> InteractiveBatch:
        """Return the samples as a batch; one whose object is too small or large is drawn again."""
        samples = list(samples)
        images, masks = self._paint(samples, patch)
        rows = self._unusable_rows(samples, masks)
        while rows:
            for row in rows:
                old = samples[row]
                samples[row] = self.generator.draw(old.index, patch, old.attempt + 1)
            images[rows], masks[rows] = self._paint([samples[row] for row in rows], patch)
            rows = [row for row in rows if row in self._unusable_rows(samples, masks)]
        return start_batch(images, masks, [sample.box for sample in samples])

    def paint_once(self, samples: Sequence[SampleParameters], patch: int) -> InteractiveBatch:
        """Return the samples as a batch, as they are."""
        images, masks = self._paint(samples, patch)
        return start_batch(images, masks, [sample.box for sample in samples])

    def _paint(self, samples: Sequence[SampleParameters], patch: int) -> tuple[Tensor, Tensor]:
        shape = (len(samples), patch, patch, patch)
        images = torch.empty(shape, device=self.device)
        masks = torch.empty(shape, dtype=torch.bool, device=self.device)
        scenes = {i: s.scene for i, s in enumerate(samples) if isinstance(s.scene, SceneParameters)}
        crops = {i: s.scene for i, s in enumerate(samples) if isinstance(s.scene, CropParameters)}
        if scenes:
            at = list(scenes)
            images[at], masks[at] = paint_scenes(list(scenes.values()), patch, self.device)
        if crops:
            at = list(crops)
            images[at], masks[at] = paint_crops(
                list(crops.values()), patch, self.scans, antialias=self.antialias
            )
        return images, masks

    def _unusable_rows(self, samples: Sequence[SampleParameters], masks: Tensor) -> list[int]:
        voxels, size = masks.flatten(1).sum(1).tolist(), masks[0].numel()
        return [
            row
            for row, (sample, count) in enumerate(zip(samples, voxels))
            if not _is_usable(sample.scene, count, size)
        ]


def _is_usable(scene: SceneParameters | CropParameters, voxels: int, size: int) -> bool:
    too_large = isinstance(scene, SceneParameters) and voxels > MAX_TARGET_SHARE * size
    return voxels >= scene.min_voxels and not too_large
