"""One training scene and what has been said about it so far.

The paper lets a first pass without gradient make the errors that a click corrects (Eq. 6-11). Here
the training pass itself is that first pass: its prediction becomes the previous segmentation of
the same scene's next turn, with one click more. This trains on several clicks instead of one and
costs no extra pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from segbench.core import Click, Mask
from segbench.simulator import next_click

from ..crop import FloatArray
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
Slices = tuple[slice, ...]


@dataclass
class Dialogue:
    """A scene, the prompts given and the last answer; all on the patch."""

    scene: Scene
    box: Slices | None
    previous: Mask
    said: list[Click] = field(default_factory=list)

    @property
    def reference(self) -> Mask:
        """The scene's object."""
        return self.scene.reference

    @property
    def clicks(self) -> int:
        """How many clicks have been given."""
        return len(self.said)

    @property
    def prompts(self) -> Mask:
        """The network's input as of now but for the image, (8, z, y, x)."""
        prompts = np.zeros((CHANNELS, *self.previous.shape), dtype=bool)
        prompts[PREVIOUS] = self.previous
        if self.box is not None:
            prompts[BOX][self.box] = True
        for click in self.said:
            channel = prompts[POSITIVE if click.positive else NEGATIVE]
            draw_ball(channel, np.array(click.at, dtype=float), ball_radius(len(self.previous)))
        return prompts

    @property
    def channels(self) -> FloatArray:
        """The network's input as of now, (8, z, y, x)."""
        channels = self.prompts.astype(np.float32)
        channels[IMAGE] = self.scene.image
        return channels


def open_dialogue(scene: Scene, rng: np.random.Generator, *, boxed: bool) -> Dialogue:
    """Start with a box, or without one and with a first click."""
    nothing = np.zeros_like(scene.reference)
    dialogue = Dialogue(scene, drawn_box(scene.reference, rng) if boxed else None, nothing)
    if not boxed:
        answer(dialogue, nothing)
    return dialogue


def answer(dialogue: Dialogue, prediction: Mask) -> bool:
    """Add the simulated user's next click; False when the prediction is perfect."""
    click = next_click(prediction, dialogue.reference, label=LABEL)
    if click is None:
        return False
    dialogue.said.append(click)
    dialogue.previous = prediction
    return True


def drawn_box(reference: Mask, rng: np.random.Generator) -> Slices:
    """Return a box as the challenge, a careful or a careless user draws it.

    The challenge draws the in-plane sides on the middle slice only, so that objects stick out.
    """
    tight = occupied_box(reference)
    manner = rng.random()
    if manner < 0.5:
        return _middle_slice_box(reference, rng, tight)
    return tight if manner < 0.7 else _careless(tight, rng, len(reference))


def _middle_slice_box(reference: Mask, rng: np.random.Generator, tight: Slices) -> Slices:
    # scenes are turned at random, so any axis may be the one across the slices
    across = int(rng.integers(3))
    used = np.flatnonzero(reference.any(axis=tuple(a for a in range(3) if a != across)))
    middle = int(used[len(used) // 2])
    spans = list(occupied_box(np.take(reference, [middle], axis=across)))
    shift = int(rng.integers(0, 6)) * len(reference) // 256
    spans = [slice(max(s.start - shift, 0), s.stop + shift) for s in spans]
    spans[across] = tight[across]
    return tuple(spans)


def _careless(tight: Slices, rng: np.random.Generator, patch: int) -> Slices:
    out, into = patch // 12, patch // 24
    return tuple(
        slice(
            max(span.start + int(rng.integers(-out, into + 1)), 0),
            max(span.stop + int(rng.integers(-into, out + 1)), span.start + 1),
        )
        for span in tight
    )
