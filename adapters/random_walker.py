"""A classical opponent: a random walker with priors, led by box, clicks and grey values.

Grady, *Multilabel random walker image segmentation using prior models*, CVPR 2005: each voxel gets
the probability p that minimises

    sum over voxels (p - prior)^2 + SMOOTHNESS * sum over neighbours w (p - p')^2 ,

where w falls with the difference of the grey values, so that the answer bends along edges; the
balls at the clicks are fixed. The prior of a voxel is the logistic function of the sum of three
log-odds: the ellipsoid inscribed in the box; the grey values inside against those around, learned
from the last estimate and learned again; and, for each click, a bell whose width follows from how
far the click lay from the border of the answer that it corrects, since the simulated user clicks in
the middle of an error. That answer is made again from the earlier prompts: nothing is remembered
but what can be.

Works on a crop around the prompts of a label, at no more than VOXELS voxels. No weights; the
constants were chosen on training scans. Needs scipy, which segbench brings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg
from scipy.special import expit

from segbench.core import AdapterInfo, Box, Click, Image, Interactions, LabelMap, Prompt, Voxel
from segbench.models.finite_image import finite_image

Field = NDArray[np.float32]
Window = tuple[slice, slice, slice]
Rounds = tuple[tuple[Prompt, ...], ...]

VOXELS = 100_000  # of the grid that a label is worked out on
MARGIN = 0.4  # of the box's size, on each side of it
SHAPE = 12.0  # log-odds at the box's centre; 0 on the ellipsoid, falls on outside
SHAPE_FLOOR = -5.0
BEYOND = 3.0  # log-odds against what is above or below the box
GREY = 0.5  # the most log-odds that grey values may have
BINS = 48
ROUNDS_OF_LEARNING = 3
BLUR = 0.7  # voxels of the grid
CLICK = 3.0  # log-odds at a click, after it
LOWEST, HIGHEST = 1.0, 8.0  # that it adds
WIDTH = 1.5  # of a click's bell, by its distance from the border of the answer
NARROWEST, WIDEST = 2.0, 6.0  # voxels of the image; the latter without a box
SHARE = 0.2  # of the box's size, the widest in it
CORE = 0.8  # of the distance: radius of the ball that a click fixes
ALONE = 2.0  # voxels: the distance of a click that has no answer near it
FAR = 24  # voxels within which a border is looked for
SMOOTHNESS = 20.0
EDGE = 2.0  # how much grey values separate neighbours
WITHOUT_BOX = -2.0  # log-odds of being object, where there is no box


@dataclass(frozen=True)
class Hint:
    """A click as one label sees it: where, for or against, and how far it reaches in voxels."""

    voxel: Voxel
    positive: bool
    distance: float


@dataclass(frozen=True)
class Grid:
    """A window of the image, averaged over blocks of voxels."""

    window: Window
    factors: Voxel  # voxels of the image in one of the grid, by axis
    values: Field

    def axes(self) -> list[Field]:
        """Return where the grid's voxels lie, in voxels of the image, ready to broadcast."""
        centres = [
            cut.start + factor * (np.arange(n) + 0.5) - 0.5
            for cut, factor, n in zip(self.window, self.factors, self.values.shape)
        ]
        z, y, x = (each.astype(np.float32) for each in centres)
        return [z[:, None, None], y[:, None], x]


# ---- the adapter -----------------------------------------------------------------------------


class RandomWalker:
    """Segments each label on its own; the more probable of two labels gets the voxel."""

    info = AdapterInfo("random_walker", version="1", licence="Apache-2.0")

    def set_image(self, image: Image, labels: tuple[int, ...]) -> None:
        """Remember the image, its voxels finite."""
        self._image = Image(finite_image(image.voxels), image.spacing)
        self._hints: dict[Rounds, tuple[tuple[int, Hint], ...]] = {}
        self._fields: dict[int, tuple[object, Window, Field]] = {}
        self._last: tuple[Rounds | None, LabelMap] = (None, np.zeros(0, np.uint8))

    def predict(self, interactions: Interactions) -> LabelMap:
        """Answer the prompts, and first the earlier ones if their answers are not known."""
        return self._answer(interactions.rounds)

    def close(self) -> None:
        """Nothing to release."""

    def _answer(self, rounds: Rounds) -> LabelMap:
        if self._last[0] != rounds:
            self._last = (rounds, self._segment(rounds[0], self._hinted(rounds)))
        return self._last[1]

    def _hinted(self, rounds: Rounds) -> tuple[tuple[int, Hint], ...]:
        if len(rounds) == 1:
            return ()
        if rounds not in self._hints:
            earlier, before = self._hinted(rounds[:-1]), self._answer(rounds[:-1])
            clicks = [prompt for prompt in rounds[-1] if isinstance(prompt, Click)]
            new = [(click.label, hint_of(click, before)) for click in clicks]
            self._hints[rounds] = (*earlier, *new)
        return self._hints[rounds]

    def _segment(self, boxes: tuple[Prompt, ...], hinted: tuple[tuple[int, Hint], ...]) -> LabelMap:
        drawn = {prompt.label: prompt for prompt in boxes if isinstance(prompt, Box)}
        known = sorted(drawn.keys() | {label for label, hint in hinted if hint.positive})
        wide = any(label > np.iinfo(np.uint8).max for label in known)
        shape = self._image.voxels.shape
        labels = np.zeros(shape, np.uint16 if wide else np.uint8)
        best = np.full(shape, 0.5, np.float32)
        for label in known:
            window, field = self._field(label, drawn.get(label), hints_for(label, hinted))
            better = field > best[window]
            labels[window][better] = label
            best[window][better] = field[better]
        return labels

    def _field(self, label: int, box: Box | None, hints: tuple[Hint, ...]) -> tuple[Window, Field]:
        asked = (box, hints)
        if label not in self._fields or self._fields[label][0] != asked:
            grid = look(self._image, window_of(box, hints, self._image.voxels.shape))
            field = refined(walk(grid, self._image.spacing, box, hints), grid)
            self._fields[label] = (asked, grid.window, field)
        return self._fields[label][1:]


