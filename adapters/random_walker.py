"""A classical baseline: a random walker with priors from box, clicks and intensities.

Grady, *Multilabel random walker image segmentation using prior models*, CVPR 2005: each voxel gets
the probability p that minimises

    sum over voxels (p - prior)^2 + SMOOTHNESS * sum over neighbours w (p - p')^2 ,

where w decreases with the intensity difference, so that boundaries follow edges; balls at the
clicks are fixed seeds. The prior of a voxel is the logistic function of the sum of three
log-odds: the ellipsoid inscribed in the box; the intensity histograms inside and outside,
re-estimated from the last probabilities in each iteration; and, for each click, a Gaussian. Its
sigma follows from the click's distance to the border of the segmentation that it corrects, since
the simulated user clicks in the middle of an error. That segmentation is computed from the earlier
prompts; caches only save time.

Works on a crop around the prompts of a label, on at most MAX_VOXELS voxels. No weights; the
constants were chosen on training scans. Needs scipy, a dependency of segbench.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg
from scipy.special import expit

from segbench.core import (
    AdapterInfo,
    Box,
    Click,
    Image,
    Interactions,
    LabelMap,
    Prompt,
    Roi,
    Voxel,
    sum_in_order,
)
from segbench_adapters import kit

FloatArray = NDArray[np.float32]
Rounds = tuple[tuple[Prompt, ...], ...]

MAX_VOXELS = 100_000  # of a label's grid
MARGIN = 0.4  # fraction of the box's size, on each side
ELLIPSOID_ODDS = 12.0  # log-odds at the box's centre; 0 on the ellipsoid, negative outside
MIN_ELLIPSOID_ODDS = -5.0
OUTSIDE_Z_ODDS = 3.0  # log-odds subtracted above and below the box
MAX_INTENSITY_ODDS = 0.5  # limit of the intensities' log-odds
HISTOGRAM_BINS = 48
ITERATIONS = 3
BLUR_SIGMA = 0.7  # grid voxels
CLICK_ODDS = 3.0  # log-odds wanted at a click
MIN_CLICK_CHANGE, MAX_CLICK_CHANGE = 1.0, 8.0  # log-odds that a click adds
SIGMA_PER_DISTANCE = 1.5  # of a click's Gaussian, per voxel of its distance
MIN_SIGMA, MAX_SIGMA = 2.0, 6.0  # image voxels; the latter without a box
MAX_SIGMA_IN_BOX = 0.2  # fraction of the box's size
SEED_RADIUS = 0.8  # fraction of the click's distance
DEFAULT_DISTANCE = 2.0  # image voxels, if no border is near
SEARCH_RADIUS = 24  # image voxels, of the search for a border
SMOOTHNESS = 20.0
BETA = 2.0  # Grady's beta: sensitivity to intensity differences
NO_BOX_ODDS = -2.0  # log-odds everywhere, for a label without a box


@dataclass(frozen=True)
class Hint:
    """A click as foreground or background of one label, and its distance in image voxels."""

    voxel: Voxel
    positive: bool
    distance: float


@dataclass(frozen=True)
class CoarseGrid:
    """A region of the image, averaged over blocks of voxels."""

    roi: Roi
    factors: Voxel  # image voxels per grid voxel, by axis
    values: FloatArray

    def axes(self) -> list[FloatArray]:
        """Return the grid voxels' centres in image voxels, ready to broadcast."""
        centres = [
            cut.start + factor * (np.arange(n) + 0.5) - 0.5
            for cut, factor, n in zip(self.roi, self.factors, self.values.shape)
        ]
        z, y, x = (each.astype(np.float32) for each in centres)
        return [z[:, None, None], y[:, None], x]


# ---- the adapter -----------------------------------------------------------------------------


