"""One training scene and its prompts so far.

In the paper a first forward pass without gradient makes the errors that a click corrects
(Eq. 6-11). Here the training pass is that first pass: its prediction becomes the previous
segmentation of the same scene in the next step, with one more click. This trains on several clicks
instead of one and needs no extra pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from segbench.core import Click, Mask
from segbench.protocol.simulator import next_click

from ..crop import FloatArray, Region
from ..intensity import occupied_box
from ..prompts import (
    BOX,
    CHANNELS,
    IMAGE,
    NEGATIVE,
    POSITIVE,
    PREVIOUS,
    ball_radius,
    draw_ball,
)
from .scenes import Scene

LABEL = 1


@dataclass
class InteractiveSample:
    """A scene, its prompts and its previous segmentation; all on the patch."""

    scene: Scene
    box: Region | None
    previous_segmentation: Mask
    clicks: list[Click] = field(default_factory=list)

    @property
    def reference(self) -> Mask:
        """The mask of the scene's object."""
        return self.scene.reference

    @property
    def n_clicks(self) -> int:
        """The number of clicks so far."""
        return len(self.clicks)

    @property
    def prompt_channels(self) -> Mask:
        """The current input of the network without the image, (8, z, y, x)."""
        channels = np.zeros((CHANNELS, *self.previous_segmentation.shape), dtype=bool)
        channels[PREVIOUS] = self.previous_segmentation
        radius = ball_radius(len(self.previous_segmentation))
        if self.box is not None:
            channels[BOX][self.box] = True
        for click in self.clicks:
            channel = channels[POSITIVE if click.positive else NEGATIVE]
            draw_ball(channel, np.array(click.voxel, dtype=float), radius)
        return channels

    @property
    def input_channels(self) -> FloatArray:
        """The current input of the network, (8, z, y, x)."""
        channels = self.prompt_channels.astype(np.float32)
        channels[IMAGE] = self.scene.image
        return channels


def start_sample(scene: Scene, rng: np.random.Generator, *, with_box: bool) -> InteractiveSample:
    """Return a sample with a box, or with a first click instead."""
    empty = np.zeros_like(scene.reference)
    box = simulated_box(scene.reference, rng) if with_box else None
    sample = InteractiveSample(scene, box, empty)
    if not with_box:
        add_click(sample, empty)
    return sample


def add_click(sample: InteractiveSample, prediction: Mask) -> bool:
    """Add the next simulated click; return False if the prediction is perfect."""
    click = next_click(prediction, sample.reference, label=LABEL)
    if click is None:
        return False
    sample.clicks.append(click)
    sample.previous_segmentation = prediction
    return True


def simulated_box(reference: Mask, rng: np.random.Generator) -> Region:
    """Return a box by the challenge's rule, a tight one, or an imprecise one.

    The challenge draws the in-plane sides on the middle slice only, so objects may extend outside.
    """
    tight_box = occupied_box(reference)
    kind = rng.random()
    if kind < 0.5:
        return _middle_slice_box(reference, rng, tight_box)
    return tight_box if kind < 0.7 else _imprecise_box(tight_box, rng, len(reference))


def _middle_slice_box(reference: Mask, rng: np.random.Generator, tight_box: Region) -> Region:
    # the axes of scenes are permuted, so any axis may be the one across the slices
    across = int(rng.integers(3))
    used = np.flatnonzero(reference.any(axis=tuple(a for a in range(3) if a != across)))
    middle = int(used[len(used) // 2])
    spans = list(occupied_box(np.take(reference, [middle], axis=across)))
    shift = int(rng.integers(0, 6)) * len(reference) // 256
    spans = [slice(max(s.start - shift, 0), s.stop + shift) for s in spans]
    spans[across] = tight_box[across]
    return tuple(spans)


def _imprecise_box(tight_box: Region, rng: np.random.Generator, patch: int) -> Region:
    out, into = patch // 12, patch // 24
    return tuple(
        slice(
            max(span.start + int(rng.integers(-out, into + 1)), 0),
            max(span.stop + int(rng.integers(-into, out + 1)), span.start + 1),
        )
        for span in tight_box
    )
