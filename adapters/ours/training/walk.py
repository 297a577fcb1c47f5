"""The refinement of the network's answers by a random walk, in batches, on any device.

The same walk as in ``adapters/_random_walk.py``, with the prior of ``refinement.py``, on the
patches of a batch: the network is trained with the segmentations that its clicks correct at test
time, and on what becomes of its logits. In torch alone. Where it differs: a patch is one grid of
cubic blocks, all distances are in patch voxels, a place above or below the box is one outside of
it, and the conjugate gradients take a fixed number of steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..._walk_settings import (
    BETA,
    BLUR_SIGMA,
    CLICK_ODDS,
    DEFAULT_DISTANCE,
    ELLIPSOID_ODDS,
    HISTOGRAM_BINS,
    ITERATIONS,
    MAX_CLICK_CHANGE,
    MAX_INTENSITY_ODDS,
    MAX_SIGMA,
    MAX_SIGMA_IN_BOX,
    MIN_CLICK_CHANGE,
    MIN_ELLIPSOID_ODDS,
    MIN_SIGMA,
    SEARCH_RADIUS,
    SEED_RADIUS,
    SIGMA_PER_DISTANCE,
    SMOOTHNESS,
    TINY,
)
from ..prompts import BOX, IMAGE, PREVIOUS
from ..refinement_settings import (
    BOX_WEIGHT,
    MAX_NETWORK_ODDS,
    MAX_REACH,
    NETWORK_WEIGHT,
    NETWORK_WEIGHT_ALONE,
)
from .boxes import tight_boxes
from .interactive_batch import InteractiveBatch
from .separable import blur

GRID_EDGE = 48  # voxels; that of the adapter has about as many
SOLVER_STEPS = 30  # of conjugate gradients, from the last solution
SEED_CONFIDENCE = 1e3
HISTOGRAM_SIGMA = 1.5  # bins


def walked(logits: Tensor, batch: InteractiveBatch, weights: PriorWeights | None = None) -> Tensor:
    """Return the refined probabilities of a batch, with a gradient for the logits.

    Parameters
    ----------
    logits : (n, z, y, x)
        The network's answer to ``batch.inputs``.
    batch : InteractiveBatch
        The prompts and the segmentation before them.
    weights : PriorWeights, optional
        Those of the adapter by default.

    Returns
    -------
    (n, z / f, y / f, x / f) tensor
        One value per block of ``f`` voxels along each axis.
    """
    weights = PriorWeights() if weights is None else weights
    factor = block_edge(logits.shape[-1])
    values = blur(F.avg_pool3d(batch.inputs[:, IMAGE : IMAGE + 1], factor), _sigmas(batch))[:, 0]
    network = F.avg_pool3d(logits[:, None], factor)[:, 0].clamp(-MAX_NETWORK_ODDS, MAX_NETWORK_ODDS)
    boxed = batch.inputs[:, BOX] > 0
    has_box = boxed.flatten(1).any(dim=1)
    around = torch.where(has_box.view(-1, 1, 1, 1), boxed, logits > 0)
    low, high = tight_boxes(around)
    sides = (high - low).clamp_min(0).float()
    box_odds = _ellipsoid_odds(low, high, network.shape[-1], factor)
    with_box = weights.network * network + weights.box * box_odds
    odds = torch.where(has_box.view(-1, 1, 1, 1), with_box, weights.network_alone * network)
    sigma_limits = torch.where(has_box, _max_sigmas(sides), MAX_SIGMA)
    hints = _hints(batch, sigma_limits)
    odds = _add_clicks(odds, hints, sigma_limits, factor)
    seeds = _seeds(hints, network.shape[-1], factor)
    return _random_walk(values, odds, seeds, _smoothness(sides, factor))


@dataclass(frozen=True)
class PriorWeights:
    """Of the log-odds of network and box."""

    network: float = NETWORK_WEIGHT
    box: float = BOX_WEIGHT
    network_alone: float = NETWORK_WEIGHT_ALONE


def walked_masks(logits: Tensor, batch: InteractiveBatch) -> Tensor:
    """Return the refined segmentations of a batch, (n, z, y, x) bool."""
    with torch.no_grad():
        probability = walked(logits.detach(), batch)[:, None]
    size = logits.shape[1:]
    return F.interpolate(probability, size=size, mode="trilinear", align_corners=False)[:, 0] > 0.5


def block_edge(patch: int) -> int:
    """Return the voxels per block of the grid, along each axis."""
    return math.ceil(patch / GRID_EDGE)


def _sigmas(batch: InteractiveBatch) -> Tensor:
    return torch.full((len(batch),), BLUR_SIGMA, device=batch.inputs.device)


def _centres(edge: int, factor: int, device: torch.device) -> Tensor:
    """Return the middles of the grid's blocks along an axis, in patch voxels."""
    return factor * (torch.arange(edge, device=device, dtype=torch.float32) + 0.5) - 0.5


