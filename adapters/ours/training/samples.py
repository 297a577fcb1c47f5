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

from segbench.errors import AdapterError

from .boxes import BoxParameters, PatchBox
from .crops import CropParameters, DeviceScan, draw_crop, paint_crops
from .interactive_batch import InteractiveBatch, start_batch
from .objects import ScanObject
from .scene_drawing import draw_scene
from .scene_painting import paint_scenes
from .scene_parameters import SceneParameters
from .schedule import Schedule

MAX_ATTEMPTS = 100  # to draw a sample whose object is visible


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
        # box and kind stay the same in a further attempt: otherwise kinds that often fail are rare
        kinds = np.random.default_rng([schedule.seed, index, 0, 3])
        rng = np.random.default_rng([schedule.seed, index, attempt, 2])
        with_box = bool(kinds.random() >= schedule.share_without_box)
        is_generated = bool(kinds.random() < schedule.share_generated) or not self.groups
        kind = scene_kind(schedule, kinds.random())
        if kind == "faint" and not with_box:
            kind = "usual"  # nothing but the box shows where a faint object ends
        box = BoxParameters.draw(rng) if with_box else None
        scene: SceneParameters | CropParameters
        if is_generated:
            scene = draw_scene(rng, patch, kind)
        else:
            group = self.groups[int(rng.choice(len(self.groups), p=self.group_probabilities))]
            scan_object = group[int(rng.integers(len(group)))]
            scene = draw_crop(scan_object, rng, patch, with_box=with_box)
        return SampleParameters(index, attempt, scene, box)


def scene_kind(schedule: Schedule, number: float) -> str:
    """Return the kind of generated scene at a number in [0, 1), by the schedule's shares."""
    shares = {
        "nested": schedule.share_nested,
        "large": schedule.share_large,
        "tiny": schedule.share_tiny,
        "faint": schedule.share_faint,
    }
    for kind, share in shares.items():
        if number < share:
            return kind
        number -= share
    return "usual"


@dataclass(frozen=True)
class SamplePainter:
    """Paints drawn samples on a device."""

    sampler: Sampler
    scans: dict[str, DeviceScan]
    device: torch.device
    antialias: bool = True

    def paint(self, samples: Sequence[SampleParameters], patch: int) -> InteractiveBatch:
        """Return the samples as a batch; one whose object is too small or large is drawn again."""
        samples = list(samples)
        images, masks = self._paint(samples, patch)
        rows = unusable_rows(samples, masks)
        while rows:
            for row in rows:
                samples[row] = self._drawn_again(samples[row], patch)
            images[rows], masks[rows] = self._paint([samples[row] for row in rows], patch)
            rows = unusable_rows(samples, masks)
        return start_batch(images, masks, [sample.box for sample in samples])

    def _drawn_again(self, old: SampleParameters, patch: int) -> SampleParameters:
        if old.attempt == MAX_ATTEMPTS:
            raise AdapterError(
                f"sample {old.index}: no object of the expected size on a patch of {patch} in "
                f"{MAX_ATTEMPTS} attempts; are the objects of the scans that small?"
            )
        return self.sampler.draw(old.index, patch, old.attempt + 1)

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


def unusable_rows(samples: Sequence[SampleParameters], masks: Tensor) -> list[int]:
    """Return the samples whose object has too few or too many voxels on the patch."""
    voxels = masks.flatten(1).sum(1).tolist()
    return [
        row
        for row, (sample, count) in enumerate(zip(samples, voxels))
        if not _is_usable(sample.scene, count)
    ]


def _is_usable(scene: SceneParameters | CropParameters, voxels: int) -> bool:
    too_large = isinstance(scene, SceneParameters) and voxels > scene.max_voxels
    return voxels >= scene.min_voxels and not too_large
