"""The loss of the paper (Eq. 14-16) with deep supervision, and a cross-entropy near clicks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SURE = 1e-4  # limit of a refined probability: seeds in the wrong place would cost infinitely much


def dice_ce_loss(logits: Tensor, reference: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Return each sample's loss (Eq. 14-16), and the Dice of its thresholded prediction.

    The sign of the Dice term is that of the authors' code; the printed one maximises the loss.
    """
    probability, target = torch.sigmoid(logits).flatten(1), reference.flatten(1)
    overlap = soft_dice(probability, target)
    entropy = F.binary_cross_entropy_with_logits(logits, reference, reduction="none")
    losses = weight * (1 - overlap) + entropy.flatten(1).mean(1)
    return losses, soft_dice((probability > 0.5).float(), target)


def soft_dice(probability: Tensor, target: Tensor) -> Tensor:
    """Return Eq. 15's overlap of each sample, (batch,)."""
    total = probability.sum(1) + target.sum(1)
    return (2 * (probability * target).sum(1) + 1e-5) / (total + 1e-5)


def deep_supervision_loss(
    heads: Sequence[Tensor], reference: Tensor, *, weights: Sequence[float], dice_weight: float
) -> tuple[Tensor, Tensor]:
    """Return each sample's weighted mean loss over the heads, finest first, and the finest Dice.

    The target of a coarse head is the reference, averaged over its voxels. Heads beyond
    ``weights`` are not trained.
    """
    total, dice = dice_ce_loss(heads[0], reference, dice_weight)
    total = weights[0] * total
    for logits, weight in zip(heads[1:], weights[1:]):
        edge = reference.shape[-1] // logits.shape[-1]
        coarse = F.avg_pool3d(reference[:, None], edge)[:, 0]
        total = total + weight * dice_ce_loss(logits, coarse, dice_weight)[0]
    return total / sum(weights[: len(heads)]), dice


def walk_loss(probability: Tensor, reference: Tensor, dice_weight: float) -> Tensor:
    """Return each sample's loss of refined probabilities, on the blocks of the walk's grid.

    Parameters
    ----------
    probability : (batch, z / f, y / f, x / f)
        As `walk.walked` returns them.
    reference : (batch, z, y, x)
        The reference in [0, 1].
    dice_weight : float
        Of the Dice loss beside the cross-entropy.
    """
    factor = reference.shape[-1] // probability.shape[-1]
    target = F.avg_pool3d(reference[:, None], factor)[:, 0].flatten(1)
    probability = probability.flatten(1).clamp(SURE, 1 - SURE)
    # torch's own cross-entropy stops the process where a probability is not a number
    entropy = -(target * probability.log() + (1 - target) * (1 - probability).log()).mean(1)
    return dice_weight * (1 - soft_dice(probability, target)) + entropy


def click_loss(logits: Tensor, reference: Tensor, clicked: Tensor) -> Tensor:
    """Return each sample's mean cross-entropy near its clicks; 0 without clicks.

    The neighbourhood of a click is a small part of the patch, so the other terms hardly depend on
    whether the network follows the click.

    Parameters
    ----------
    logits, reference, clicked : (batch, z, y, x)
        Logits, reference in [0, 1], and 1 or more inside the balls that mark clicks.
    """
    near = F.max_pool3d(clicked[:, None], 5, stride=1, padding=2)[:, 0].clamp(max=1)
    entropy = F.binary_cross_entropy_with_logits(logits, reference, reduction="none")
    return (entropy * near).flatten(1).sum(1) / near.flatten(1).sum(1).clamp_min(1)
