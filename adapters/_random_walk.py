"""A random walk on the grid of one label, with a prior and with clicks.

Grady, *Multilabel random walker image segmentation using prior models*, CVPR 2005: each voxel gets
the probability p that minimises

    sum over voxels (p - prior)^2 + SMOOTHNESS * sum over neighbours w (p - p')^2 ,

where w decreases with the intensity difference, so that boundaries follow edges; balls at the
clicks are fixed seeds. The prior of a voxel is the logistic function of the sum of three log-odds:
those that the caller gives; the intensity histograms inside and outside, re-estimated from the last
probabilities in each iteration; and, for each click, a Gaussian. Its sigma follows from the click's
distance to the border of the segmentation that it corrects, since the simulated user clicks in the
middle of an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg
from scipy.special import expit

from segbench.core import Box, Click, LabelMap, Roi, Spacing, Voxel, sum_in_order

from ._coarse_grid import CoarseGrid, FloatArray, squared_distances
from ._walk_settings import (
    BETA,
    BLUR_SIGMA,
    CLICK_ODDS,
    DEFAULT_DISTANCE,
    ELLIPSOID_ODDS,
    HISTOGRAM_BINS,
    ITERATIONS,
    MARGIN,
    MAX_CLICK_CHANGE,
    MAX_INTENSITY_ODDS,
    MAX_SIGMA,
    MAX_SIGMA_IN_BOX,
    MIN_CLICK_CHANGE,
    MIN_ELLIPSOID_ODDS,
    MIN_SIGMA,
    NO_BOX_ODDS,
    OUTSIDE_Z_ODDS,
    SEARCH_RADIUS,
    SEED_RADIUS,
    SIGMA_PER_DISTANCE,
    SMOOTHNESS,
    TINY,
)


@dataclass(frozen=True)
class Hint:
    """A click as foreground or background of one label, and its distance in image voxels."""

    voxel: Voxel
    positive: bool
    distance: float


def make_hint(click: Click, segmentation: LabelMap) -> Hint:
    """Return a click with its distance to the border of the segmentation it corrects."""
    return _hint(click, segmentation, inside=not click.positive)


def current_hint(click: Click, segmentation: LabelMap, box: Box | None) -> Hint:
    """Return a click with its distance to the nearest border of the latest segmentation.

    If the segmentation agrees with the click, the click is believed as far as it was obeyed. The
    distance is at most the one that gives the widest Gaussian: a click far from the segmentation
    says nothing about the size of what it clicks on.
    """
    hint = _hint(click, segmentation, inside=bool(segmentation[click.voxel] == click.label))
    return replace(hint, distance=min(hint.distance, max_sigma(box) / SIGMA_PER_DISTANCE))


def _hint(click: Click, segmentation: LabelMap, *, inside: bool) -> Hint:
    """Return a click with the distance to the nearest voxel that is not ``inside`` its label."""
    roi = tuple(slice(max(at - SEARCH_RADIUS, 0), at + SEARCH_RADIUS + 1) for at in click.voxel)
    other_side = (segmentation[roi] == click.label) != inside
    offsets = np.argwhere(other_side) + [cut.start for cut in roi] - np.array(click.voxel)
    squares = (offsets**2).sum(axis=1)
    distance = float(np.sqrt(squares.min())) if len(squares) else DEFAULT_DISTANCE
    return Hint(click.voxel, click.positive, distance)


def hints_for(label: int, label_hints: tuple[tuple[int, Hint], ...]) -> tuple[Hint, ...]:
    """Return a label's hints: other labels' positive clicks are negative ones for it."""
    pairs = ((other == label, hint) for other, hint in label_hints)
    return tuple(
        hint if mine else Hint(hint.voxel, False, hint.distance)
        for mine, hint in pairs
        if mine or hint.positive
    )


def label_roi(box: Box | None, hints: tuple[Hint, ...], shape: tuple[int, ...]) -> Roi:
    """Return the box with its margin, extended to the reach of positive clicks."""
    lows, highs = [], []
    if box is not None:
        margins = [MARGIN * (b - a) + 2 for a, b in zip(box.low, box.high)]
        lows.append([a - m for a, m in zip(box.low, margins)])
        highs.append([b + m for b, m in zip(box.high, margins)])
    for hint in hints:
        if hint.positive:
            radius = 3 * click_sigma(hint, box)
            lows.append([at - radius for at in hint.voxel])
            highs.append([at + radius + 1 for at in hint.voxel])
    low = np.clip(np.floor(np.min(lows, axis=0)).astype(int), 0, np.array(shape) - 1)
    high = np.clip(np.ceil(np.max(highs, axis=0)).astype(int), low + 1, shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high))
    return z, y, x


def click_sigma(hint: Hint, box: Box | None) -> float:
    """Return the sigma of a click's Gaussian in image voxels; smaller in a small box."""
    return float(np.clip(SIGMA_PER_DISTANCE * hint.distance, MIN_SIGMA, max_sigma(box)))


def max_sigma(box: Box | None) -> float:
    """Return the largest sigma of a click's Gaussian in image voxels."""
    if box is None:
        return MAX_SIGMA
    z, y, x = (b - a for a, b in zip(box.low, box.high))
    return float(max(MAX_SIGMA_IN_BOX * (z * y * x) ** (1 / 3), MIN_SIGMA))