class RandomWalker:
    """Segment each label on its own; a voxel gets the most probable label."""

    info = AdapterInfo("random_walker", version="2", licence="Apache-2.0")

    def __init__(self, max_voxels: int = MAX_VOXELS) -> None:
        self._max_voxels = max_voxels

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Store the image with finite voxels."""
        self._image = Image(kit.finite_image(image.voxels), image.spacing)
        self._hints_by_rounds: dict[Rounds, tuple[tuple[int, Hint], ...]] = {}
        self._probabilities: dict[int, tuple[object, Roi, FloatArray]] = {}
        self._last: tuple[Rounds | None, LabelMap] = (None, np.zeros(0, np.uint8))

    def predict(self, interactions: Interactions) -> LabelMap:
        """Segment all rounds; earlier ones first if their segmentations are not cached."""
        return self._segmentation_after(interactions.rounds)

    def _segmentation_after(self, rounds: Rounds) -> LabelMap:
        if self._last[0] != rounds:
            self._last = (rounds, self._segment(rounds[0], self._hints_after(rounds)))
        return self._last[1]

    def _hints_after(self, rounds: Rounds) -> tuple[tuple[int, Hint], ...]:
        if len(rounds) == 1:
            return ()
        if rounds not in self._hints_by_rounds:
            earlier = self._hints_after(rounds[:-1])
            segmentation = self._segmentation_after(rounds[:-1])
            clicks = [prompt for prompt in rounds[-1] if isinstance(prompt, Click)]
            new = [(click.label, make_hint(click, segmentation)) for click in clicks]
            self._hints_by_rounds[rounds] = (*earlier, *new)
        return self._hints_by_rounds[rounds]

    def _segment(
        self, boxes: tuple[Prompt, ...], label_hints: tuple[tuple[int, Hint], ...]
    ) -> LabelMap:
        boxes_by_label = {prompt.label: prompt for prompt in boxes if isinstance(prompt, Box)}
        present = sorted(
            boxes_by_label.keys() | {label for label, hint in label_hints if hint.positive}
        )
        shape = self._image.voxels.shape
        segmentation = np.zeros(shape, kit.label_map_dtype(present))
        best = np.full(shape, 0.5, np.float32)
        for label in present:
            roi, probability = self._label_probability(
                label, boxes_by_label.get(label), hints_for(label, label_hints)
            )
            better = probability > best[roi]
            segmentation[roi][better] = label
            best[roi][better] = probability[better]
        return segmentation

    def _label_probability(
        self, label: int, box: Box | None, hints: tuple[Hint, ...]
    ) -> tuple[Roi, FloatArray]:
        prompts = (box, hints)
        if label not in self._probabilities or self._probabilities[label][0] != prompts:
            roi = label_roi(box, hints, self._image.voxels.shape)
            grid = coarse_grid(self._image, roi, self._max_voxels)
            probability = upsample(random_walk(grid, self._image.spacing, box, hints), grid)
            self._probabilities[label] = (prompts, grid.roi, probability)
        return self._probabilities[label][1:]


def make_hint(click: Click, segmentation: LabelMap) -> Hint:
    """Return a click with its distance to the border of the segmentation it corrects."""
    roi = tuple(slice(max(at - SEARCH_RADIUS, 0), at + SEARCH_RADIUS + 1) for at in click.voxel)
    other_side = (segmentation[roi] == click.label) == click.positive
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


# ---- crop and grid ---------------------------------------------------------------------------


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
    max_sigma = MAX_SIGMA
    if box is not None:
        z, y, x = (b - a for a, b in zip(box.low, box.high))
        max_sigma = max(MAX_SIGMA_IN_BOX * (z * y * x) ** (1 / 3), MIN_SIGMA)
    return float(np.clip(SIGMA_PER_DISTANCE * hint.distance, MIN_SIGMA, max_sigma))


def coarse_grid(image: Image, roi: Roi, max_voxels: int = MAX_VOXELS) -> CoarseGrid:
    """Return a region on a grid of limited size, coarser along fine axes."""
    sizes = [cut.stop - cut.start for cut in roi]
    factors = [1, 1, 1]
    while np.prod([-(-n // f) for n, f in zip(sizes, factors)]) > max_voxels:
        steps = [mm * f if n > 8 * f else np.inf for mm, f, n in zip(image.spacing, factors, sizes)]
        factors[int(np.argmin(steps))] += 1
    block = image.voxels[roi].astype(np.float32)
    block = np.pad(block, [(0, -n % f) for n, f in zip(sizes, factors)], mode="edge")
    z, y, x = factors
    nz, ny, nx = (n // f for n, f in zip(block.shape, factors))
    values = block.reshape(nz, z, ny, y, nx, x).mean(axis=(1, 3, 5))
    return CoarseGrid(roi, (z, y, x), values)


def upsample(probability: FloatArray, grid: CoarseGrid) -> FloatArray:
    """Interpolate grid values linearly to the image voxels of the region."""
    for axis, (cut, factor) in enumerate(zip(grid.roi, grid.factors)):
        if factor > 1:
            at = (np.arange(cut.stop - cut.start) + 0.5) / factor - 0.5
            at = np.clip(at, 0, probability.shape[axis] - 1).astype(np.float32)
            low = np.minimum(at.astype(int), max(probability.shape[axis] - 2, 0))
            weight = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
            high = np.minimum(low + 1, probability.shape[axis] - 1)
            probability = (
                probability.take(low, axis) * (1 - weight) + probability.take(high, axis) * weight
            )
    return probability


# ---- the random walk -------------------------------------------------------------------------


def random_walk(
    grid: CoarseGrid, spacing: tuple[float, float, float], box: Box | None, hints: tuple[Hint, ...]
) -> FloatArray:
    """Return each grid voxel's foreground probability."""
    prior_odds = add_clicks(box_odds(grid, box), grid, box, hints)
    smoothed = ndimage.gaussian_filter(grid.values, BLUR_SIGMA)
    grid_spacing = [mm * f for mm, f in zip(spacing, grid.factors)]
    laplacian = SMOOTHNESS * graph_laplacian(smoothed, grid_spacing)
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


def squared_distances(grid: CoarseGrid, at: Voxel) -> FloatArray:
    """Return the squared distances of grid voxels to an image voxel, in image voxels."""
    z, y, x = (axis - c for axis, c in zip(grid.axes(), at))
    squares: FloatArray = z**2 + y**2 + x**2
    return squares


def histogram_bins(values: FloatArray) -> NDArray[np.intp]:
    """Return each voxel's intensity bin; bins contain about equally many voxels."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, HISTOGRAM_BINS + 1)[1:-1]))
    return np.searchsorted(edges, values)


def intensity_odds(bins: NDArray[np.intp], probability: FloatArray) -> FloatArray:
    """Return the log-odds of each voxel's intensity: foreground against background histogram."""
    foreground, background = (
        ndimage.gaussian_filter1d(
            np.bincount(bins.ravel(), weights.ravel(), minlength=HISTOGRAM_BINS),
            1.5,
            mode="nearest",
        )
        for weights in (probability, 1 - probability)
    )
    least = 0.1 / HISTOGRAM_BINS
    odds = np.log((foreground / foreground.sum() + least) / (background / background.sum() + least))
    odds = np.clip(odds, -MAX_INTENSITY_ODDS, MAX_INTENSITY_ODDS)
    voxel_odds: FloatArray = odds.astype(np.float32)[bins]
    return voxel_odds


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


def make_adapter() -> RandomWalker:
    """Make the adapter; it takes no options."""
    return RandomWalker()
