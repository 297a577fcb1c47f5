"""Training samples in a batch: images, references and the prompts so far, on one device.

In the paper a first forward pass without gradient makes the errors that a click corrects
(Eq. 6-11). Here the training pass is that first pass: its prediction becomes the previous
segmentation of the same scene in the next step, with one more click. This trains on several clicks
instead of one and needs no extra pass. The recipe ``paper`` makes the paper's first pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..prompts import BOX, CHANNELS, IMAGE, NEGATIVE, POSITIVE, PREVIOUS, ball_radius
from .boxes import BoxParameters, PatchBox, simulated_boxes
from .clicks import next_clicks


@dataclass
class InteractiveBatch:
    """Samples of one patch size."""

    inputs: Tensor  # (n, 8, z, y, x) float32: the network's input
    references: Tensor  # (n, z, y, x) bool
    n_clicks: list[int]
    clicks: Tensor  # (n, k, 4) int64: voxel, and 1, -1 or, where there is no click, 0

    @property
    def patch(self) -> int:
        """The edge of the patch."""
        return int(self.references.shape[-1])

    def __len__(self) -> int:
        return len(self.n_clicks)

    def rows(self, rows: Sequence[int]) -> InteractiveBatch:
        """Return a copy of some samples."""
        at = torch.tensor(rows, dtype=torch.int64, device=self.inputs.device)
        n_clicks = [self.n_clicks[row] for row in rows]
        unused = self.clicks.shape[1] - max(n_clicks, default=0)  # a row's clicks are its last ones
        return InteractiveBatch(
            self.inputs[at], self.references[at], n_clicks, self.clicks[at, unused:]
        )

    def add_clicks(self, predictions: Tensor) -> None:
        """Add each sample's next simulated click and its prediction, (n, z, y, x) bool.

        A sample with a perfect prediction gets the prediction and no click.
        """
        self.inputs[:, PREVIOUS] = predictions.float()
        self._click(predictions, range(len(self)))

    def first_clicks(self, rows: Sequence[int]) -> None:
        """Add the click of an empty segmentation to some samples."""
        if rows:
            self._click(torch.zeros_like(self.references[list(rows)]), rows)

    def _click(self, predictions: Tensor, rows: Sequence[int]) -> None:
        at = torch.tensor(list(rows), device=self.inputs.device)
        clicks = next_clicks(predictions, self.references[at])
        balls = ball_masks(clicks.voxels, self.patch) & clicks.exists.view(-1, 1, 1, 1)
        positive = clicks.positive.view(-1, 1, 1, 1)
        for channel, drawn in ((POSITIVE, balls & positive), (NEGATIVE, balls & ~positive)):
            self.inputs[at, channel] = torch.maximum(self.inputs[at, channel], drawn.float())
        for row in rows:
            self.n_clicks[row] += 1
        signs = (2 * clicks.positive.long() - 1) * clicks.exists
        column = self.clicks.new_zeros((len(self), 1, 4))
        column[at, 0] = torch.cat((clicks.voxels, signs[:, None]), dim=1)
        self.clicks = torch.cat((self.clicks, column), dim=1)


def start_batch(
    images: Tensor, references: Tensor, boxes: Sequence[BoxParameters | PatchBox | None]
) -> InteractiveBatch:
    """Return samples with a box, or with a first click instead where there is None."""
    n, *shape = references.shape
    inputs = torch.zeros((n, CHANNELS, *shape), device=images.device)
    inputs[:, IMAGE] = images
    batch = InteractiveBatch(inputs, references, [0] * n, no_clicks(n, images.device))
    boxed = [row for row, box in enumerate(boxes) if box is not None]
    if boxed:
        drawn = [box for box in boxes if box is not None]
        at = torch.tensor(boxed, device=images.device)
        low, high = simulated_boxes(references[at], drawn)
        inputs[at, BOX] = box_masks(low, high, shape[-1]).float()
    batch.first_clicks([row for row, box in enumerate(boxes) if box is None])
    return batch


def no_clicks(n: int, device: torch.device) -> Tensor:
    """Return the clicks of samples that have none."""
    return torch.zeros((n, 0, 4), dtype=torch.int64, device=device)


def joined(batches: Sequence[InteractiveBatch]) -> InteractiveBatch:
    """Return the samples of several batches as one."""
    most = max(batch.clicks.shape[1] for batch in batches)
    return InteractiveBatch(
        torch.cat([batch.inputs for batch in batches]),
        torch.cat([batch.references for batch in batches]),
        [count for batch in batches for count in batch.n_clicks],
        # in front of the others, because a later click wins
        torch.cat([F.pad(b.clicks, (0, 0, most - b.clicks.shape[1], 0)) for b in batches]),
    )


def ball_masks(centres: Tensor, patch: int) -> Tensor:
    """Return the balls that mark clicks (Eq. 3-4), (n, z, y, x) bool, around (n, 3) voxels."""
    at = torch.arange(patch, device=centres.device)
    z, y, x = ((at[None, :] - centres[:, axis, None]).square() for axis in range(3))
    squares = z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]
    return squares <= ball_radius(patch) ** 2


def box_masks(low: Tensor, high: Tensor, patch: int) -> Tensor:
    """Return half-open boxes as masks, (n, z, y, x) bool, from corners (n, 3)."""
    at = torch.arange(patch, device=low.device)
    inside = (at >= low[:, :, None]) & (at < high[:, :, None])
    z, y, x = inside.unbind(1)
    return z[:, :, None, None] & y[:, None, :, None] & x[:, None, None, :]