def hint_of(click: Click, before: LabelMap) -> Hint:
    """Return a click with its distance from the border of the answer it corrects."""
    window = tuple(slice(max(at - FAR, 0), at + FAR + 1) for at in click.voxel)
    other_side = (before[window] == click.label) == click.positive
    places = np.argwhere(other_side) + [cut.start for cut in window] - np.array(click.voxel)
    squares = (places**2).sum(axis=1)
    return Hint(
        click.voxel, click.positive, float(np.sqrt(squares.min())) if len(squares) else ALONE
    )


def hints_for(label: int, hinted: tuple[tuple[int, Hint], ...]) -> tuple[Hint, ...]:
    """Return what a label learns from all clicks: where another label is, it is not."""
    own = ((other == label, hint) for other, hint in hinted)
    return tuple(
        hint if mine else Hint(hint.voxel, False, hint.distance)
        for mine, hint in own
        if mine or hint.positive
    )


# ---- where to look ---------------------------------------------------------------------------


def window_of(box: Box | None, hints: tuple[Hint, ...], shape: tuple[int, ...]) -> Window:
    """Return the box with its margin, widened to what positive clicks may change."""
    lows, highs = [], []
    if box is not None:
        margins = [MARGIN * (b - a) + 2 for a, b in zip(box.low, box.high)]
        lows.append([a - m for a, m in zip(box.low, margins)])
        highs.append([b + m for b, m in zip(box.high, margins)])
    for hint in hints:
        if hint.positive:
            reach = 3 * width_of(hint, box)
            lows.append([at - reach for at in hint.voxel])
            highs.append([at + reach + 1 for at in hint.voxel])
    low = np.clip(np.floor(np.min(lows, axis=0)).astype(int), 0, np.array(shape) - 1)
    high = np.clip(np.ceil(np.max(highs, axis=0)).astype(int), low + 1, shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high))
    return z, y, x


def width_of(hint: Hint, box: Box | None) -> float:
    """Return the width of a click's bell in voxels of the image, small in a small box."""
    widest = WIDEST
    if box is not None:
        z, y, x = (b - a for a, b in zip(box.low, box.high))
        widest = max(SHARE * (z * y * x) ** (1 / 3), NARROWEST)
    return float(np.clip(WIDTH * hint.distance, NARROWEST, widest))


