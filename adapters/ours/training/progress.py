"""How far the network is: fixed dialogues of tune patients and of generated scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from segbench.core import Mask

from ..prompts import BOX
from .dialogue import Dialogue, answer, open_dialogue
from .objects import Target, scene_of
from .scenes import generated_scene

CLICKS = 5


def fixed_dialogues(
    targets: Sequence[Target], patch: int, *, boxed: bool, seed: int
) -> list[Dialogue]:
    """Return an opened dialogue for each target, the same for the same seed."""
    rng = np.random.default_rng(seed)
    scenes = [scene_of(target, rng, patch, boxed=boxed) for target in targets]
    return [open_dialogue(scene, rng, boxed=boxed) for scene in scenes if scene.reference.any()]


def generated_dialogues(count: int, patch: int, *, seed: int) -> list[Dialogue]:
    """Return opened dialogues of generated scenes, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [open_dialogue(generated_scene(rng, patch), rng, boxed=True) for _ in range(count)]


def dice(prediction: Mask, reference: Mask) -> float:
    """Return the Dice similarity coefficient on the patch; the reference is not empty."""
    both = int((prediction & reference).sum())
    return 2 * both / (int(prediction.sum()) + int(reference.sum()))


def mean_curve(network: nn.Module, dialogues: Sequence[Dialogue]) -> list[float]:
    """Return the mean DSC at the opening and after each of ``CLICKS`` further clicks."""
    curves = [_curve(network, dialogue) for dialogue in dialogues]
    return [float(mean) for mean in np.mean(curves, axis=0)]


def ellipsoid_dice(dialogues: Sequence[Dialogue]) -> float:
    """Return the mean DSC of the ellipsoid inscribed in each box: what must be beaten."""
    scores = []
    for dialogue in dialogues:
        box = np.argwhere(dialogue.channels[BOX])
        low, high = box.min(0), box.max(0) + 1
        axes = np.ogrid[tuple(slice(0, n) for n in dialogue.reference.shape)]
        middle, radii = (low + high - 1) / 2, (high - low) / 2
        inside = sum(((a - m) / r) ** 2 for a, m, r in zip(axes, middle, radii)) <= 1
        scores.append(dice(inside, dialogue.reference))
    return float(np.mean(scores))


def _curve(network: nn.Module, dialogue: Dialogue) -> list[float]:
    dialogue = replace(dialogue, said=list(dialogue.said))
    scores = []
    for _ in range(CLICKS + 1):
        prediction = foreground(network, dialogue)
        scores.append(dice(prediction, dialogue.reference))
        answer(dialogue, prediction)
    return scores


def foreground(network: nn.Module, dialogue: Dialogue) -> Mask:
    """Return where the network sees the object now."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        logits: Tensor = network(torch.from_numpy(dialogue.channels)[None].to(device))[0].float()
    mask: Mask = (logits[1] > logits[0]).cpu().numpy()
    return mask