def _squares(at: Tensor, edge: int, factor: int, scale: Tensor | None = None) -> Tensor:
    """Return squared distances (n, z, y, x) of the blocks to places (n, 3), relative to a scale."""
    offsets = _centres(edge, factor, at.device) - at[:, :, None]
    squares = (offsets if scale is None else offsets / scale[:, :, None]).square()
    z, y, x = squares.unbind(1)
    return z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]


def _ellipsoid_odds(low: Tensor, high: Tensor, edge: int, factor: int) -> Tensor:
    """Return the log-odds of the ellipsoids inscribed in boxes."""
    middle, half = (low + high - 1).float() / 2, ((high - low).float() / 2).clamp_min(0.5)
    radii = _squares(middle, edge, factor, half).sqrt()
    return (ELLIPSOID_ODDS * (1 - radii)).clamp_min(MIN_ELLIPSOID_ODDS)


def _max_sigmas(sides: Tensor) -> Tensor:
    return (MAX_SIGMA_IN_BOX * sides.prod(dim=1).pow(1 / 3)).clamp_min(MIN_SIGMA)


def _smoothness(sides: Tensor, factor: int) -> Tensor:
    """Return each sample's smoothness; as ``refinement.smoothness_for``."""
    width = (0.5 * (sides / factor).prod(dim=1)).pow(1 / 3)
    limited = (MAX_REACH * width).square().clamp_max(SMOOTHNESS)
    return torch.where(sides.amin(dim=1) > 0, limited, SMOOTHNESS)


@dataclass(frozen=True)
class _Hints:
    """The clicks of a batch: (n, k) each, and their places (n, k, 3)."""

    places: Tensor
    signs: Tensor  # 1, -1, or 0 for no click
    distances: Tensor  # patch voxels, to the border of the segmentation before


def _hints(batch: InteractiveBatch, sigma_limits: Tensor) -> _Hints:
    """Return the clicks with their distances; as ``_random_walk.current_hint``."""
    places, signs = batch.clicks[..., :3], batch.clicks[..., 3]
    previous = batch.inputs[:, PREVIOUS] > 0
    rows = torch.arange(len(batch), device=places.device)
    distances = []
    for number in range(places.shape[1]):
        at = places[:, number]
        clicked = previous[rows, at[:, 0], at[:, 1], at[:, 2]].view(-1, 1, 1, 1)
        squares = _squares(at.float(), previous.shape[-1], 1)
        nearest = squares.masked_fill(previous == clicked, math.inf).flatten(1).amin(dim=1)
        nearest = nearest.sqrt()
        distances.append(torch.where(nearest <= SEARCH_RADIUS, nearest, DEFAULT_DISTANCE))
    if not distances:
        return _Hints(places, signs, signs.float())
    limit = (sigma_limits / SIGMA_PER_DISTANCE)[:, None]
    return _Hints(places, signs, torch.minimum(torch.stack(distances, dim=1), limit))