def look(image: Image, window: Window) -> Grid:
    """Return a window of the image on a grid of at most VOXELS voxels, coarse where it is fine."""
    sizes = [cut.stop - cut.start for cut in window]
    factors = [1, 1, 1]
    while np.prod([-(-n // f) for n, f in zip(sizes, factors)]) > VOXELS:
        steps = [mm * f if n > 8 * f else np.inf for mm, f, n in zip(image.spacing, factors, sizes)]
        factors[int(np.argmin(steps))] += 1
    part = image.voxels[window].astype(np.float32)
    part = np.pad(part, [(0, -n % f) for n, f in zip(sizes, factors)], mode="edge")
    z, y, x = factors
    nz, ny, nx = (n // f for n, f in zip(part.shape, factors))
    values = part.reshape(nz, z, ny, y, nx, x).mean(axis=(1, 3, 5))
    return Grid(window, (z, y, x), values)


def refined(field: Field, grid: Grid) -> Field:
    """Return a field of the grid at the voxels of the image, linearly between its own."""
    for axis, (cut, factor) in enumerate(zip(grid.window, grid.factors)):
        if factor > 1:
            at = (np.arange(cut.stop - cut.start) + 0.5) / factor - 0.5
            at = np.clip(at, 0, field.shape[axis] - 1).astype(np.float32)
            low = np.minimum(at.astype(int), max(field.shape[axis] - 2, 0))
            part = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
            high = np.minimum(low + 1, field.shape[axis] - 1)
            field = field.take(low, axis) * (1 - part) + field.take(high, axis) * part
    return field


# ---- the walk --------------------------------------------------------------------------------


def walk(
    grid: Grid, spacing: tuple[float, float, float], box: Box | None, hints: tuple[Hint, ...]
) -> Field:
    """Return each grid voxel's probability of being the object."""
    told = with_clicks(shape_odds(grid, box), grid, box, hints)
    seen = ndimage.gaussian_filter(grid.values, BLUR)
    laplacian = SMOOTHNESS * laplacian_of(seen, [mm * f for mm, f in zip(spacing, grid.factors)])
    fixed, inside = cores(grid, hints)
    confidence = np.where(fixed, 1e3, 1.0).astype(np.float32).ravel()
    system = laplacian + sparse.diags_array(confidence)
    bins = bins_of(seen)
    field: Field = expit(told)
    for _ in range(ROUNDS_OF_LEARNING):
        prior = expit(told + grey_odds(bins, field))
        prior[fixed] = inside[fixed]
        answer, _ = cg(
            system,
            confidence * prior.ravel(),
            x0=field.ravel(),
            rtol=1e-3,
            maxiter=200,
            M=sparse.diags_array(1 / system.diagonal()),
        )
        field = answer.reshape(field.shape).astype(np.float32)
    return field


def shape_odds(grid: Grid, box: Box | None) -> Field:
    """Return what the box alone says: its inscribed ellipsoid, and nothing above or below it."""
    if box is None:
        return np.full(grid.values.shape, WITHOUT_BOX, np.float32)
    squares = np.zeros(grid.values.shape, np.float32)
    for place, low, high in zip(grid.axes(), box.low, box.high):
        squares += ((place - (low + high - 1) / 2) / ((high - low) / 2)) ** 2
    odds = np.clip(SHAPE * (1 - np.sqrt(squares)), SHAPE_FLOOR, None)
    z = grid.axes()[0]
    odds -= BEYOND * ((z < box.low[0] - 0.5) | (z > box.high[0] - 0.5))
    return odds.astype(np.float32)


def with_clicks(odds: Field, grid: Grid, box: Box | None, hints: tuple[Hint, ...]) -> Field:
    """Return the odds with the clicks' bells on them, each as high as it takes to be believed."""
    for hint in hints:
        squares = squares_from(grid, hint.voxel)
        sign = 1 if hint.positive else -1
        there = sign * float(odds.flat[int(squares.argmin())])
        height = np.clip(CLICK - there, LOWEST, HIGHEST)
        odds = odds + sign * height * np.exp(-0.5 * squares / width_of(hint, box) ** 2)
    return odds


def cores(grid: Grid, hints: tuple[Hint, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which voxels the clicks fix, and to what; later clicks over earlier ones."""
    fixed, inside = np.zeros((2, *grid.values.shape), bool)
    for hint in hints:
        radius = max(CORE * hint.distance, 0.5 * max(grid.factors))
        ball = squares_from(grid, hint.voxel) <= radius**2
        fixed |= ball
        inside[ball] = hint.positive
    return fixed, inside


def squares_from(grid: Grid, at: Voxel) -> Field:
    """Return the squared distance of the grid's voxels from one of the image's, in its voxels."""
    z, y, x = (place - c for place, c in zip(grid.axes(), at))
    squares: Field = z**2 + y**2 + x**2
    return squares


def bins_of(values: Field) -> NDArray[np.intp]:
    """Return the bin of each voxel's grey value; bins hold about equally many voxels."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, values)


def grey_odds(bins: NDArray[np.intp], field: Field) -> Field:
    """Return how much likelier each voxel's grey value is inside than around."""
    inside, around = (
        ndimage.gaussian_filter1d(
            np.bincount(bins.ravel(), weights.ravel(), minlength=BINS), 1.5, mode="nearest"
        )
        for weights in (field, 1 - field)
    )
    least = 0.1 / BINS
    odds = np.log((inside / inside.sum() + least) / (around / around.sum() + least))
    each: Field = np.clip(odds, -GREY, GREY).astype(np.float32)[bins]
    return each


def laplacian_of(values: Field, spacing: list[float]) -> sparse.csr_array:
    """Return the graph Laplacian over the six neighbours; edges weigh less across a step."""
    steps = [np.diff(values, axis=axis) for axis in range(3)]
    squares = sum(float((step**2).sum()) for step in steps)
    mean = squares / max(sum(step.size for step in steps), 1) + 1e-12
    number = np.arange(values.size).reshape(values.shape)
    finest = min(spacing)
    parts = []
    for axis, step in enumerate(steps):
        weights = np.exp(-EDGE * step**2 / mean) * (finest / spacing[axis]) ** 2 + 1e-4
        low = number.take(range(values.shape[axis] - 1), axis).ravel()
        high = number.take(range(1, values.shape[axis]), axis).ravel()
        parts.append((weights.ravel(), low, high))
    weights, low, high = (np.concatenate(each) for each in zip(*parts))
    size = (values.size, values.size)
    joined = sparse.coo_array((weights, (low, high)), size)
    joined = joined + joined.T
    laplacian: sparse.csr_array = (sparse.diags_array(joined.sum(axis=1)) - joined).tocsr()
    return laplacian


def make_adapter() -> RandomWalker:
    """Make the adapter; it takes no options."""
    return RandomWalker()