def random_walk(
    grid: CoarseGrid,
    spacing: Spacing,
    prior_odds: FloatArray,
    box: Box | None,
    hints: tuple[Hint, ...],
    smoothness: float = SMOOTHNESS,
) -> FloatArray:
    """Return each grid voxel's foreground probability, from the prior's log-odds and the clicks."""
    prior_odds = add_clicks(prior_odds, grid, box, hints)
    smoothed = ndimage.gaussian_filter(grid.values, BLUR_SIGMA)
    grid_spacing = [mm * f for mm, f in zip(spacing, grid.factors)]
    laplacian = smoothness * graph_laplacian(smoothed, grid_spacing)
    is_seed, is_foreground = seeds(grid, hints)
    confidence = np.where(is_seed, 1e3, 1.0).astype(np.float32).ravel()
    system = laplacian + sparse.diags_array(confidence)
    bins = histogram_bins(smoothed)
    probability: FloatArray = expit(prior_odds)
    for _ in range(ITERATIONS):
        prior = expit(prior_odds + intensity_odds(bins, probability))
        prior[is_seed] = is_foreground[is_seed]
        solution, _ = cg(
            system,
            confidence * prior.ravel(),
            x0=probability.ravel(),
            rtol=1e-3,
            maxiter=200,
            M=sparse.diags_array(1 / system.diagonal()),
        )
        probability = solution.reshape(probability.shape).astype(np.float32)
    return probability


def box_odds(grid: CoarseGrid, box: Box | None) -> FloatArray:
    """Return the box's log-odds: its inscribed ellipsoid, lower above and below the box."""
    if box is None:
        return np.full(grid.values.shape, NO_BOX_ODDS, np.float32)
    squares = np.zeros(grid.values.shape, np.float32)
    for centres, low, high in zip(grid.axes(), box.low, box.high):
        squares += ((centres - (low + high - 1) / 2) / ((high - low) / 2)) ** 2
    odds = np.clip(ELLIPSOID_ODDS * (1 - np.sqrt(squares)), MIN_ELLIPSOID_ODDS, None)
    z = grid.axes()[0]
    odds -= OUTSIDE_Z_ODDS * ((z < box.low[0] - 0.5) | (z > box.high[0] - 0.5))
    return odds.astype(np.float32)


def add_clicks(
    odds: FloatArray, grid: CoarseGrid, box: Box | None, hints: tuple[Hint, ...]
) -> FloatArray:
    """Return the log-odds plus a Gaussian per click that aims at CLICK_ODDS at the click."""
    for hint in hints:
        squares = squared_distances(grid, hint.voxel)
        sign = 1 if hint.positive else -1
        current = sign * float(odds.flat[int(squares.argmin())])
        height = np.clip(CLICK_ODDS - current, MIN_CLICK_CHANGE, MAX_CLICK_CHANGE)
        odds = odds + sign * height * np.exp(-0.5 * squares / click_sigma(hint, box) ** 2)
    return odds


def seeds(grid: CoarseGrid, hints: tuple[Hint, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the masks of seeds and of foreground seeds; later clicks overwrite earlier ones."""
    is_seed, is_foreground = np.zeros((2, *grid.values.shape), bool)
    for hint in hints:
        radius = max(SEED_RADIUS * hint.distance, 0.5 * max(grid.factors))
        ball = squared_distances(grid, hint.voxel) <= radius**2
        is_seed |= ball
        is_foreground[ball] = hint.positive
    return is_seed, is_foreground


def histogram_bins(values: FloatArray) -> NDArray[np.intp]:
    """Return each voxel's intensity bin; bins contain about equally many voxels."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, HISTOGRAM_BINS + 1)[1:-1]))
    return np.searchsorted(edges, values)


def intensity_odds(bins: NDArray[np.intp], probability: FloatArray) -> FloatArray:
    """Return the log-odds of each voxel's intensity: foreground against background histogram."""
    foreground, background = (_frequencies(bins, p) for p in (probability, 1 - probability))
    odds = np.log(foreground / background)
    odds = np.clip(odds, -MAX_INTENSITY_ODDS, MAX_INTENSITY_ODDS)
    voxel_odds: FloatArray = odds.astype(np.float32)[bins]
    return voxel_odds


def _frequencies(bins: NDArray[np.intp], weights: FloatArray) -> NDArray[np.float64]:
    """Return the smoothed frequency of each bin; positive, also if the solver's errors are not."""
    counts = np.bincount(bins.ravel(), weights.ravel(), minlength=HISTOGRAM_BINS)
    counts = ndimage.gaussian_filter1d(counts, 1.5, mode="nearest")
    frequencies = counts / max(counts.sum(), TINY) + 0.1 / HISTOGRAM_BINS
    positive: NDArray[np.float64] = np.maximum(frequencies, TINY)
    return positive


def graph_laplacian(values: FloatArray, spacing: list[float]) -> sparse.csr_array:
    """Return the 6-neighbour graph Laplacian; weights decrease with intensity differences."""
    steps = [np.diff(values, axis=axis) for axis in range(3)]
    squares = sum_in_order(float((step**2).sum()) for step in steps)
    mean = squares / max(sum(step.size for step in steps), 1) + 1e-12
    number = np.arange(values.size).reshape(values.shape)
    finest = min(spacing)
    parts = []
    for axis, step in enumerate(steps):
        weights = np.exp(-BETA * step**2 / mean) * (finest / spacing[axis]) ** 2 + 1e-4
        low = number.take(range(values.shape[axis] - 1), axis).ravel()
        high = number.take(range(1, values.shape[axis]), axis).ravel()
        parts.append((weights.ravel(), low, high))
    weights, low, high = (np.concatenate(each) for each in zip(*parts))
    size = (values.size, values.size)
    adjacency = sparse.coo_array((weights, (low, high)), size)
    adjacency = adjacency + adjacency.T
    laplacian: sparse.csr_array = (sparse.diags_array(adjacency.sum(axis=1)) - adjacency).tocsr()
    return laplacian