def _add_clicks(odds: Tensor, hints: _Hints, sigma_limits: Tensor, factor: int) -> Tensor:
    """Add a Gaussian per click that aims at CLICK_ODDS there."""
    edge, rows = odds.shape[-1], torch.arange(len(odds), device=odds.device)
    for number in range(hints.signs.shape[1]):
        at, sign = hints.places[:, number], hints.signs[:, number].float()
        z, y, x = (at // factor).clamp_max(edge - 1).unbind(1)
        current = sign * odds[rows, z, y, x].detach()
        height = sign * (CLICK_ODDS - current).clamp(MIN_CLICK_CHANGE, MAX_CLICK_CHANGE)
        sigma = (SIGMA_PER_DISTANCE * hints.distances[:, number]).clamp_min(MIN_SIGMA)
        sigma = torch.minimum(sigma, sigma_limits)[:, None].expand(-1, 3)
        gaussian = torch.exp(-0.5 * _squares(at.float(), edge, factor, sigma))
        odds = odds + height.view(-1, 1, 1, 1) * gaussian
    return odds


def _seeds(hints: _Hints, edge: int, factor: int) -> Tensor:
    """Return 1 for foreground seeds, -1 for background seeds, else 0; a later click wins."""
    n, number_of_clicks = hints.signs.shape
    seeds = torch.zeros((n, edge, edge, edge), dtype=torch.int8, device=hints.signs.device)
    for number in range(number_of_clicks):
        sign = hints.signs[:, number].to(torch.int8).view(-1, 1, 1, 1)
        radius = (SEED_RADIUS * hints.distances[:, number]).clamp_min(0.5 * factor)
        ball = _squares(hints.places[:, number].float(), edge, factor)
        ball = ball <= radius.square().view(-1, 1, 1, 1)
        seeds = torch.where(ball & (sign != 0), sign, seeds)
    return seeds


def _random_walk(values: Tensor, odds: Tensor, seeds: Tensor, smoothness: Tensor) -> Tensor:
    """Return the probabilities; as ``_random_walk.random_walk``."""
    edges = _edge_weights(values, smoothness)
    confidence = torch.where(seeds != 0, SEED_CONFIDENCE, 1.0)
    bins = _histogram_bins(values)
    probability = torch.sigmoid(odds.detach())
    for iteration in range(ITERATIONS):
        last = iteration == ITERATIONS - 1
        with torch.set_grad_enabled(last and torch.is_grad_enabled()):
            prior = torch.sigmoid(odds + _intensity_odds(bins, probability))
            prior = torch.where(seeds == 0, prior, (seeds > 0).float())
            probability = _Solution.apply(  # type: ignore[no-untyped-call]
                prior, confidence, probability, *edges
            )
    return probability


Edges = tuple[Tensor, Tensor, Tensor]


def _edge_weights(values: Tensor, smoothness: Tensor) -> Edges:
    """Return the weights between neighbours along z, y and x; as ``graph_laplacian``."""
    steps = [values.diff(dim=axis) for axis in (1, 2, 3)]
    total = torch.stack([step.square().sum((1, 2, 3)) for step in steps]).sum(dim=0)
    mean = (total / sum(step[0].numel() for step in steps) + 1e-12).view(-1, 1, 1, 1)
    scale = smoothness.view(-1, 1, 1, 1)
    z, y, x = (scale * (torch.exp(-BETA * step.square() / mean) + 1e-4) for step in steps)
    return z, y, x


class _Solution(torch.autograd.Function):
    """Solve (L + C) p = C prior; the matrix is symmetric, so the gradient is one more solution."""

    @staticmethod
    def forward(
        ctx: Any, prior: Tensor, confidence: Tensor, start: Tensor, *edges: Tensor
    ) -> Tensor:
        ctx.save_for_backward(confidence, *edges)
        return _solve(confidence * prior, confidence, edges, start)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        confidence, *edges = ctx.saved_tensors
        solution = _solve(gradient, confidence, edges, torch.zeros_like(gradient))
        return confidence * solution, None, None, None, None, None


def _solve(right: Tensor, confidence: Tensor, edges: Any, start: Tensor) -> Tensor:
    """Conjugate gradients with a diagonal preconditioner, each sample on its own."""
    diagonal = confidence + _degrees(confidence, edges)
    solution = start.clone()
    residual = right - _product(solution, diagonal, edges)
    preconditioned = residual / diagonal
    direction = preconditioned.clone()
    energy = _dot(residual, preconditioned)
    for _ in range(SOLVER_STEPS):
        image = _product(direction, diagonal, edges)
        rate = energy / _dot(direction, image).clamp_min(TINY)
        solution += rate * direction
        residual -= rate * image
        preconditioned = residual / diagonal
        next_energy = _dot(residual, preconditioned)
        direction = preconditioned + next_energy / energy.clamp_min(TINY) * direction
        energy = next_energy
    return solution


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2, 3), keepdim=True)


def _degrees(like: Tensor, edges: Any) -> Tensor:
    """Return the sum of the weights at each voxel."""
    degrees = torch.zeros_like(like)
    for axis, weights in zip((1, 2, 3), edges):
        n = weights.shape[axis]
        degrees.narrow(axis, 0, n).add_(weights)
        degrees.narrow(axis, 1, n).add_(weights)
    return degrees


def _product(p: Tensor, diagonal: Tensor, edges: Any) -> Tensor:
    """Return (L + C) p."""
    product = diagonal * p
    for axis, weights in zip((1, 2, 3), edges):
        n = weights.shape[axis]
        product.narrow(axis, 0, n).addcmul_(weights, p.narrow(axis, 1, n), value=-1)
        product.narrow(axis, 1, n).addcmul_(weights, p.narrow(axis, 0, n), value=-1)
    return product


def _histogram_bins(values: Tensor) -> Tensor:
    """Return each voxel's intensity bin, (n, voxels); bins contain about equally many voxels."""
    flat = values.flatten(1)
    shares = torch.linspace(0, 1, HISTOGRAM_BINS + 1, device=values.device)[1:-1]
    ranks = (shares * (flat.shape[1] - 1)).round().long()
    edges = flat.sort(dim=1).values[:, ranks].contiguous()
    return torch.searchsorted(edges, flat.contiguous())


def _intensity_odds(bins: Tensor, probability: Tensor) -> Tensor:
    """Return the log-odds of each voxel's intensity: foreground against background histogram."""
    foreground = _frequencies(bins, probability.flatten(1))
    background = _frequencies(bins, 1 - probability.flatten(1))
    odds = (foreground / background).log().clamp(-MAX_INTENSITY_ODDS, MAX_INTENSITY_ODDS)
    return odds.gather(1, bins).view_as(probability)


def _frequencies(bins: Tensor, weights: Tensor) -> Tensor:
    counts = torch.zeros((len(bins), HISTOGRAM_BINS), device=bins.device)
    counts.scatter_add_(1, bins, weights)
    at = torch.arange(HISTOGRAM_BINS, device=bins.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * ((at[:, None] - at) / HISTOGRAM_SIGMA).square())
    counts = counts @ (kernel / kernel.sum(dim=1, keepdim=True)).T
    total = counts.sum(dim=1, keepdim=True).clamp_min(TINY)
    return (counts / total + 0.1 / HISTOGRAM_BINS).clamp_min(TINY)
