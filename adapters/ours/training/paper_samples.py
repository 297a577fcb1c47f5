"""Samples of the paper's recipe: annotated scans only, always with a box, not augmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segbench.core import Box, Voxel
from segbench.errors import AdapterError
from segbench.protocol.boxes import draw_box

from ..crop import Window, as_voxel, window_around
from ..prompts import box_on_patch
from .boxes import PatchBox
from .crops import CropParameters, IntensityParameters
from .objects import Scan, ScanObject, objects_of
from .samples import SampleParameters

AXES: Voxel = (0, 1, 2)


@dataclass(frozen=True)
class PaperSampler:
    """Draws a modality, one of its scans and one of the scan's classes, each uniformly."""

    modalities: list[list[list[ScanObject]]]  # the objects of each scan of each modality
    seed: int

    def draw(self, index: int, patch: int, attempt: int = 0) -> SampleParameters:
        """Draw the sample of an index; a further attempt draws it again."""
        rng = np.random.default_rng([self.seed, index, attempt])
        scans = self.modalities[int(rng.integers(len(self.modalities)))]
        objects = scans[int(rng.integers(len(scans)))]
        scan_object = objects[int(rng.integers(len(objects)))]
        scan, label = scan_object.scan, scan_object.box.label
        box = draw_box(scan.label_map == label, label, rng)
        window = window_around(box, patch)
        return SampleParameters(
            index, attempt, _plain_crop(scan.name, label, window), _on_patch(box, window, patch)
        )


def paper_sampler(scans: Sequence[Scan], seed: int) -> PaperSampler:
    """Return the sampler of the paper's recipe over scans that are cropped to non-zero voxels.

    Raises
    ------
    AdapterError
        No scan has a labelled voxel.
    """
    modalities: dict[str, list[list[ScanObject]]] = {}
    for scan in scans:
        objects = objects_of(scan, min_voxels=1)
        if objects:
            modalities.setdefault(scan.modality, []).append(objects)
    if not modalities:
        raise AdapterError(f"{len(scans)} scans to train on: expected a labelled voxel, found none")
    return PaperSampler(list(modalities.values()), seed)


def _plain_crop(scan: str, label: int, window: Window) -> CropParameters:
    """Return a crop without augmentation."""
    unchanged, no_flip = IntensityParameters(), (False, False, False)
    return CropParameters(scan, label, window, AXES, no_flip, None, unchanged, 0, min_voxels=1)


def _on_patch(box: Box, window: Window, patch: int) -> PatchBox:
    spans = box_on_patch(box, window, patch)
    return PatchBox(as_voxel(span.start for span in spans), as_voxel(span.stop for span in spans))
